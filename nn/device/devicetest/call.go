package devicetest

import (
	"errors"
	"fmt"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// Size says how large the operands of a call are.
type Size uint8

// The sizes.
const (
	Small Size = iota // for tests: split unevenly into several tasks
	Large             // for benchmarks of a CPU: larger than its caches
	Huge              // for benchmarks of a GPU
)

// pick returns the number for the size.
func (s Size) pick(small, large, huge int) int { return [...]int{small, large, huge}[s] }

// Call is one call of a plan's method, before its operands exist.
type Call struct {
	Name   string // such as "gelu/forward"; unique in its operation and size
	Method string // name of the plan's method
	// Make makes the plan and the operands. The error is the constructor's: a device.ErrNotSupported if the device
	// lacks it.
	Make func(o *Operands) (Work, error)
}

// Work is a call that can be run repeatedly.
type Work struct {
	Run     func()
	Results []*device.Tensor // the tensors that Run writes
	Updated []*device.Tensor // the ones among them that Run also reads
	// A benchmark reports bytes per second or floating-point operations per second. Bytes counts what Run has to read
	// and write: each tensor once, unless the formula needs a second pass.
	Bytes, FLOPs int64
}

// Operands makes the operands of a call: tensors of repeatable contents.
type Operands struct {
	Device device.Device
	DType  device.DType // of the tensors whose type the spec leaves open
	Size   Size
	// Dry replaces large tensors with small ones, to test whether a benchmark works.
	Dry bool

	t    testing.TB
	made int
	kept map[string]*device.Tensor // unless nil, tensors of earlier calls
	used map[string]int            // of kept, by this call
}

// NewOperands returns operands on a device.
func NewOperands(t testing.TB, dev device.Device, dtype device.DType, size Size) *Operands {
	return &Operands{Device: dev, DType: dtype, Size: size, t: t}
}

// Reusing returns operands for one call after the other, which get the same tensors where type, number of elements and
// range of random numbers are the same: a benchmark spends its time on calls then, and not on random numbers. What a call
// has written into a tensor is seen by the next, so that results mean nothing.
func (o *Operands) Reusing(t testing.TB) *Operands {
	if o.kept == nil {
		o.kept = map[string]*device.Tensor{}
	}
	next := *o
	next.t, next.used = t, map[string]int{}
	return &next
}

// reused returns a tensor of an earlier call that was made for the same use, or what create returns.
func (o *Operands) reused(use string, dtype device.DType, shape []int, create func() *device.Tensor) *device.Tensor {
	if o.kept == nil {
		return create()
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	use = fmt.Sprintf("%s of %d %v", use, n, dtype)
	o.used[use]++
	key := fmt.Sprintf("%s, number %d", use, o.used[use])
	if o.kept[key] == nil {
		o.kept[key] = create()
	}
	return o.kept[key].View(shape...)
}

// pick returns the number for the size.
func (o *Operands) pick(small, large, huge int) int {
	if o.Dry {
		return small
	}
	return o.Size.pick(small, large, huge)
}

// tensor allocates zeros.
func (o *Operands) tensor(dtype device.DType, shape ...int) *device.Tensor {
	o.t.Helper()
	x, err := o.Device.NewTensor(dtype, shape...)
	if err != nil {
		o.t.Fatalf("allocating %v%v: %v", dtype, shape, err)
	}
	return x
}

func (o *Operands) upload(x *device.Tensor, elements []byte) *device.Tensor {
	o.t.Helper()
	if err := o.Device.Upload(x, elements); err != nil {
		o.t.Fatalf("uploading %v: %v", x, err)
	}
	return x
}

// zeros and zerosFloat32 return zeros of the operands' type, and of float32.
func (o *Operands) zeros(shape ...int) *device.Tensor {
	o.t.Helper()
	return o.zerosOf(o.DType, shape...)
}

func (o *Operands) zerosFloat32(shape ...int) *device.Tensor {
	o.t.Helper()
	return o.zerosOf(device.Float32, shape...)
}

func (o *Operands) zerosOf(dtype device.DType, shape ...int) *device.Tensor {
	o.t.Helper()
	x := o.reused("zeros", dtype, shape, func() *device.Tensor { return o.tensor(dtype, shape...) })
	o.Device.Zero(x)
	return x
}

// uniform and uniformFloat32 return random numbers in [low, high).
func (o *Operands) uniform(low, high float32, shape ...int) *device.Tensor {
	o.t.Helper()
	return o.uniformOf(o.DType, low, high, shape...)
}

func (o *Operands) uniformFloat32(low, high float32, shape ...int) *device.Tensor {
	o.t.Helper()
	return o.uniformOf(device.Float32, low, high, shape...)
}

func (o *Operands) uniformOf(dtype device.DType, low, high float32, shape ...int) *device.Tensor {
	o.t.Helper()
	return o.reused(fmt.Sprintf("uniform %v to %v", low, high), dtype, shape, func() *device.Tensor {
		x := o.tensor(dtype, shape...)
		numbers := o.source().between(min(x.Len(), randomBlock), low, high)
		return o.upload(x, repeat(reference.Round(dtype, reference.Widen(numbers)), x.Len()*dtype.Size()))
	})
}

// integers returns random int32 numbers in [0, n).
func (o *Operands) integers(n int, shape ...int) *device.Tensor {
	o.t.Helper()
	return o.reused(fmt.Sprintf("integers below %d", n), device.Int32, shape, func() *device.Tensor {
		x := o.tensor(device.Int32, shape...)
		return o.upload(x, device.Bytes(o.source().labels(x.Len(), n)))
	})
}

// pixels returns random bytes.
func (o *Operands) pixels(shape ...int) *device.Tensor {
	o.t.Helper()
	return o.reused("pixels", device.Uint8, shape, func() *device.Tensor {
		x := o.tensor(device.Uint8, shape...)
		return o.upload(x, repeat(o.source().pixels(min(x.Len(), randomBlock)), x.Len()))
	})
}

// numbers returns a float32 tensor of the numbers.
func (o *Operands) numbers(values []float32, shape ...int) *device.Tensor {
	o.t.Helper()
	return o.upload(o.tensor(device.Float32, shape...), device.Bytes(values))
}

// randomBlock is the number of random elements in a large tensor, which are then repeated.
const randomBlock = 1 << 20

// source returns the source of random numbers for the next tensor.
func (o *Operands) source() *source {
	o.made++
	return newSource(fmt.Sprintf("operand %d", o.made))
}

// repeat returns the given number of bytes by repeating the block.
func repeat(block []byte, bytes int) []byte {
	if len(block) == bytes {
		return block
	}
	all := make([]byte, bytes)
	for i := 0; i < bytes; i += len(block) {
		copy(all[i:], block)
	}
	return all
}

// bytesOf returns the bytes of the tensors.
func bytesOf(tensors ...*device.Tensor) int64 {
	sum := int64(0)
	for _, t := range tensors {
		sum += int64(t.Len()) * int64(t.DType().Size())
	}
	return sum
}

// eachCall makes the small calls of all operations that the device has, in every storage type that it takes.
func eachCall(t *testing.T, dev device.Device, visit func(t *testing.T, name string, w Work)) {
	_, mixed := dev.(device.MixedPrecision)
	for _, op := range Operations() {
		for _, dtype := range op.Types {
			if dtype != device.Float32 && !mixed {
				continue
			}
			for _, c := range op.Calls(Small) {
				name := fmt.Sprintf("%s/%v/%s", op.Name, dtype, c.Name)
				t.Run(name, func(t *testing.T) {
					w, err := c.Make(NewOperands(t, dev, dtype, Small))
					if errors.Is(err, device.ErrNotSupported) {
						t.Skip(err)
					}
					if err != nil {
						t.Fatal(err)
					}
					visit(t, name, w)
				})
			}
		}
	}
}
