package command

import (
	"io"
	"sync"
)

// sharedWriter is a writer to which several goroutines write, a line at a time.
type sharedWriter struct {
	lock *sync.Mutex
	w    io.Writer
}

func (s *sharedWriter) Write(b []byte) (int, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.w.Write(b)
}
