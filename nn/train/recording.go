package train

import (
	"errors"
	"fmt"

	"trainer/nn/device"
)

// recording is device work that is the same at every step. A device that can (device.Capturer) records it once, such as
// in a CUDA graph, and replays it: one call instead of one an operation.
type recording struct {
	capturer device.Capturer // nil: the work is queued anew each time
	queue    func()          // queues the work
	warm     bool            // the work was queued once
	graph    device.Graph    // nil before it is recorded
}

// newRecording returns the recording of the work that queue queues. off means never to record.
func newRecording(dev device.Device, off bool, queue func()) recording {
	r := recording{queue: queue}
	if !off {
		r.capturer, _ = dev.(device.Capturer)
	}
	return r
}

// run queues the work. full says that it is on a full batch, which alone is recorded: a smaller one comes once an
// epoch. The first full step isn't, so that the device can set up what recording forbids.
//
// Where the device says that it can't record this work, run goes on without.
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

// on reports whether steps are recorded, or will be as far as is known.
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
