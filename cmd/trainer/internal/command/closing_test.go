package command

import (
	"context"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
)

// signalling is a terminal at which somebody presses Ctrl-C, or to which a signal is sent, when a text appears.
type signalling struct {
	text    strings.Builder
	when    string
	send    []os.Signal // one each time
	signals chan os.Signal
}

func (s *signalling) Write(b []byte) (int, error) {
	if strings.Contains(string(b), s.when) && len(s.send) > 0 {
		s.signals <- s.send[0]
		s.send = s.send[1:]
	}
	return s.text.Write(b)
}

// silent is an input in which nobody types.
type silent struct{}

func (silent) Read([]byte) (int, error) { select {} }

// TestClosingAsks: when a signal ends the program while a page trains, a terminal is asked, and nobody else.
func TestClosingAsks(t *testing.T) {
	const asks, continues = "y or n", "mine continues"
	typed := func(lines string) io.Reader { return strings.NewReader(lines) }
	for _, c := range []struct {
		name   string
		first  os.Signal
		dialog bool
		run    string
		typed  io.Reader
		when   string
		send   []os.Signal
		asked  int // times
	}{
		{"no training", os.Interrupt, true, "", typed(""), asks, nil, 0},
		{"no terminal", os.Interrupt, false, "mine", typed(""), asks, nil, 0},
		{"a supervisor", syscall.SIGTERM, true, "mine", typed(""), asks, nil, 0},
		{"yes", os.Interrupt, true, "mine", typed("y\n"), asks, nil, 1},
		{"yes, in other words", os.Interrupt, true, "mine", typed(" Yes\n"), asks, nil, 1},
		{"the input ends", os.Interrupt, true, "mine", typed(""), asks, nil, 1},
		{"Ctrl-C again", os.Interrupt, true, "mine", silent{}, asks, []os.Signal{os.Interrupt}, 1},
		{"no, then a supervisor", os.Interrupt, true, "mine", typed("n\n"), continues, []os.Signal{syscall.SIGTERM}, 1},
		{"no, then nothing, then yes", os.Interrupt, true, "mine", typed("n\n\nyes\n"), continues, []os.Signal{os.Interrupt, os.Interrupt}, 3},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(&signalError{c.first})
		p := testProgram()
		signals := make(chan os.Signal, 1)
		terminal := &signalling{when: c.when, send: c.send, signals: signals}
		p.stdin, p.stderr, p.dialog = c.typed, terminal, c.dialog
		a := &asker{program: p, training: func() string { return c.run }, more: func() (chan os.Signal, func()) { return signals, func() {} }}
		a.wait(ctx)
		if n := strings.Count(terminal.text.String(), "mine is training. Stop it"); n != c.asked || len(terminal.send) > 0 {
			t.Errorf("%s: asked %d times, want %d: %q", c.name, n, c.asked, terminal.text.String())
		}
	}
}
