package star

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"trainer/nn/ranks"
)

// The kinds of frames.
const (
	hello = iota + 1 // the name of the sender's machine
	data             // a message from a rank to a rank
	life             // the sender lives, and has queued so many sums
	abort            // rank from has failed: machine, 0, reason; somebody tells the user
	last             // nothing follows
)

// frame begins what is sent: kind, from, to and length are 4 bytes each, in little endian.
type frame struct{ kind, from, to int }

const (
	headerBytes = 16
	maxBytes    = 1 << 30
	maxText     = 64 << 10 // of a frame that is no message
)

// write sends a frame.
func (l *link) write(f frame, x []byte) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.send(f, x)
}

// tryWrite is write, unless another frame is being sent, which is a sign of life as well.
func (l *link) tryWrite(f frame, x [8]byte) {
	if l.mutex.TryLock() {
		defer l.mutex.Unlock()
		_ = l.send(f, x[:]) // the reader finds out
	}
}

func (l *link) send(f frame, x []byte) error {
	if len(x) > maxBytes {
		return fmt.Errorf("a message of %d bytes, want at most %d", len(x), maxBytes)
	}
	for i, v := range []int{f.kind, f.from, f.to, len(x)} {
		binary.LittleEndian.PutUint32(l.header[4*i:], uint32(v))
	}
	if _, err := l.conn.Write(l.header[:]); err != nil {
		return err
	}
	if len(x) == 0 {
		return nil
	}
	_, err := l.conn.Write(x)
	return err
}

// Read reads from the connection. Whatever comes is a sign of life: a large message may take longer than the silence that is allowed.
func (l *link) Read(b []byte) (n int, err error) {
	if n, err = l.conn.Read(b); n > 0 {
		l.heard.Store(l.now())
	}
	return n, err
}

// read returns the next frame.
func (l *link) read() (f frame, x []byte, err error) {
	var header [headerBytes]byte
	if _, err := io.ReadFull(l, header[:]); err != nil {
		return f, nil, err
	}
	word := func(i int) int { return int(binary.LittleEndian.Uint32(header[4*i:])) }
	f = frame{word(0), word(1), word(2)}
	n := word(3)
	if n > maxBytes || f.kind != data && n > maxText {
		return f, nil, fmt.Errorf("a message of %d bytes", n)
	}
	var all bytes.Buffer // grows with what comes
	_, err = io.CopyN(&all, l, int64(n))
	return f, all.Bytes(), err
}

// greet exchanges the names of the machines.
func (l *link) greet() error {
	if err := l.write(frame{kind: hello}, []byte(ranks.Host())); err != nil {
		return err
	}
	_ = l.conn.SetReadDeadline(time.Now().Add(maxSilence))
	f, x, err := l.read()
	if err == nil && f.kind != hello {
		err = fmt.Errorf("it does not give the name of its machine")
	}
	if err != nil {
		return err
	}
	l.host = string(x)
	return l.conn.SetReadDeadline(time.Time{})
}

// abortText is what an abort frame says of an error.
func abortText(e *ranks.RankError) []byte {
	text := e.Host + "\x00" + e.Reason
	return []byte(text[:min(len(text), maxText)])
}

// learn takes the failure of a rank, of which another has told the user.
func (t *Transport) learn(from *link, rank int, x []byte) {
	host, reason, _ := strings.Cut(string(x), "\x00")
	t.fail(&ranks.RankError{Rank: rank, Host: host, Reason: reason, Told: true}, from)
}

// queue holds the messages of a rank until they are taken.
type queue struct {
	mutex  sync.Mutex
	list   [][]byte
	filled chan struct{}
}

func newQueue() *queue { return &queue{filled: make(chan struct{}, 1)} }

func (q *queue) push(x []byte) {
	q.mutex.Lock()
	q.list = append(q.list, x)
	q.mutex.Unlock()
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

func (q *queue) pop() (x []byte, ok bool) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if len(q.list) == 0 {
		return nil, false
	}
	x, q.list = q.list[0], q.list[1:]
	return x, true
}
