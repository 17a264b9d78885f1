package train

import (
	"errors"
	"fmt"

	"trainer/nn/device"
)

// recording is device work that is the same at every step, or at every step with the same work. A device.Capturer records it once, for
// example as a CUDA graph, and replays it: one call instead of one per operation.
type recording struct {
	capturer device.Capturer // nil: the work is queued again each time
	queue    func()          // queues the work
	recorded map[work]device.Graph
}

// newRecording returns a recording of the work that queue queues. If off is set, it never records.
func newRecording(dev device.Device, off bool, queue func()) recording {
	r := recording{queue: queue, recorded: map[work]device.Graph{}}
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
func (r *recording) run(w work, full bool) error {
	if r.capturer == nil || !full {
		r.queue()
		return nil
	}
	graph, warm := r.recorded[w]
	if !warm {
		r.recorded[w] = nil
		r.queue()
		return nil
	}
	if graph == nil {
		var err error
		graph, err = r.capturer.Capture(r.queue)
		if errors.Is(err, device.ErrNotSupported) {
			r.capturer = nil
			r.queue()
			return nil
		}
		if err != nil {
			return fmt.Errorf("recording the step: %w", err)
		}
		r.recorded[w] = graph
	}
	graph.Launch()
	return nil
}

// on reports whether steps are recorded, or are expected to be.
func (r *recording) on() bool { return r.capturer != nil }

// close releases the recorded work. It may be recorded again.
func (r *recording) close() error {
	var all error
	for w, graph := range r.recorded {
		if graph != nil {
			all = errors.Join(all, graph.Close())
		}
		delete(r.recorded, w)
	}
	return all
}
