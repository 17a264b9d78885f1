//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// graph is a recorded step, as a CUDA graph. It keeps the memory that the step uses alive: the
// recording itself has only addresses.
type graph struct {
	d    *Device
	exec *cuda.Graph
	kept []any
	sums int // over the ranks
}

// hold keeps x alive as long as the graph.
func (g *graph) hold(x any) { g.kept = append(g.kept, x) }

// hold keeps x alive as long as the step that is being recorded, if there is one.
func (d *Device) hold(x any) {
	if d.recording != nil {
		d.recording.hold(x)
	}
}

// Capture records the work that step queues, without running it. Plans that step uses must have run before with tensors
// of the same number of rows. If recording fails, Capture returns the error and the device remains usable.
func (d *Device) Capture(step func()) (device.Graph, error) {
	const op = "recording a step"
	if err := d.enter(op); err != nil {
		return nil, err
	}
	defer d.end()
	if err := cuda.BeginCapture(d.stream); err != nil {
		return nil, d.error(op, err)
	}
	g := &graph{d: d}
	err := d.record(g, step)
	if err == nil {
		err = g.exec.Upload(d.stream)
		if err != nil {
			_ = g.exec.Destroy()
		}
	}
	if err != nil {
		return nil, d.error(op, err)
	}
	d.graphs[g] = true
	return g, nil
}

// record runs step while the stream records, and ends the recording, even if step panics.
func (d *Device) record(g *graph, step func()) (err error) {
	d.recording = g
	ended := false
	defer func() {
		d.recording = nil
		if !ended {
			if exec, err := cuda.EndCapture(d.stream); err == nil {
				_ = exec.Destroy()
			}
		}
	}()
	step()
	ended = true
	g.exec, err = cuda.EndCapture(d.stream)
	if d.fault == nil {
		return err
	}
	// A call that can't be recorded fails, and then ending the recording fails too.
	if err == nil {
		_ = g.exec.Destroy()
	}
	err = d.fault
	if !errors.Is(err, device.ErrLost) {
		d.fault = nil
	}
	return err
}

// Launch queues the recorded work once.
func (g *graph) Launch() {
	if !g.d.begin("a recorded step") {
		return
	}
	defer g.d.end()
	g.d.sums.queued.Add(uint64(g.sums))
	if err := g.exec.Launch(g.d.stream); err != nil {
		g.d.fail(err)
	}
}

// Close waits for the launches and frees the recording. Closing again does nothing.
func (g *graph) Close() error {
	d := g.d
	if !d.graphs[g] {
		return nil
	}
	const op = "closing a recorded step"
	if err := d.enter(op); err != nil {
		return err
	}
	defer d.end()
	delete(d.graphs, g)
	d.wait()
	if err := g.exec.Destroy(); err != nil {
		return d.error(op, err)
	}
	g.kept = nil
	return d.fault
}
