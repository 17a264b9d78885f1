package serve

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"trainer/cmd/trainer/internal/learn"
	"trainer/nn/data"
)

// A reader of the page draws, steps and undoes on weights of their own. Sessions cost memory, and a browser doesn't say
// that its page was closed; so the session unused for longest is closed when there are too many. Its page opens a new one.

// session is a network of a reader.
type session struct {
	id      string
	network *Network
	decoder *data.Decoder
	engine  *learn.Session
	used    time.Time
}

// sessions are all readers' networks.
type sessions struct {
	max      int
	maxBytes int64

	mu  sync.Mutex
	all map[string]*session
}

// errNoSession is the answer for a session that was closed to make room.
var errNoSession error = &refusal{http.StatusGone, "session", "this session was closed to make room for others: open a new one"}

// find returns a session, which becomes the one used last.
func (s *sessions) find(id string) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.all[id]
	if !ok {
		return nil, errNoSession
	}
	found.used = time.Now()
	return found, nil
}

// add gives a session its id, and closes others if there are too many.
func (s *sessions) add(n *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n.id, n.used = rand.Text(), time.Now()
	if s.all == nil {
		s.all = map[string]*session{}
	}
	s.all[n.id] = n
	for len(s.all) > 1 && (len(s.all) > s.max || s.bytes() > s.maxBytes) {
		s.remove(s.oldest(n))
	}
}

// bytes returns the memory of all sessions.
func (s *sessions) bytes() (sum int64) {
	for _, n := range s.all {
		m := n.engine.Memory()
		sum += m.Device + m.Host
	}
	return sum
}

// oldest returns the session unused for longest, except one.
func (s *sessions) oldest(except *session) (oldest *session) {
	for _, n := range s.all {
		if n != except && (oldest == nil || n.used.Before(oldest.used)) {
			oldest = n
		}
	}
	return oldest
}

// remove closes a session. Calls that use it return inspect.ErrClosed.
func (s *sessions) remove(n *session) {
	delete(s.all, n.id)
	_ = n.engine.Close() // nothing depends on it any more
}

// close closes all sessions.
func (s *sessions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.all {
		s.remove(n)
	}
}

// count returns the number of sessions.
func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}
