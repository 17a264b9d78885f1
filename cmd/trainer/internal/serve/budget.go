package serve

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/sync/semaphore"
)

// A body takes memory as its bytes arrive, not as its headers claim, so that a client that claims much and sends nothing
// keeps nobody else out. If the memory is used up, a request is refused at once: waiting for one another, requests that
// hold half of their bodies could wait forever. Answers are counted too, because a client that doesn't take its answer holds it.

// budget is the memory that the requests of all clients share.
type budget struct{ free *semaphore.Weighted }

func newBudget(bytes int64) *budget { return &budget{semaphore.NewWeighted(bytes)} }

// share is what one request holds. It is not for several goroutines.
type share struct {
	budget *budget
	held   int64
}

func (b *budget) share() *share { return &share{budget: b} }

// shareKey is the key of a request's share in its context.
type shareKey struct{}

// shareOf returns the share of a request, which is given back after the answer.
func shareOf(r *http.Request) *share { return r.Context().Value(shareKey{}).(*share) }

// counted gives each request a share.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mine := s.bodies.share()
		defer mine.release()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), shareKey{}, mine)))
	})
}

// take adds bytes to the share, or returns errBusy.
func (s *share) take(bytes int64) error {
	if !s.budget.free.TryAcquire(bytes) {
		return errBusy
	}
	s.held += bytes
	return nil
}

// release gives everything back.
func (s *share) release() {
	s.budget.free.Release(s.held)
	s.held = 0
}

// firstBlock is the memory that a body takes at first.
const firstBlock = 4 << 10

// read reads r to its end into memory of the share.
func (s *share) read(r io.Reader) ([]byte, error) {
	if err := s.take(firstBlock); err != nil {
		return nil, err
	}
	content := make([]byte, 0, firstBlock)
	for {
		if len(content) == cap(content) {
			if err := s.take(int64(cap(content))); err != nil {
				return nil, err
			}
			content = append(make([]byte, 0, 2*cap(content)), content...)
		}
		n, err := r.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		if err == io.EOF {
			return content, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the request: %w", err)
		}
	}
}
