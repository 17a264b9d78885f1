package train

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"weak"

	"trainer/nn/device"
)

// fakeGPU is the CPU with the interfaces of an asynchronous device: it holds data sets, records steps, and delivers downloads
// late. The optional interfaces of the CPU are hidden.
type fakeGPU struct {
	device.Device
	free    int64 // FreeMemory
	late    int   // how often Ready answers false before a download has arrived
	refusal error // of Capture

	budget  int64 // bytes of tensors; 0: no limit
	tensors int   // made so far
	live    []allocation

	failAfter int   // uploads before the failure; below 0: never
	failure   error // the error of that upload and of every later call

	images, uploads, downloads int // copies of uint8 tensors, of all tensors
	waits                      int // for a download that had not arrived
	most, underWay             int // downloads at the same time
	captures, launches, closed int
	recording                  bool // a recorded step is running
}

var (
	_ device.Capturer        = (*fakeGPU)(nil)
	_ device.AsyncDownloader = (*fakeGPU)(nil)
	_ device.DatasetResident = (*fakeGPU)(nil)
)

type allocation struct {
	tensor weak.Pointer[device.Tensor]
	bytes  int64
}

var _ device.AsyncDownloader = (*fakeGPU)(nil)

func newFakeGPU(t testing.TB) *fakeGPU {
	return &fakeGPU{Device: newCPU(t, 2), free: 1 << 30, late: 25, failAfter: -1}
}

// mustNotRecord panics in a recorded step.
func (d *fakeGPU) mustNotRecord(op string) {
	if d.recording {
		panic("fake GPU: " + op + " in a recorded step")
	}
}

func (d *fakeGPU) NewTensor(dtype device.DType, shape ...int) (*device.Tensor, error) {
	d.mustNotRecord("NewTensor")
	bytes := int64(dtype.Size())
	for _, n := range shape {
		bytes *= int64(n)
	}
	if d.budget > 0 && d.used()+bytes > d.budget {
		collect()
		if used := d.used(); used+bytes > d.budget {
			return nil, &device.MemoryError{Wanted: bytes, Free: d.budget - used}
		}
	}
	d.tensors++
	t, err := d.Device.NewTensor(dtype, shape...)
	d.live = append(d.live, allocation{weak.Make(t), bytes})
	return t, err
}

// collect runs the garbage collector twice: what a finalizer refers to is freed by the second collection.
func collect() {
	runtime.GC()
	runtime.GC()
}

// used returns the total size of all tensors in bytes.
func (d *fakeGPU) used() (bytes int64) {
	d.live = slices.DeleteFunc(d.live, func(a allocation) bool { return a.tensor.Value() == nil })
	for _, a := range d.live {
		bytes += a.bytes
	}
	return bytes
}

func (d *fakeGPU) Upload(dst *device.Tensor, src []byte) error {
	d.mustNotRecord("Upload")
	if d.failed() {
		return d.failure
	}
	d.uploads++
	if dst.DType() == device.Uint8 {
		d.images++
	}
	return d.Device.Upload(dst, src)
}

// failed counts down to the failure.
func (d *fakeGPU) failed() bool {
	if d.failAfter > 0 {
		d.failAfter--
	}
	return d.failAfter == 0
}

func (d *fakeGPU) Download(dst []byte, src *device.Tensor) error {
	d.mustNotRecord("Download")
	if d.failAfter == 0 {
		return d.failure
	}
	d.downloads++
	return d.Device.Download(dst, src)
}

func (d *fakeGPU) Capture(step func()) (device.Graph, error) {
	d.captures++
	if d.refusal != nil {
		return nil, d.refusal
	}
	return &fakeGraph{d, step}, nil
}

type fakeGraph struct {
	d    *fakeGPU
	step func()
}

func (g *fakeGraph) Launch() {
	g.d.launches++
	g.d.recording = true
	g.step()
	g.d.recording = false
}

func (g *fakeGraph) Close() error {
	g.d.closed++
	return nil
}

func (d *fakeGPU) FreeMemory() int64 { return d.free }

func (d *fakeGPU) NewAsyncDownload(bytes int) (device.AsyncDownload, error) {
	return &fakeFetch{d: d, bytes: make([]byte, bytes)}, nil
}

// fakeFetch delivers the contents that the tensor had when Queue was called.
type fakeFetch struct {
	d       *fakeGPU
	bytes   []byte
	n       int
	pending bool
	asked   int
	closed  bool
}

func (f *fakeFetch) Queue(src *device.Tensor) {
	f.d.mustNotRecord("Queue")
	if f.pending || f.closed {
		panic(fmt.Sprintf("fake GPU: Queue of a fetch that is under way (%v) or closed (%v)", f.pending, f.closed))
	}
	f.n, f.pending, f.asked = src.Len()*src.DType().Size(), true, 0
	if err := f.d.Device.Download(f.bytes[:f.n], src); err != nil {
		panic(err)
	}
	f.d.underWay++
	f.d.most = max(f.d.most, f.d.underWay)
}

func (f *fakeFetch) Ready() bool {
	f.asked++
	return f.asked > f.d.late || f.d.failAfter == 0
}

func (f *fakeFetch) Wait(dst []byte) error {
	if f.d.failAfter == 0 {
		return f.d.failure
	}
	if len(dst) != f.n {
		panic(fmt.Sprintf("fake GPU: Wait for %d bytes to %d", f.n, len(dst)))
	}
	if f.asked <= f.d.late {
		f.d.waits++
	}
	if f.pending {
		f.d.underWay--
	}
	f.pending = false
	copy(dst, f.bytes[:f.n])
	return nil
}

func (f *fakeFetch) Close() error {
	f.closed = true
	return nil
}
