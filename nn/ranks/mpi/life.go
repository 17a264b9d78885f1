//go:build linux && cgo

package mpi

import (
	"bytes"
	"fmt"
	"time"

	"trainer/nn/ranks"
)

// life is how ranks know of each other that they are alive: each sends every other a byte every signEvery, also while it
// computes or evaluates, because that is another thread. A rank of which nothing is heard for maxSilence hangs, or its
// machine or the network does.
type life struct {
	signEvery, maxSilence time.Duration

	rank, size int
	hosts      []string
	heard      []time.Time
	sent, kept time.Time    // when signs were last sent, and looked for
	in, out    []oneMessage // by rank
	over       []bool       // the rank has sent its last sign
}

// The signs of life.
const (
	alive = 1
	last  = 2 // this rank leaves, with all others
)

// oneMessage is a message of one byte that may be in progress.
type oneMessage struct {
	messages
	sign    []byte
	started bool
}

// start starts the message.
func (m *oneMessage) start(d direction, peer int) error {
	m.clear()
	m.started = true
	return m.startOne(d, peer, m.sign, tagLife)
}

// finished reports whether the message has ended, or was never started.
func (m *oneMessage) finished() (bool, error) {
	if !m.started {
		return true, nil
	}
	left, _, err := m.wait(0)
	if err != nil || left > 0 {
		return false, err
	}
	m.started = false
	m.unpin()
	return true, nil
}

// newLife returns the life of ranks that give up after a silence. Several signs must be missing, so that one may be late.
func newLife(maxSilence time.Duration) life {
	return life{signEvery: min(2*time.Second, maxSilence/10), maxSilence: maxSilence}
}

// ranks prepares for so many ranks.
func (l *life) ranks(rank, size int) {
	l.rank, l.size = rank, size
	l.hosts, l.heard, l.over = make([]string, size), make([]time.Time, size), make([]bool, size)
	l.in, l.out = make([]oneMessage, size), make([]oneMessage, size)
	for p := range size {
		l.in[p].sign, l.out[p].sign = make([]byte, 1), []byte{alive}
	}
}

// begin takes the names of the machines, and expects signs of life from now on.
func (l *life) begin(hosts [][]byte) error {
	now := time.Now()
	l.kept = now
	for p := range l.size {
		l.hosts[p] = string(bytes.TrimRight(hosts[p], "\x00"))
		l.heard[p] = now
		if p == l.rank {
			continue
		}
		if err := l.in[p].start(receive, p); err != nil {
			return l.failed(p, err)
		}
	}
	return l.keep(now)
}

func (l *life) host(p int) string { return l.hosts[p] }

func (l *life) failed(p int, err error) error {
	return &ranks.RankError{Rank: p, Host: l.hosts[p], Reason: fmt.Sprintf("it can't be reached: %v", err)}
}

// keep sends signs of life that are due, and takes those that have come. It returns an error for a rank that is silent.
func (l *life) keep(now time.Time) error {
	if l.hosts == nil || l.heard[l.rank].IsZero() { // not begun
		return nil
	}
	l.forgive(now.Sub(l.kept))
	l.kept = now
	due := now.Sub(l.sent) >= l.signEvery
	for p := range l.size {
		if p == l.rank {
			continue
		}
		if err := l.listen(p, now); err != nil {
			return err
		}
		if due {
			if err := l.tell(p, alive); err != nil {
				return err
			}
		}
	}
	if due {
		l.sent = now
	}
	if p, silent := l.silent(now); silent > l.maxSilence {
		return &ranks.RankError{Rank: p, Host: l.hosts[p], Reason: fmt.Sprintf("no sign of life for %.0f s", silent.Seconds())}
	}
	return nil
}

// forgive extends the time of all ranks by that for which this process did not run: what they have sent meanwhile may be late.
func (l *life) forgive(late time.Duration) {
	if late < 2*l.signEvery {
		return
	}
	for p := range l.heard {
		l.heard[p] = l.heard[p].Add(late)
	}
}

// silent returns the rank that has been silent for longest, of those that have not sent their last sign, and for how long.
func (l *life) silent(now time.Time) (rank int, longest time.Duration) {
	for p := range l.size {
		if silent := now.Sub(l.heard[p]); p != l.rank && !l.over[p] && silent > longest {
			rank, longest = p, silent
		}
	}
	return rank, longest
}

// listen takes a sign of life that has come, and expects the next.
func (l *life) listen(p int, now time.Time) error {
	if l.over[p] {
		return nil
	}
	done, err := l.in[p].finished()
	if err != nil {
		return l.failed(p, err)
	}
	if !done {
		return nil
	}
	l.heard[p] = now
	if l.in[p].sign[0] == last {
		l.over[p] = true
		return nil
	}
	if err := l.in[p].start(receive, p); err != nil {
		return l.failed(p, err)
	}
	return nil
}

// tell sends a sign of life unless the one before is still on its way.
func (l *life) tell(p int, sign byte) error {
	done, err := l.out[p].finished()
	if err != nil {
		return l.failed(p, err)
	}
	if !done {
		return nil
	}
	l.out[p].sign[0] = sign
	if err := l.out[p].start(dispatch, p); err != nil {
		return l.failed(p, err)
	}
	return nil
}

// end sends the last signs of life, and waits for those of all ranks: no message is in progress then. All ranks call it
// together.
func (l *life) end() error {
	told := make([]bool, l.size)
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		now := time.Now()
		left := 0
		for p := range l.size {
			if p == l.rank {
				continue
			}
			if err := l.listen(p, now); err != nil {
				return err
			}
			done, err := l.out[p].finished()
			if err != nil {
				return l.failed(p, err)
			}
			if done && !told[p] {
				if err := l.tell(p, last); err != nil {
					return err
				}
				told[p], done = true, false
			}
			if !done || !l.over[p] {
				left++
			}
		}
		if left == 0 {
			return nil
		}
		if now.Sub(start) > l.maxSilence {
			return fmt.Errorf("ranks: %d of %d do not end", left, l.size)
		}
	}
}
