// Package cpu is the device that every machine has. It computes convolutions directly on
// the image, by Winograd's method, or as matrix products with gathered patches, and runs
// loops on a fixed pool of goroutines.
//
// Results are bit-identical with any number of threads: the shape decides how work is
// split, never the number of workers, and partial sums are added in a fixed order.
package cpu

import (
	"fmt"
	"runtime"

	"trainer/cpu/internal/gemm"
	"trainer/cpu/internal/parallel"
	"trainer/cpu/internal/simd"
	"trainer/cpu/internal/vector"
	"trainer/cpu/internal/winograd"
	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// Device is the CPU as a device.Device. Package reference supplies the operations for
// which this package has no code of its own.
type Device struct {
	*reference.Operations
	pool     *parallel.Pool
	kernel   *gemm.Kernel      // for matrix products
	winograd *winograd.Kernels // for the transforms of Winograd's method
	vector   *vector.Kernels   // for everything else
	info     device.Info
	workspace
}

var (
	_ device.Device    = (*Device)(nil)
	_ device.Fallbacks = (*Device)(nil)
)

// Option changes how New sets up the device.
type Option func(*options)

type options struct {
	threads     int
	instruction string
}

// WithThreads sets the number of worker threads; the default is GOMAXPROCS.
func WithThreads(n int) Option { return func(o *options) { o.threads = n } }

// WithInstructions selects the instruction set by name: "avx512", "avx2" or "generic". The
// default, "", selects the best that the processor supports.
func WithInstructions(name string) Option { return func(o *options) { o.instruction = name } }

// New returns the CPU device. It fails if the selected instruction set is unknown or not
// supported by this processor.
func New(opts ...Option) (*Device, error) {
	o := options{threads: runtime.GOMAXPROCS(0)}
	for _, opt := range opts {
		opt(&o)
	}
	if o.threads < 1 {
		return nil, fmt.Errorf("cpu: %d threads asked for, need at least 1", o.threads)
	}
	set, err := simd.Select(o.instruction)
	if err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	kernel := gemm.For(set)
	d := &Device{
		pool:      parallel.New(o.threads),
		kernel:    kernel,
		vector:    vector.For(set),
		winograd:  winograd.For(set),
		info:      describe(o.threads, string(set)),
		workspace: newWorkspace(o.threads, kernel.NR),
	}
	d.Operations = reference.On(d)
	return d, nil
}

// Name returns "cpu".
func (d *Device) Name() string { return "cpu" }

// Info describes the processor.
func (d *Device) Info() device.Info { return d.info }

// Sync returns nil: every operation is complete when its method returns.
func (d *Device) Sync() error { return nil }

// Close stops the worker goroutines.
func (d *Device) Close() error {
	d.pool.Close()
	return nil
}

// memory is the memory of a CPU tensor. Its size never changes; only the slice of the
// tensor's element type is set.
type memory struct {
	f32 []float32
	u16 []uint16
	u8  []uint8
	i32 []int32
}

// NewTensor allocates a tensor of zeros, aligned to a cache line. If the machine, the process's control group or its own
// limits don't leave that much memory, the error is a *device.MemoryError.
func (d *Device) NewTensor(dtype device.DType, shape ...int) (t *device.Tensor, err error) {
	defer returnShortage(&err)
	n := 1
	for _, s := range shape {
		n *= s
	}
	m := &memory{}
	switch dtype {
	case device.Float32:
		m.f32 = aligned[float32](n)
	case device.Float16, device.BFloat16:
		m.u16 = aligned[uint16](n)
	case device.Uint8:
		m.u8 = aligned[uint8](n)
	case device.Int32:
		m.i32 = aligned[int32](n)
	default:
		panic(fmt.Sprintf("cpu: NewTensor with %v", dtype))
	}
	return device.WrapTensor(dtype, m, shape...), nil
}

// Slice returns a part of a float32 tensor over the same memory.
func (d *Device) Slice(t *device.Tensor, from, n int) *device.Tensor {
	if t.DType() != device.Float32 || from < 0 || n < 1 || from%device.SliceAlignment != 0 || from+n > t.Len() {
		panic(fmt.Sprintf("cpu: slice of %v: %d elements from %d on, want float32 from a multiple of %d", t, n, from, device.SliceAlignment))
	}
	x := floats(t)
	return device.WrapTensor(device.Float32, &memory{f32: x[from : from+n : from+n]}, n)
}

// InHostMemory marks the device as a device.HostMemory.
func (d *Device) InHostMemory() {}

// floats returns the elements of a float32 tensor.
func floats(t *device.Tensor) []float32 { return t.Memory().(*memory).f32[:t.Len()] }

// optionalFloats is floats, or nil for a nil tensor.
func optionalFloats(t *device.Tensor) []float32 {
	if t == nil {
		return nil
	}
	return floats(t)
}

// uint16s returns the bits of a float16 or bfloat16 tensor.
func uint16s(t *device.Tensor) []uint16 { return t.Memory().(*memory).u16[:t.Len()] }

// uint8s returns the elements of a uint8 tensor.
func uint8s(t *device.Tensor) []uint8 { return t.Memory().(*memory).u8[:t.Len()] }

// ints returns the elements of an int32 tensor.
func ints(t *device.Tensor) []int32 { return t.Memory().(*memory).i32[:t.Len()] }

// raw returns the bytes of any tensor.
func raw(t *device.Tensor) []byte {
	switch t.DType() {
	case device.Float32:
		return device.Bytes(floats(t))
	case device.Float16, device.BFloat16:
		return device.Bytes(uint16s(t))
	case device.Uint8:
		return uint8s(t)
	}
	return device.Bytes(ints(t))
}

// Upload copies src to dst. It panics unless both have the same size.
func (d *Device) Upload(dst *device.Tensor, src []byte) error {
	b := raw(dst)
	if len(src) != len(b) {
		panic(fmt.Sprintf("cpu: Upload of %d bytes to %v, which has %d", len(src), dst, len(b)))
	}
	copy(b, src)
	return nil
}

// Download copies src to dst. It panics unless both have the same size.
func (d *Device) Download(dst []byte, src *device.Tensor) error {
	b := raw(src)
	if len(dst) != len(b) {
		panic(fmt.Sprintf("cpu: Download of %v, which has %d bytes, to %d", src, len(b), len(dst)))
	}
	copy(dst, b)
	return nil
}

// Copy copies src to dst.
func (d *Device) Copy(dst, src *device.Tensor) {
	if dst.DType() != src.DType() || dst.Len() != src.Len() {
		panic(fmt.Sprintf("cpu: Copy of %v to %v", src, dst))
	}
	copy(raw(dst), raw(src))
}

// Zero sets t to zero.
func (d *Device) Zero(t *device.Tensor) { clear(raw(t)) }

// float32Only returns an error unless all element types are Float32, the only type that
// this device computes with.
func (d *Device) float32Only(op string, dtypes ...device.DType) error {
	if err := device.CheckFloat32(dtypes...); err != nil {
		return &device.Error{Device: d.Name(), Op: op, Err: err}
	}
	return nil
}

// unscaled returns an error if loss scaling is on: this device computes in float32, which
// does not need it.
func (d *Device) unscaled(op string, scaling *device.Tensor) error {
	if scaling != nil {
		return &device.Error{Device: d.Name(), Op: op, Err: fmt.Errorf("loss scaling: %w", device.ErrNotSupported)}
	}
	return nil
}
