package cpu

import (
	"errors"
	"math"
	"testing"

	"trainer/cpu/internal/guard"
	"trainer/cpu/internal/simd"
	"trainer/nn/device"
	"trainer/nn/device/devicetest"
)

// operands makes tensors with reproducible contents on a device.
type operands struct {
	t testing.TB
	d *Device
	i uint64 // tensors made so far
}

func (o *operands) tensor(dtype device.DType, shape ...int) *device.Tensor {
	o.t.Helper()
	x, err := o.d.NewTensor(dtype, shape...)
	if err != nil {
		o.t.Fatal(err)
	}
	return x
}

// zeros returns a float32 tensor of zeros.
func (o *operands) zeros(shape ...int) *device.Tensor { return o.tensor(device.Float32, shape...) }

// newOperands returns operands on a device of two threads.
func newOperands(t testing.TB) *operands {
	t.Helper()
	return &operands{t: t, d: newDevice(t, WithThreads(2))}
}

// floats returns a float32 tensor of the given numbers; shape is optional.
func (o *operands) floats(values []float32, shape ...int) *device.Tensor {
	if len(shape) == 0 {
		shape = []int{len(values)}
	}
	x := o.zeros(shape...)
	if copy(floats(x), values) != x.Len() {
		o.t.Fatalf("%d numbers for the shape %v", len(values), shape)
	}
	return x
}

// ints returns an int32 tensor of the given numbers.
func (o *operands) ints(values ...int32) *device.Tensor {
	x := o.tensor(device.Int32, len(values))
	copy(ints(x), values)
	return x
}

// wantFloats reports an error for each element of got that differs from want by more than relative * |want|. NaN
// matches NaN.
func wantFloats(t *testing.T, name string, got *device.Tensor, relative float64, want ...float32) {
	t.Helper()
	if got.Len() != len(want) {
		t.Fatalf("%s has %d elements, want %d", name, got.Len(), len(want))
	}
	for i, g := range floats(got) {
		w := want[i]
		if g == w || g != g && w != w {
			continue
		}
		if !(math.Abs(float64(g)-float64(w)) <= relative*math.Abs(float64(w))) {
			t.Errorf("%s[%d] = %v, want %v", name, i, g, w)
		}
	}
}

// eachWord calls visit with n random words, different ones in each call.
func (o *operands) eachWord(n int, visit func(i int, word uint32)) {
	o.i++
	for i := 0; i < n; i += 4 {
		var words [4]uint32
		words[0], words[1], words[2], words[3] = device.Random(o.i, device.StreamInit, 0, uint64(i/4))
		for j, w := range words[:min(4, n-i)] {
			visit(i+j, w)
		}
	}
}

// uniform returns a float32 tensor of numbers in [low, high).
func (o *operands) uniform(low, high float32, shape ...int) *device.Tensor {
	x := o.zeros(shape...)
	to := floats(x)
	o.eachWord(len(to), func(i int, word uint32) { to[i] = low + (high-low)*device.Uniform(word) })
	return x
}

// must returns the plan, and panics on an error, which the constructors of this device never return for these specs.
func must[P any](p P, err error) P {
	if err != nil {
		panic(err)
	}
	return p
}

// TestThreadsGiveTheSameBits runs every operation with several numbers of threads.
func TestThreadsGiveTheSameBits(t *testing.T) {
	devicetest.RunThreads(t, func(t *testing.T, threads int) device.Device { return newDevice(t, WithThreads(threads)) })
}

// guarded is a device whose tensors end right before a page that faults on access.
type guarded struct {
	*Device
	t *testing.T
}

func (g guarded) NewTensor(dtype device.DType, shape ...int) (*device.Tensor, error) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	region := guard.New(g.t, n*dtype.Size())
	m := &memory{}
	switch dtype {
	case device.Float32:
		m.f32 = guard.AtEnd[float32](region, n)
	case device.Float16, device.BFloat16:
		m.u16 = guard.AtEnd[uint16](region, n)
	case device.Uint8:
		m.u8 = guard.AtEnd[uint8](region, n)
	case device.Int32:
		m.i32 = guard.AtEnd[int32](region, n)
	}
	return device.WrapTensor(dtype, m, shape...), nil
}

// TestOperationsStayInTheirOperands runs every operation with every instruction set, on tensors that end right before a
// page that faults.
func TestOperationsStayInTheirOperands(t *testing.T) {
	for _, name := range simd.Available() {
		t.Run(string(name), func(t *testing.T) {
			devicetest.RunCalls(t, guarded{newDevice(t, WithInstructions(string(name)), WithThreads(2)), t})
		})
	}
}

// BenchmarkOperations measures every operation on one thread and operands small enough to stay in the cache.
func BenchmarkOperations(b *testing.B) {
	d := newDevice(b, WithThreads(1))
	for _, op := range devicetest.Operations() {
		for _, c := range op.Calls(devicetest.Small) {
			b.Run(op.Name+"/"+c.Name, func(b *testing.B) {
				w, err := c.Make(devicetest.NewOperands(b, d, device.Float32, devicetest.Small))
				if errors.Is(err, device.ErrNotSupported) {
					b.Skip(err)
				}
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					w.Run()
				}
				b.SetBytes(w.Bytes)
			})
		}
	}
}
