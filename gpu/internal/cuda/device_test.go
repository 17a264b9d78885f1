//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"gorgonia.org/cu"
	cublas "gorgonia.org/cu/blas"
	cudnn "gorgonia.org/cu/dnn"

	"trainer/gpu/cudasim"
	"trainer/nn/device"
)

// open opens the emulation's first device.
func open(t *testing.T) *Context {
	t.Helper()
	emulate(t)
	c, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// check fails the test at the first of the errors.
func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// wantText fails the test unless the error has the text.
func wantText(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// alloc allocates device memory. After the test it waits for the work that uses the memory, and frees it.
func alloc(t *testing.T, bytes int64) cu.DevicePtr {
	t.Helper()
	p, err := Alloc(bytes)
	check(t, err)
	t.Cleanup(func() { check(t, cu.Synchronize(), Free(p)) })
	return p
}

// floats allocates device memory that holds the values.
func floats(t *testing.T, values ...float32) cu.DevicePtr {
	t.Helper()
	p := alloc(t, int64(4*len(values)))
	check(t, copyToDevice(p, unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values))))
	return p
}

// copyToDevice copies src to the device and waits for it.
func copyToDevice(dst cu.DevicePtr, src []byte) error {
	return cu.MemcpyHtoD(dst, unsafe.Pointer(unsafe.SliceData(src)), int64(len(src)))
}

// copyToHost copies src, of len(dst) bytes, to the host and waits for it.
func copyToHost(dst []byte, src cu.DevicePtr) error {
	return cu.MemcpyDtoH(unsafe.Pointer(unsafe.SliceData(dst)), src, int64(len(dst)))
}

// read waits for the device, and copies n values from it.
func read(t *testing.T, p cu.DevicePtr, n int) []float32 {
	t.Helper()
	values := make([]float32, n)
	check(t, cu.Synchronize(), copyToHost(unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*n), p))
	return values
}

// If gorgonia changes these types, the handles that handles.go takes from them are wrong.
func TestHandlesOfGorgonia(t *testing.T) {
	for _, c := range []struct {
		value any
		field string
		alone bool // the handle is the only field
	}{
		{cu.Stream{}, "s", true}, {cu.Function{}, "fn", true}, {cu.Module{}, "mod", true},
		{cudnn.TensorDescriptor{}, "internal", false}, {cudnn.Filter{}, "internal", false},
		{cudnn.Convolution{}, "internal", false}, {cudnn.Pooling{}, "internal", false},
		{cudnn.Activation{}, "internal", false}, {cudnn.Context{}, "internal", false}, {cublas.Standard{}, "h", false},
	} {
		typ := reflect.TypeOf(c.value)
		f := typ.Field(0)
		if f.Name != c.field || f.Offset != 0 || f.Type.Kind() != reflect.Pointer || c.alone && typ.NumField() != 1 {
			t.Errorf("%v begins with %s %v, want the handle %s", typ, f.Name, f.Type, c.field)
		}
	}
}

func TestDevices(t *testing.T) {
	emulate(t)
	n, err := DeviceCount()
	if n != 2 || err != nil {
		t.Fatalf("DeviceCount() = %d, %v", n, err)
	}
	d, err := Device(1)
	check(t, err)
	for _, attribute := range []int{1, 8, 13, 16, 20, 33, 34, 36, 37, 38, 50, 75, 76, 97} {
		configure(t, fmt.Sprintf("attribute=%d:%d", attribute, attribute)) // each answers its own number
	}
	p, err := DeviceProperties(d)
	check(t, err)
	want := Properties{
		Name: "software emulation", UUID: "GPU-736f6674-7761-7265-2065-6d756c2e0001", PCI: "00000032:21:22.0", Memory: 16 << 20,
		Major: 75, Minor: 76, Multiprocessors: 16, ClockKHz: 13, MemoryClockKHz: 36, MemoryBusBits: 37, L2Cache: 38,
		MaxThreadsPerBlock: 1, SharedMemory: 8, SharedMemoryOptIn: 97, Mode: 20,
	}
	if p != want {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
	for _, index := range []int{-1, 2, 7} {
		if _, err := Open(index); !errors.Is(err, device.ErrNoDevice) {
			t.Errorf("Open(%d): %v, want a device.ErrNoDevice", index, err)
		}
	}
	_, err = Open(7)
	wantText(t, err, "no cuda:7: there are 2 GPUs, cuda:0 to cuda:1")
	wantText(t, countError{3, 1}, "no cuda:3: there is one GPU, cuda:0")
	wantText(t, countError{0, 0}, "the driver sees no GPU")

	var e *Error
	if _, err := Open(1); !errors.As(err, &e) || !e.Busy() {
		t.Errorf("Open(1): %v, want busy", err)
	}
}

func TestContext(t *testing.T) {
	c := open(t)
	check(t, c.Synchronize())
	configure(t, "fail=cuCtxSynchronize:ILLEGAL_ADDRESS")
	err := c.Synchronize()
	wantText(t, err, "waiting for the device: cuCtxSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS")
	if !errors.Is(err, device.ErrLost) {
		t.Errorf("%v is no device.ErrLost", err)
	}
}

func TestCheck(t *testing.T) {
	open(t)
	plain := errors.New("another")
	if err := Check("doing", plain); err != plain {
		t.Errorf("Check changes %v to %v", plain, err)
	}
	// An error that the shim didn't see on this thread keeps gorgonia's number.
	if _, err := cu.MemAlloc(0); err == nil {
		t.Fatal("cuMemAlloc takes 0 bytes")
	}
	expect(t, "cuMemAlloc_v2")
	_ = Check("", cu.InvalidValue)
	wantText(t, Check("doing", cu.OutOfMemory), "doing: CUDA_ERROR_OUT_OF_MEMORY")
}

func TestMemory(t *testing.T) {
	open(t)
	s, err := NewStream()
	check(t, err)
	defer func() { check(t, DestroyStream(s)) }()
	host, err := AllocHost(16)
	check(t, err)
	if len(host) != 16 || cap(host) != 16 {
		t.Fatalf("AllocHost(16) has length %d, capacity %d", len(host), cap(host))
	}
	defer func() { check(t, FreeHost(host)) }()
	copy(host, "0123456789abcdef")
	a, b := alloc(t, 16), alloc(t, 16)
	check(t, CopyToDeviceAsync(a, host, s), CopyAsync(b, a, 16, s), SetAsync(b, 'x', 3, s), Wait(s))
	clear(host)
	check(t, CopyToHostAsync(host, b, s), Wait(s))
	if got := string(host); got != "xxx3456789abcdef" {
		t.Errorf("got %q", got)
	}
	got := make([]byte, 16)
	check(t, copyToHost(got, a))
	if string(got) != "0123456789abcdef" {
		t.Errorf("got %q", got)
	}
	// With nothing to do there is no call.
	check(t, CopyToDeviceAsync(0, nil, s), CopyToHostAsync(nil, 0, s),
		CopyAsync(0, 0, 0, s), SetAsync(0, 0, 0, s), Free(0), FreeHost(nil))

	free, total, err := FreeMemory()
	check(t, err)
	_, err = Alloc(1 << 30)
	if !errors.Is(err, device.ErrOutOfMemory) || total != 16<<20 || free <= 0 || free >= total {
		t.Errorf("Alloc: %v; %d of %d free", err, free, total)
	}
	if err == nil || !strings.HasSuffix(err.Error(), " of 16777216 bytes are free") ||
		!strings.HasPrefix(err.Error(), "allocating 1073741824 bytes on the device: cuMemAlloc_v2: CUDA_ERROR_OUT_OF_MEMORY: ") {
		t.Errorf("Alloc: %v", err)
	}
	configure(t, "fail=cuMemHostAlloc:OUT_OF_MEMORY")
	_, err = AllocHost(1 << 30)
	wantText(t, err, "allocating 1073741824 bytes of pinned host memory: cuMemHostAlloc: CUDA_ERROR_OUT_OF_MEMORY")
}

func TestEvents(t *testing.T) {
	open(t)
	s, err := NewStream()
	check(t, err)
	start, err := NewEvent(true)
	check(t, err)
	end, err := NewEvent(true)
	check(t, err)
	without, err := NewEvent(false)
	check(t, err)
	p := alloc(t, 4)
	const work = 50 * time.Millisecond
	configure(t, fmt.Sprintf("slow=cuMemsetD8Async:%d", work.Microseconds()))
	check(t, Record(start, s), WaitEvent(start), SetAsync(p, 0, 4, s), Record(end, s), Record(without, s))
	for _, e := range []cu.Event{end, without} {
		if done, err := Done(e); done || err != nil {
			t.Errorf("Done before the work is: %v, %v", done, err)
		}
	}
	check(t, WaitEvent(without))
	for _, e := range []cu.Event{start, end, without} {
		if done, err := Done(e); !done || err != nil {
			t.Errorf("Done after the work is: %v, %v", done, err)
		}
	}
	// The factor only finds another unit: the machine may be busy.
	if d, err := Elapsed(start, end); d < work || d > 100*work || err != nil {
		t.Errorf("Elapsed: %v, %v for %v of work", d, err, work)
	}
	if _, err := Elapsed(start, without); err == nil {
		t.Error("Elapsed takes an event without a time")
	}
	expect(t, "cuEventElapsedTime")
	check(t, DestroyEvent(start), DestroyEvent(end), DestroyEvent(without), DestroyStream(s))
}

func TestModule(t *testing.T) {
	open(t)
	_, err := LoadModule("bad.ptx", ".version 8.1, a syntax error")
	wantText(t, err, "loading bad.ptx: cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX: software emulation: a PTX JIT compilation failed (the module says .version 8.1, a syntax error)")
	expect(t, "cuModuleLoadDataEx")
	m := module(t)
	if want := "software emulation: loaded (the module says .version 8.1)"; m.Log != want {
		t.Errorf("log %q, want %q", m.Log, want)
	}
	_, err = m.Kernel("other")
	wantText(t, err, "looking for kernel other in kernels.ptx: cuModuleGetFunction: CUDA_ERROR_NOT_FOUND")
	k, err := m.Kernel("write_arguments")
	check(t, err)
	if n, err := k.MaxThreads(); n != 1024 || err != nil {
		t.Errorf("MaxThreads: %d, %v", n, err)
	}
	check(t, k.AllowShared(64<<10))
	wantText(t, k.AllowShared(300<<10), "allowing kernel write_arguments 307200 bytes of shared memory: cuFuncSetAttribute: CUDA_ERROR_INVALID_VALUE")
	expect(t, "cuFuncSetAttribute")
	check(t, m.Unload())
	if _, err := k.MaxThreads(); err == nil {
		t.Error("a kernel of a module that was unloaded can be asked about")
	}
	expect(t, "cuFuncGetAttribute")
}

// launched is struct arguments of testdata/kernels.cu.
type launched struct {
	A      int32
	B      uint32
	C      int64
	D      uint64
	E      float32
	_      int32
	F      float64
	G      [11]byte
	Launch [6]uint32
}

// module loads testdata/kernels.ptx.
func module(t *testing.T) *Module {
	t.Helper()
	image, err := os.ReadFile("testdata/kernels.ptx")
	check(t, err)
	m, err := LoadModule("kernels.ptx", string(image))
	check(t, err)
	return m
}

// kernel returns the kernel of testdata/kernels.cu, which writes its arguments to the address in the first.
func kernel(t *testing.T) *Kernel {
	t.Helper()
	k, err := module(t).Kernel("write_arguments")
	check(t, err)
	return k
}

// set gives a the arguments of that kernel.
func set(a *Args, out cu.DevicePtr, struct_ []byte) *Args {
	return a.Reset().Pointer(out).Int32(-5).Uint32(math.MaxUint32).Int64(-1 << 40).Uint64(1 << 63).Float32(1.5).
		Float64(-2.25).Bytes(struct_)
}

func TestLaunch(t *testing.T) {
	open(t)
	s, err := NewStream()
	check(t, err)
	k := kernel(t)
	out := alloc(t, int64(unsafe.Sizeof(launched{})))
	var a Args
	how := arguments(t, "cuLaunchKernel", func() error {
		return k.Launch(Dim{2, 3, 4}, Dim{32, 2, 1}, 512, s, set(&a, out, []byte("hello world")))
	})
	if want := []string{list(2, 3, 4, 32, 2, 1, 512, unsafe.Pointer(streamHandle(s)))}; !slices.Equal(how, want) {
		t.Errorf("launched with %q, want %q", how, want)
	}
	check(t, Wait(s))
	got := make([]byte, unsafe.Sizeof(launched{}))
	check(t, copyToHost(got, out))
	want := launched{A: -5, B: math.MaxUint32, C: -1 << 40, D: 1 << 63, E: 1.5, F: -2.25,
		G: [11]byte([]byte("hello world")), Launch: [6]uint32{2, 3, 4, 32, 2, 1}}
	if g := *(*launched)(unsafe.Pointer(&got[0])); g != want {
		t.Errorf("got  %+v\nwant %+v", g, want)
	}
	wantText(t, k.Launch(Along(1), Along(2048), 0, s, set(&a, out, make([]byte, 11))),
		"launching kernel write_arguments: cuLaunchKernel: CUDA_ERROR_INVALID_VALUE")
	expect(t, "write_arguments")
	check(t, DestroyStream(s))
}

func TestArgumentsOfOtherKinds(t *testing.T) {
	open(t)
	k := kernel(t)
	k.Parameters = "pi"
	defer func() {
		if r := recover(); r != `cuda: kernel write_arguments: arguments of kinds "pf", want "pi"` {
			t.Errorf("panic %v", r)
		}
	}()
	var a Args
	t.Error(k.Launch(Along(1), Along(1), 0, cu.NoStream, a.Reset().Pointer(0).Float32(1)))
}

func TestTooManyArguments(t *testing.T) {
	defer func() {
		if r := recover(); r != "cuda: a kernel takes at most 64 arguments" {
			t.Errorf("panic %v", r)
		}
	}()
	var a Args
	for range 65 {
		a.Int32(0)
	}
}

func TestGraph(t *testing.T) {
	emulate(t)
	t.Cleanup(cudasim.Reset) // in a context that has failed, nothing can be freed
	_, err := Open(0)
	check(t, err)
	s, err := NewStream()
	check(t, err)
	_, err = EndCapture(s)
	wantText(t, err, "ending the recording of a stream: cuStreamEndCapture: CUDA_ERROR_ILLEGAL_STATE")
	expect(t, "cuStreamEndCapture")
	p, err := Alloc(4)
	check(t, err, SetAsync(p, 1, 4, s), Wait(s), BeginCapture(s), SetAsync(p, 2, 4, s))
	g, err := EndCapture(s)
	check(t, err)
	value := func() byte {
		got := make([]byte, 4)
		check(t, Wait(s), copyToHost(got, p))
		return got[0]
	}
	if v := value(); v != 1 {
		t.Errorf("work that was only recorded has set %d", v)
	}
	check(t, g.Upload(s), g.Launch(s))
	if v := value(); v != 2 {
		t.Errorf("recorded work has left %d", v)
	}
	check(t, SetAsync(p, 3, 4, s), g.Launch(s))
	if v := value(); v != 2 {
		t.Errorf("recorded work has left %d the second time", v)
	}
	configure(t, "fail=cuGraphLaunch:LAUNCH_FAILED")
	check(t, g.Launch(s)) // the work fails, not the call
	err = Wait(s)
	wantText(t, err, "waiting for a stream: cuStreamSynchronize: CUDA_ERROR_LAUNCH_FAILED")
	if !errors.Is(err, device.ErrLost) {
		t.Errorf("%v is no device.ErrLost", err)
	}
	check(t, g.Destroy(), g.Destroy())
}
