package command

import (
	"context"

	"trainer/nn/data"
)

// Opening a GPU takes about as long as reading a data set, and neither needs the other: both are done at once. Nobody notices
// but by the clock: what reading has to say waits until the device is open, and a fault of the device is reported first.

// opening is a data set that is being opened.
type opening struct {
	opt    data.Options
	cancel context.CancelFunc // only for an abandoned one: the set may keep the context
	heard  chan struct{}      // closed when it may tell its progress
	done   chan struct{}      // closed when set and err are valid
	set    *data.Dataset
	err    error
}

// beginOpening begins to open the data set.
func (j *job) beginOpening(ctx context.Context) *opening {
	ctx, cancel := context.WithCancel(ctx)
	o := &opening{cancel: cancel, heard: make(chan struct{}), done: make(chan struct{})}
	if o.opt, o.err = j.dataOptions(); o.err != nil {
		close(o.done)
		return o
	}
	o.opt.Like = j.filesToDraw()
	opt := o.opt
	warn, progress := opt.Warn, opt.Progress
	mayTell := func() bool { return o.mayTell(ctx) }
	opt.Warn = func(err error) {
		if mayTell() {
			warn(err)
		}
	}
	opt.Progress = func(file string, done, total int64) {
		if mayTell() {
			progress(file, done, total)
		}
	}
	go func() {
		defer close(o.done)
		defer j.phases.begin("data set")()
		if o.set, o.err = j.openWith(ctx, opt, mayTell); o.err != nil {
			o.err = &dataError{o.err}
		}
	}()
	return o
}

// mayTell waits until the device is open, and reports whether the user should hear of the data set.
func (o *opening) mayTell(ctx context.Context) bool {
	select {
	case <-o.heard:
	case <-ctx.Done():
	}
	select {
	case <-o.heard: // a set may have something to say for as long as it is used
		return true
	default:
		return false
	}
}

// wait waits for the data set.
func (o *opening) wait() (*data.Dataset, error) {
	close(o.heard)
	<-o.done
	return o.set, o.err
}

// abandon ends the opening, unless it has been waited for, and waits until it has ended.
func (o *opening) abandon() {
	o.cancel()
	<-o.done
}
