package command

import "errors"

// The files of a run take the disk longer than a small network takes for an epoch. With -runs they are written while the next
// run trains, those of one run at a time, and the end waits for the last ones.

// lateResults are the files of a run that has ended, on their way to the disk.
type lateResults struct {
	done chan error // nil if there are none
	tell func()     // tells that they are there, or can't be
}

// begin waits for the files that are on their way, and has another goroutine call write, which writes the files of another run.
// When these are waited for, tell is called. If the files before failed, begin writes these at once, so that nothing is lost,
// and returns the errors.
func (l *lateResults) begin(write func() error, tell func()) error {
	if err := l.wait(); err != nil {
		err = errors.Join(err, write())
		tell()
		return err
	}
	done := make(chan error, 1)
	l.done, l.tell = done, tell
	go func() { done <- write() }()
	return nil
}

// wait waits for the files that are on their way, tells, and returns the error of writing them.
func (l *lateResults) wait() error {
	if l.done == nil {
		return nil
	}
	err := <-l.done
	l.tell()
	*l = lateResults{}
	return err
}
