//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "calls.h"
import "C"

import (
	"time"

	"gorgonia.org/cu"
)

// NewStream returns a stream: work queued on it runs in order, and independently of the default
// stream.
func NewStream() (cu.Stream, error) {
	s, err := cu.MakeStream(cu.NonBlocking)
	return s, Check("creating a stream", err)
}

// Wait waits for all work queued on the stream, and returns the first fault.
func Wait(s cu.Stream) error { return Check("waiting for a stream", s.Synchronize()) }

// DestroyStream frees the stream once its work is done.
func DestroyStream(s cu.Stream) error { return Check("destroying a stream", s.Destroy()) }

// NewEvent returns an event, which marks a point in a stream. Only events with timing can be
// passed to Elapsed; events without timing cost less.
func NewEvent(timing bool) (cu.Event, error) {
	flags := cu.DefaultEvent
	if !timing {
		flags = cu.DisableTiming
	}
	e, err := cu.MakeEvent(flags)
	return e, Check("creating an event", err)
}

// Record moves the event to the current end of the work queued on the stream.
func Record(e cu.Event, s cu.Stream) error { return Check("recording an event", e.Record(s)) }

// Done reports whether the stream has passed the event.
func Done(e cu.Event) (bool, error) {
	status := C.cuEventQuery(eventHandle(e))
	if status == C.CUDA_ERROR_NOT_READY {
		return false, nil
	}
	return status == C.CUDA_SUCCESS, cudaError("asking for an event", status)
}

// WaitEvent waits until the stream has passed the event.
func WaitEvent(e cu.Event) error { return Check("waiting for an event", e.Synchronize()) }

// Follow makes what is queued on the stream from now on wait for the event.
func Follow(s cu.Stream, e cu.Event) error {
	return cudaError("letting a stream wait for an event", C.cuStreamWaitEvent(streamHandle(s), eventHandle(e), 0))
}

// Elapsed returns the time between two events with timing that are done.
func Elapsed(start, end cu.Event) (time.Duration, error) {
	ms, err := start.Elapsed(end)
	if err != nil {
		return 0, Check("reading the time between events", err)
	}
	return time.Duration(ms * float64(time.Millisecond)), nil
}

// DestroyEvent frees the event.
func DestroyEvent(e cu.Event) error { return Check("destroying an event", cu.DestroyEvent(&e)) }
