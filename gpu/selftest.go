package gpu

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// selftestBound is how far the GPU may be from the CPU, as a share of the largest value. Sums of
// a few hundred float32 products in another order stay within 1e-5.
const selftestBound = 1e-4

// judge fills in Usable, and Reason where a test failed.
func (g *GPU) judge() {
	g.Usable = g.Reason == "" && len(g.Tests) > 0
	for _, t := range g.Tests {
		if !t.OK {
			g.Usable = false
			g.Reason = fmt.Sprintf("the self-test found a wrong result: %s, off by %.1e of the largest value, at most %.0e is right", t.Name, t.Error, t.Bound)
			return
		}
	}
}

// selftest computes one thing with cuDNN, one with cuBLAS and one with a kernel of package kernels,
// on a device and on the reference.
func selftest(dev, reference device.Device) ([]Selftest, error) {
	var tests []Selftest
	for _, t := range []struct {
		name string
		run  func(device.Device) ([]float32, error)
	}{
		{"convolution (cuDNN)", convolve},
		{"matrix product (cuBLAS)", multiply},
		{"softmax (own kernel)", normalize},
	} {
		want, err := t.run(reference)
		if err != nil {
			return tests, fmt.Errorf("the self-test's %s on the CPU: %w", t.name, err)
		}
		got, err := t.run(dev)
		if err != nil {
			return tests, err
		}
		e := relativeError(got, want)
		tests = append(tests, Selftest{Name: t.name, Error: e, Bound: selftestBound, OK: e <= selftestBound})
	}
	return tests, nil
}

// relativeError returns max|got - want| / max|want|; it is the largest float64 where that is not
// a number, which JSON can't write.
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

// convolve returns the result of a 3x3 convolution with bias.
func convolve(dev device.Device) ([]float32, error) {
	spec := device.Conv2DSpec{
		N: 4, H: 16, W: 16, InC: 16, OutC: 32, KH: 3, KW: 3, StrideH: 1, StrideW: 1,
		PadH: 1, PadW: 1, DilationH: 1, DilationW: 1, Groups: 1, Bias: true, NoBackward: true,
	}
	plan, err := dev.NewConv2D(spec)
	if err != nil {
		return nil, err
	}
	return compute(dev, []int{4, 16, 16, 32}, func(y *device.Tensor, in []*device.Tensor) {
		plan.Forward(y, in[0], in[1], in[2])
	}, []int{4, 16, 16, 16}, []int{32, 3, 3, 16}, []int{32})
}

// multiply returns a matrix product with bias.
func multiply(dev device.Device) ([]float32, error) {
	plan, err := dev.NewMatMul(device.MatMulSpec{M: 96, N: 64, K: 128, Bias: true})
	if err != nil {
		return nil, err
	}
	return compute(dev, []int{96, 64}, func(c *device.Tensor, in []*device.Tensor) {
		plan.Run(c, in[0], in[1], in[2])
	}, []int{96, 128}, []int{128, 64}, []int{64})
}

// normalize returns the softmax of rows.
func normalize(dev device.Device) ([]float32, error) {
	plan, err := dev.NewSoftmax(device.SoftmaxSpec{N: 64, Classes: 10})
	if err != nil {
		return nil, err
	}
	return compute(dev, []int{64, 10}, func(y *device.Tensor, in []*device.Tensor) {
		plan.Forward(y, in[0])
	}, []int{64, 10})
}

// compute runs an operation on inputs of these shapes, between -1 and 1, and returns what it wrote.
func compute(dev device.Device, out []int, run func(y *device.Tensor, in []*device.Tensor), shapes ...[]int) ([]float32, error) {
	y, err := dev.NewTensor(device.Float32, out...)
	if err != nil {
		return nil, err
	}
	var in []*device.Tensor
	for i, shape := range shapes {
		t, err := dev.NewTensor(device.Float32, shape...)
		if err != nil {
			return nil, err
		}
		values := make([]float32, t.Len())
		for j := range values {
			values[j] = float32(math.Sin(float64(1 + j*(i+2))))
		}
		if err := dev.Upload(t, device.Bytes(values)); err != nil {
			return nil, err
		}
		in = append(in, t)
	}
	run(y, in)
	result := make([]float32, y.Len())
	return result, dev.Download(device.Bytes(result), y)
}
