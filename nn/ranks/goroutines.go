package ranks

import (
	"fmt"
	"sync"
)

// goroutine is the transport of a rank that is a goroutine, beside the others in one process.
type goroutine struct {
	rank int
	hub  *hub
}

// hub is what the ranks of a process share. from[a][b] holds what a sends to b until b has copied it, which done[a][b]
// tells a.
type hub struct {
	from [][]chan []byte
	done [][]chan struct{}

	once   sync.Once
	failed chan struct{} // closed by Abort
	cause  *RankError    // valid once failed is closed
}

// NewGoroutines returns the transports of so many ranks that are goroutines of this process.
func NewGoroutines(size int) []Transport {
	h := &hub{failed: make(chan struct{})}
	var all []Transport
	for a := range size {
		h.from, h.done = append(h.from, make([]chan []byte, size)), append(h.done, make([]chan struct{}, size))
		for b := range size {
			h.from[a][b], h.done[a][b] = make(chan []byte, 1), make(chan struct{}, 1)
		}
		all = append(all, &goroutine{rank: a, hub: h})
	}
	return all
}

func (g *goroutine) Name() string { return "goroutines" }
func (g *goroutine) Rank() int    { return g.rank }
func (g *goroutine) Size() int    { return len(g.hub.from) }

func (g *goroutine) Exchange(send, recv [][]byte) error {
	h, me := g.hub, g.rank
	select {
	case <-h.failed: // whatever is ready to be taken
		return h.cause
	default:
	}
	for p := range h.from {
		if p == me {
			continue
		}
		select {
		case h.from[me][p] <- send[p]: // there is room: the last exchange waited for done, unless it failed
		case <-h.failed:
			return h.cause
		}
	}
	for p := range h.from {
		if p == me {
			continue
		}
		select {
		case x := <-h.from[p][me]:
			if len(x) != len(recv[p]) {
				g.Abort(fmt.Sprintf("it expects %d bytes of rank %d, which sends %d", len(recv[p]), p, len(x)))
				return h.cause
			}
			copy(recv[p], x)
			h.done[p][me] <- struct{}{}
		case <-h.failed:
			return h.cause
		}
	}
	for p := range h.from {
		if p == me {
			continue
		}
		select {
		case <-h.done[me][p]:
		case <-h.failed:
			return h.cause
		}
	}
	return nil
}

func (g *goroutine) Abort(reason string) {
	g.hub.once.Do(func() {
		g.hub.cause = &RankError{Rank: g.rank, Reason: reason}
		close(g.hub.failed)
	})
}

func (g *goroutine) Close() error {
	nothing := make([][]byte, g.Size())
	return g.Exchange(nothing, nothing)
}
