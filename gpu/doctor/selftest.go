package doctor

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// The self-test runs a few operations on a GPU and on the CPU, and compares the results. The operands are deterministic
// and between -1 and 1, so that a sum of a hundred products is of the order of 10.

// The largest acceptable difference between the GPU and the CPU, relative to the largest value.
const (
	// Summing a few hundred float32 products in a different order changes the result by less than 1e-5.
	selftestBound = 1e-4
	// A result in float16 is rounded to 10 mantissa bits, an error of 4.9e-4 at most. Algorithms that transform their
	// operands, such as Winograd's, round a few times more. The operands are the same on both devices.
	selftestBound16 = 4e-3
)

// operation is an operation of the self-test. Tensors of several dimensions have its dtype, vectors are float32.
type operation struct {
	name  string
	dtype device.DType
	bound float64
	out   []int   // shape of the result
	in    [][]int // shapes of the operands
	plan  func(dev device.Device, dtype device.DType) (run func(y *device.Tensor, in []*device.Tensor), err error)
}

// operations returns the operations of the self-test: one each for cuDNN, cuBLAS and a kernel of package kernels.
func operations() []operation {
	convolution := operation{out: []int{4, 16, 16, 32}, in: [][]int{{4, 16, 16, 16}, {32, 3, 3, 16}, {32}}, plan: planConvolution}
	single, half := convolution, convolution
	single.name, single.dtype, single.bound = "convolution in fp32 (cuDNN)", device.Float32, selftestBound
	half.name, half.dtype, half.bound = "convolution in fp16 (cuDNN)", device.Float16, selftestBound16
	return []operation{
		single, half,
		{
			name: "matrix product (cuBLAS)", dtype: device.Float32, bound: selftestBound,
			out: []int{96, 64}, in: [][]int{{96, 128}, {128, 64}, {64}}, plan: planProduct,
		},
		{
			name: "softmax (own kernel)", dtype: device.Float32, bound: selftestBound,
			out: []int{64, 10}, in: [][]int{{64, 10}}, plan: planSoftmax,
		},
	}
}

// planConvolution plans a 3x3 convolution with bias.
func planConvolution(dev device.Device, dtype device.DType) (func(*device.Tensor, []*device.Tensor), error) {
	plan, err := dev.NewConv2D(device.Conv2DSpec{
		N: 4, H: 16, W: 16, InC: 16, OutC: 32, KH: 3, KW: 3, StrideH: 1, StrideW: 1,
		PadH: 1, PadW: 1, DilationH: 1, DilationW: 1, Groups: 1, Bias: true, DType: dtype, NoBackward: true,
	})
	return func(y *device.Tensor, in []*device.Tensor) { plan.Forward(y, in[0], in[1], in[2]) }, err
}

// planProduct plans a matrix product with bias.
func planProduct(dev device.Device, dtype device.DType) (func(*device.Tensor, []*device.Tensor), error) {
	plan, err := dev.NewMatMul(device.MatMulSpec{M: 96, N: 64, K: 128, Bias: true, DType: dtype})
	return func(c *device.Tensor, in []*device.Tensor) { plan.Run(c, in[0], in[1], in[2]) }, err
}

// planSoftmax plans the softmax of rows.
func planSoftmax(dev device.Device, _ device.DType) (func(*device.Tensor, []*device.Tensor), error) {
	plan, err := dev.NewSoftmax(device.SoftmaxSpec{N: 64, Classes: 10})
	return func(y *device.Tensor, in []*device.Tensor) { plan.Forward(y, in[0]) }, err
}

// selftest runs the operations on a device and on the reference, the CPU. Before each, begin gets its name and the
// results so far.
func selftest(dev, reference device.Device, begin func(name string, done []Selftest)) ([]Selftest, error) {
	var tests []Selftest
	for _, o := range operations() {
		begin(o.name, tests)
		want, err := o.run(reference, reference, device.Float32)
		if err != nil {
			return tests, fmt.Errorf("self-test on the CPU: %s: %w", o.name, err)
		}
		got, err := o.run(dev, reference, o.dtype)
		if err != nil {
			return tests, err
		}
		e := relativeError(got, want)
		tests = append(tests, Selftest{Name: o.name, Error: e, Bound: o.bound, OK: e <= o.bound})
	}
	return tests, nil
}

// judge fills in Usable, and Reason if a test failed.
func (g *GPU) judge() {
	g.Usable = g.Reason == "" && len(g.Tests) > 0
	for _, t := range g.Tests {
		if !t.OK {
			g.Usable = false
			g.Reason = fmt.Sprintf("the self-test found a wrong result: %s, error %.1e relative to the largest value (limit %.0e)", t.Name, t.Error, t.Bound)
			return
		}
	}
}

// relativeError returns max|got - want| / max|want|, or the largest float64 if that is infinite or NaN, which JSON
// can't represent.
func relativeError(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.MaxFloat64
	}
	var difference, largest float64
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return math.MaxFloat64
		}
		difference = max(difference, d)
		largest = max(largest, math.Abs(float64(want[i])))
	}
	if difference == 0 {
		return 0
	}
	return min(difference/largest, math.MaxFloat64)
}

// run computes the operation on a device with tensors of a dtype, which may be wider than the operation's. The operands
// are rounded to the operation's dtype in any case; the CPU converts them.
func (o operation) run(dev, cpu device.Device, dtype device.DType) ([]float32, error) {
	run, err := o.plan(dev, dtype)
	if err != nil {
		return nil, err
	}
	y, err := dev.NewTensor(dtype, o.out...)
	if err != nil {
		return nil, err
	}
	in := make([]*device.Tensor, len(o.in))
	for i, shape := range o.in {
		if in[i], err = o.operand(dev, cpu, i, shape, dtype); err != nil {
			return nil, err
		}
	}
	run(y, in)
	result := make([]byte, y.Len()*dtype.Size())
	if err := dev.Download(result, y); err != nil {
		return nil, err
	}
	if result, err = convert(cpu, result, dtype, device.Float32); err != nil {
		return nil, err
	}
	values := make([]float32, y.Len())
	copy(device.Bytes(values), result)
	return values, nil
}

// operand returns operand i with its values.
func (o operation) operand(dev, cpu device.Device, i int, shape []int, dtype device.DType) (*device.Tensor, error) {
	narrow := o.dtype
	if len(shape) == 1 {
		narrow, dtype = device.Float32, device.Float32
	}
	t, err := dev.NewTensor(dtype, shape...)
	if err != nil {
		return nil, err
	}
	values := make([]float32, t.Len())
	for j := range values {
		values[j] = float32(math.Sin(float64(1 + j*(i+2))))
	}
	bytes, err := convert(cpu, device.Bytes(values), device.Float32, narrow)
	if err != nil {
		return nil, err
	}
	if bytes, err = convert(cpu, bytes, narrow, dtype); err != nil {
		return nil, err
	}
	return t, dev.Upload(t, bytes)
}

// convert converts elements from one float type to another, on the CPU.
func convert(cpu device.Device, elements []byte, from, to device.DType) ([]byte, error) {
	if from == to {
		return elements, nil
	}
	n := len(elements) / from.Size()
	plan, err := cpu.NewCast(device.CastSpec{From: from, To: to, Len: n})
	if err != nil {
		return nil, err
	}
	src, err := cpu.NewTensor(from, n)
	if err != nil {
		return nil, err
	}
	dst, err := cpu.NewTensor(to, n)
	if err != nil {
		return nil, err
	}
	if err := cpu.Upload(src, elements); err != nil {
		return nil, err
	}
	plan.Run(dst, src)
	converted := make([]byte, n*to.Size())
	return converted, cpu.Download(converted, dst)
}
