package command

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"trainer/nn/data"
)

// checking shows on a terminal how many pictures of a folder have been checked.
type checking struct {
	screen io.Writer // nil if nothing is shown
	mu     sync.Mutex
	next   time.Time // of the next line
	shown  bool
}

// The time before the first line, so that small folders show none, and between two.
const (
	checkingPause    = time.Second
	checkingInterval = 100 * time.Millisecond
)

// newChecking returns the progress, which shows nothing if the caller or the surroundings want none.
func (p *program) newChecking(isQuiet bool) *checking {
	if !p.terminal || isQuiet {
		return &checking{}
	}
	return &checking{screen: p.screen, next: time.Now().Add(checkingPause)}
}

// show replaces the line.
func (c *checking) show(stage data.OpeningStage, done, total int) {
	if c.screen == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.next) {
		return
	}
	c.next, c.shown = now.Add(checkingInterval), true
	text := fmt.Sprintf("%s: %s", stage, humanize.Comma(int64(done)))
	if total > 0 {
		text += " of " + humanize.Comma(int64(total))
	}
	fmt.Fprintf(c.screen, "\r%s\x1b[K", text)
}

// close removes the line.
func (c *checking) close() {
	if c.shown {
		fmt.Fprint(c.screen, "\r\x1b[K")
	}
}
