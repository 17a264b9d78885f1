package command

import (
	"context"

	"trainer/nn/data"
)

// Opening a GPU takes about as long as reading a data set, dividing it and computing its fingerprint, and neither needs the
// other: both are done at once. Nobody notices but by the clock: what reading has to say waits until the device is open, and a
// fault of the device is reported first.

// opening is a data set that is being opened.
type opening struct {
	opt    data.Options
	cancel context.CancelFunc // only for an abandoned one: the set may keep the context
	heard  chan struct{}      // closed when it may tell its progress
	done   chan struct{}      // closed when set and err are valid, and what follows if there is no error
	set    *data.Dataset
	err    error

	ownValidation  bool // the data set has validation images, which are not held out
	divided        *data.Dataset
	fingerprint    *data.Fingerprint // of divided; nil if there is no run that needs a new one
	divideErr      error
	fingerprintErr error
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
		reading := j.phases.begin("data set")
		o.set, o.err = j.openWith(ctx, opt, mayTell)
		reading()
		if o.err != nil {
			o.err = &dataError{o.err}
			return
		}
		defer j.phases.begin("split and fingerprint")()
		o.divide(ctx, j)
	}()
	return o
}

// divide divides the set, and computes its fingerprint.
func (o *opening) divide(ctx context.Context, j *job) {
	o.set.Name = j.dataName() // a folder may have the name of a data set
	if j.resume != "" && j.runData == nil {
		o.set.Name = j.data // as older versions named it
	}
	o.ownValidation = o.set.Val != nil
	whole := *o.set // which division changes
	o.divided, o.divideErr = division{j.val, j.folds, j.fold, j.seed}.of(ctx, &whole, o.opt.Like)
	if o.divideErr == nil && j.runData == nil && !j.drawn && !j.dryRun {
		o.fingerprint, o.fingerprintErr = o.divided.Fingerprint(ctx, j.allBytes)
	}
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

// wait waits for the data set, as it was before it was divided.
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
