//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"
	"runtime"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

var _ device.AsyncDownloader = (*Device)(nil)

// fetch copies tensors to pinned host memory, asynchronously. An event after the copy in the stream shows when the copy
// has arrived.
type fetch struct {
	d       *Device
	host    []byte // pinned; nil once closed
	done    cu.Event
	bytes   int  // of the last copy
	pending bool // the copy may still be in progress
	refused bool // the last copy: the device had a fault already
}

// NewAsyncDownload prepares fetches of tensors of at most bytes bytes. Close the fetch before the device.
func (d *Device) NewAsyncDownload(bytes int) (device.AsyncDownload, error) {
	if bytes < 1 {
		panic(fmt.Sprintf("gpu: NewAsyncDownload(%d), want at least a byte", bytes))
	}
	const op = "preparing a fetch"
	if err := d.enter(op); err != nil {
		return nil, err
	}
	defer d.end()
	f := &fetch{d: d}
	var err error
	if f.host, err = cuda.AllocHost(bytes); err != nil {
		return nil, d.error(op, err)
	}
	if f.done, err = cuda.NewEvent(false); err != nil {
		_ = cuda.FreeHost(f.host)
		return nil, d.error(op, err)
	}
	d.fetches[f] = true
	return f, nil
}

// Queue queues the copy of src. It panics if an earlier copy may still be in progress, that is, until Ready has
// returned true or Wait has returned.
func (f *fetch) Queue(src *device.Tensor) {
	const op = "a fetch"
	d := f.d
	m, n := d.memoryOf(op, "source", src), size(src)
	if n > cap(f.host) {
		panic(fmt.Sprintf("gpu: a fetch of %v, which has %d bytes, was prepared for %d", src, n, cap(f.host)))
	}
	if d.enter(op) != nil {
		f.refused = true
		return
	}
	defer d.end()
	if f.pending {
		panic("gpu: a fetch is queued while an earlier one is under way")
	}
	f.bytes, f.refused = n, true
	if err := cuda.CopyToHostAsync(f.host[:n], m.address, d.stream); err != nil {
		d.fail(err)
		return
	}
	if err := cuda.Record(f.done, d.stream); err != nil {
		d.fail(err)
		d.wait() // without the event, only this shows when the copy no longer uses the host memory
		return
	}
	f.pending, f.refused = true, false
}

// Ready reports whether the last copy has arrived, or the device has a fault.
func (f *fetch) Ready() bool {
	if !f.pending {
		return true
	}
	d := f.d
	if d.enter("asking for a fetch") != nil {
		return true
	}
	defer d.end()
	done, err := cuda.Done(f.done)
	if err != nil {
		d.fail(err)
		return true
	}
	f.pending = !done
	return done
}

// Wait waits for the last copy, unless Ready has returned true for it, and writes it to dst, which must have its size. What
// was copied before the device had a fault is there in spite of it.
func (f *fetch) Wait(dst []byte) error {
	d := f.d
	if d.recording != nil {
		panic("gpu: waiting for a fetch in a step that is being recorded")
	}
	if f.refused {
		return d.fault
	}
	if len(dst) != f.bytes {
		panic(fmt.Sprintf("gpu: a fetch of %d bytes to %d", f.bytes, len(dst)))
	}
	if err := d.evenAfterFault("waiting for a fetch", f.wait); err != nil {
		return err
	}
	copy(dst, f.host)
	return nil
}

// wait waits for the last copy, and records its fault.
func (f *fetch) wait() error {
	if !f.pending {
		return nil
	}
	f.pending = false
	if err := f.d.waits(false, func() error { return cuda.WaitEvent(f.done) }); err != nil {
		f.refused = true
		f.d.fail(err)
		return f.d.fault
	}
	return nil
}

// evenAfterFault calls f with the context current, also after a fault, when begin would refuse.
func (d *Device) evenAfterFault(op string, f func() error) error {
	d.op = op
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cuda.Check("making the context current", cu.SetCurrentContext(d.context.CUContext)); err != nil {
		return d.error(op, err)
	}
	return f()
}

// Close waits for the last copy, and frees the host memory. Closing again does nothing; nor does closing after the
// device, which frees the memory itself.
func (f *fetch) Close() error {
	d := f.d
	if !d.fetches[f] || d.closed {
		return nil
	}
	if d.recording != nil {
		panic("gpu: closing a fetch in a step that is being recorded")
	}
	delete(d.fetches, f)
	const op = "closing a fetch"
	err := d.evenAfterFault(op, func() error {
		_ = f.wait() // its error is the device's fault
		return d.error(op, f.free())
	})
	if d.fault != nil {
		return d.fault
	}
	return err
}

// free frees the event and the host memory, and returns the first error.
func (f *fetch) free() error {
	host := f.host
	f.host = nil
	err := cuda.DestroyEvent(f.done)
	if e := cuda.FreeHost(host); err == nil {
		err = e
	}
	return err
}
