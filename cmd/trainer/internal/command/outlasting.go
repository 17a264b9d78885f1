package command

import "io"

// Training outlasts its readers: neither a pipe that is closed, as by head, nor a terminal that goes away ends it, because
// the results are in its folder.

// outlasting is a writer that discards everything after its first error.
type outlasting struct {
	w      io.Writer
	failed bool
}

// Write never fails.
func (o *outlasting) Write(b []byte) (int, error) {
	if !o.failed {
		_, err := o.w.Write(b)
		o.failed = err != nil
	}
	return len(b), nil
}

// outlastingReaders returns the program with writers that never fail, and a function that ends it.
func (p *program) outlastingReaders() (_ *program, restore func()) {
	q := *p
	q.screen = p.screen
	q.stdout, q.stderr = &outlasting{w: p.stdout}, &outlasting{w: p.stderr}
	return &q, survivePipes()
}
