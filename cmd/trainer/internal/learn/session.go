package learn

import (
	"encoding/json"
	"slices"
	"sync/atomic"

	"trainer/nn/data"
	"trainer/nn/inspect"
	"trainer/nn/optim"
)

// Session is a network of a reader, with weights of its own. It is for one goroutine at a time, except for Memory.
type Session struct {
	*inspect.Session
	classes    int
	samples    func() (data.Set, error)
	revisions  revisions // of the weights
	drawn      featureMap
	drawnBytes atomic.Int64 // of drawn
}

// New returns a session for a network with so many classes. samples opens its test pictures; nil if there are none.
func New(s *inspect.Session, classes int, samples func() (data.Set, error)) *Session {
	return &Session{Session: s, classes: classes, samples: samples}
}

// Memory returns what the session holds now.
func (s *Session) Memory() inspect.Memory {
	m := s.Session.Memory()
	m.Host += s.drawnBytes.Load()
	return m
}

// Opened describes a session to the page.
type Opened struct {
	ID     string          `json:"id"`
	Places []inspect.Place `json:"places"`
	Rules  []string        `json:"rules"`
}

// Describe returns the description of the session, which the caller names.
func (s *Session) Describe(id string) Opened {
	return Opened{id, s.Places(), optim.Algorithms()}
}

// Actions are what a session can be asked, by name. The body is that of the request: pixels for forward, otherwise JSON.
func Actions() map[string]func(s *Session, body []byte) (*Reply, error) {
	return map[string]func(s *Session, body []byte) (*Reply, error){
		"forward": (*Session).forward, "backward": (*Session).backward, "explain": (*Session).explain, "weights": (*Session).weights,
		"step": (*Session).step, "undo": (*Session).undo, "check": (*Session).check, "attention": (*Session).attention,
		"maximum": (*Session).maximum, "features": (*Session).features, "feature-values": (*Session).featureValues,
	}
}

// Answer answers a question. An error of the question is an *Error.
func (s *Session) Answer(action string, body []byte) (*Reply, error) {
	f := Actions()[action]
	if f == nil {
		return nil, invalid("there is no action of this name")
	}
	reply, err := f(s, body)
	if err != nil {
		return nil, worded(err)
	}
	return reply, nil
}

// maxQuestion is the number of bytes of a question in JSON.
const maxQuestion = 1 << 12

// MaxBody returns the largest number of bytes of a question.
func (s *Session) MaxBody() int { return max(maxQuestion, s.Input().Len()) }

// decode reads a question in JSON.
func decode(body []byte, into any) error {
	if len(body) > maxQuestion || json.Unmarshal(body, into) != nil {
		return invalid("the question is not the JSON that this action takes")
	}
	return nil
}

// checkClass returns an error unless k is a class.
func (s *Session) checkClass(name string, k int) error {
	if k < 0 || k >= s.classes {
		return invalid("%s: want a number from 0 to %d", name, s.classes-1)
	}
	return nil
}

// tensor returns the parameter or running statistic of a name.
func (s *Session) tensor(name string) (inspect.Tensor, bool) {
	for _, p := range s.Places() {
		if i := slices.IndexFunc(p.Tensors, func(t inspect.Tensor) bool { return t.Name == name }); i >= 0 {
			return p.Tensors[i], true
		}
	}
	return inspect.Tensor{}, false
}
