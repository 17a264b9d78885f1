//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"fmt"
	"runtime"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// begin is attach for all work but small uploads, which it queues if any wait.
func (d *Device) begin(op string) bool {
	if !d.attach(op) {
		return false
	}
	if len(d.uploads) == 0 {
		return true
	}
	d.op = "upload"
	d.sendWaiting()
	d.op = op
	if d.fault != nil {
		d.end()
		return false
	}
	return true
}

// attach locks the goroutine to its thread and makes the context current there, so that work can be queued. After a
// fault it returns false, and nothing is queued or locked. Otherwise end must follow.
func (d *Device) attach(op string) bool {
	if d.fault != nil {
		return false
	}
	d.op = op
	if err := d.cancellation(); err != nil {
		d.fail(err)
		return false
	}
	runtime.LockOSThread()
	if err := cu.SetCurrentContext(d.context.CUContext); err != nil {
		d.fail(cuda.Check("making the context current", err))
		runtime.UnlockOSThread()
		return false
	}
	return true
}

// end undoes attach and begin.
func (d *Device) end() { runtime.UnlockOSThread() }

// enter is begin for operations that can't be part of a recorded step: it panics while a step is being recorded. The
// error is the device's fault.
func (d *Device) enter(op string) error {
	d.checkRecording(op)
	if !d.begin(op) {
		return d.fault
	}
	return nil
}

// checkRecording panics while a step is being recorded.
func (d *Device) checkRecording(op string) {
	if d.recording != nil {
		panic("gpu: " + op + " in a step that is being recorded")
	}
}

// leave reports whether the host may compute an operation now, with copies from and to the GPU. While a step is being
// recorded it may not: the recording then fails with device.ErrNotSupported.
func (d *Device) leave(op string) bool {
	if d.recording != nil && d.fault == nil {
		d.op = op
		d.fail(fmt.Errorf("the host computes it, which can't be recorded: %w", device.ErrNotSupported))
	}
	return d.fault == nil
}

// fail records the first failure of queued work.
func (d *Device) fail(err error) {
	if d.fault == nil {
		d.fault = d.error(d.op, d.cause(err))
	}
}

// cause returns an error with its underlying cause: if an earlier kernel has failed, cuBLAS and cuDNN say only that
// execution failed, but the stream's status says how.
func (d *Device) cause(err error) error {
	var e *cuda.Error
	if d.recording != nil || !errors.As(err, &e) || e.Library == cuda.CUDA || e.Library == cuda.NCCL {
		return err
	}
	if behind := cuda.Wait(d.stream); behind != nil {
		return fmt.Errorf("%w (noticed by %w)", behind, err)
	}
	return err
}

// error wraps an error with the device and the operation; nil stays nil.
func (d *Device) error(op string, err error) error {
	if err == nil {
		return nil
	}
	return &device.Error{Device: d.name, Op: op, Err: err}
}

// Sync waits for all queued work and returns the first fault.
func (d *Device) Sync() error {
	if err := d.enter("waiting for queued work"); err != nil {
		return err
	}
	defer d.end()
	d.wait()
	return d.fault
}

// wait waits for the stream, and records its fault.
func (d *Device) wait() {
	if err := d.waits(true, func() error { return cuda.Wait(d.stream) }); err != nil {
		d.fail(err)
	}
}
