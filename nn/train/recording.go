package train

import (
	"errors"
	"fmt"

	"trainer/nn/device"
)

// recording is device work that is the same at every step. A device.Capturer records it once, for example as a CUDA
// graph, and replays it: one call instead of one per operation.
type recording struct {
	capturer device.Capturer // nil: the work is queued again each time
	queue    func()          // queues the work
	warm     bool            // the work has been queued once
	graph    device.Graph    // nil before it is recorded
}

// newRecording returns a recording of the work that queue queues. If off is set, it never records.
func newRecording(dev device.Device, off bool, queue func()) recording {
	r := recording{queue: queue}
	if !off {
		r.capturer, _ = dev.(device.Capturer)
	}
	return r
}

// run queues the work. full says that the batch is full: only work on full batches is recorded, since a smaller batch
// comes once per epoch. The first full step is not recorded, so that the device can do any set-up that is forbidden
// during recording.
//
// If the device can't record this work, run continues without recording.
func (r *recording) run(full bool) error {
	if r.capturer == nil || !full {
		r.queue()
		return nil
	}
	if !r.warm {
		r.warm = true
		r.queue()
		return nil
	}
	if r.graph == nil {
		graph, err := r.capturer.Capture(r.queue)
		if errors.Is(err, device.ErrNotSupported) {
			r.capturer = nil
			r.queue()
			return nil
		}
		if err != nil {
			return fmt.Errorf("recording the step: %w", err)
		}
		r.graph = graph
	}
	r.graph.Launch()
	return nil
}

// renew releases the recorded work, and has it recorded again at the next full step. What the device sets up at a first step
// stays.
func (r *recording) renew() error { return r.close() }

// on reports whether steps are recorded, or are expected to be.
func (r *recording) on() bool { return r.capturer != nil }

// close releases the recorded work.
func (r *recording) close() error {
	if r.graph == nil {
		return nil
	}
	err := r.graph.Close()
	r.graph = nil
	return err
}
