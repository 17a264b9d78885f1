package devicetest

import (
	"fmt"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// matMulCase is a product of the given size on a plan that allows more rows of
// op(A) and a longer sum where moreM and moreK are positive.
type matMulCase struct{ m, n, k, moreM, moreK int }

func matMulCases() []matMulCase {
	return []matMulCase{
		{1, 1, 1, 0, 0},
		{1, 10, 256, 0, 0},
		{17, 1, 5, 0, 0},
		{2, 3, 1, 0, 0},
		{3, 2, 7, 0, 0},
		{5, 7, 11, 0, 0},
		{8, 16, 32, 0, 0},
		{13, 17, 19, 0, 0},
		{31, 37, 41, 0, 0},
		{6, 64, 129, 0, 0},
		{97, 89, 1, 0, 0},
		{257, 130, 67, 0, 0},
		{33, 10, 800, 0, 0},
		{5, 13, 29, 11, 0},
		{5, 13, 29, 0, 40},
		{1, 33, 1, 30, 30},
	}
}

func testMatMul(t *testing.T, dev device.Device, opt Options) {
	for _, c := range matMulCases() {
		for _, trans := range []struct{ a, b bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
			for _, bias := range []bool{false, true} {
				s := device.MatMulSpec{M: c.m + c.moreM, N: c.n, K: c.k + c.moreK, TransA: trans.a, TransB: trans.b, Bias: bias, DType: opt.storage}
				for _, out := range opt.productTypes() {
					s.Out = out
					t.Run(matMulName(s, c), func(t *testing.T) {
						d := newMatMulData(opt, s, c)
						r, got := d.output(t, dev, opt, plan(dev.NewMatMul(s))(t))
						r.check(got, d.want().Widened(opt.productFactor()))
					})
				}
			}
		}
	}
}

// productTypes returns what a product's spec may say of its type.
func (o Options) productTypes() []device.DType {
	if o.dtype() == device.Float32 {
		return []device.DType{0}
	}
	return []device.DType{0, device.Float32}
}

func matMulName(s device.MatMulSpec, c matMulCase) string {
	name := fmt.Sprintf("%dx%dx%d-of-%dx%dx%d-transA=%v-transB=%v-bias=%v", c.m, c.n, c.k, s.M, s.N, s.K, s.TransA, s.TransB, s.Bias)
	if s.Out != 0 {
		name += "-to-" + s.Out.String()
	}
	return name
}

// matMulData is a product with its operands.
type matMulData struct {
	spec       device.MatMulSpec
	m, n, k    int
	a, b, bias []float32
}

func newMatMulData(opt Options, s device.MatMulSpec, c matMulCase) matMulData {
	src := newSource(fmt.Sprintf("matmul/%v/%v", s, c))
	d := matMulData{spec: s, m: c.m, n: c.n, k: c.k, a: opt.round(src.values(c.m * c.k)), b: opt.round(src.values(c.k * c.n))}
	if s.Bias {
		d.bias = src.values(c.n)
	}
	return d
}

func (d matMulData) want() reference.Sums {
	var bias []float64
	if d.spec.Bias {
		bias = reference.Widen(d.bias)
	}
	return reference.MatMul(d.m, d.n, d.k, d.spec.TransA, d.spec.TransB, reference.Widen(d.a), reference.Widen(d.b), bias)
}

// output runs the product and returns the rig and c.
func (d matMulData) output(t *testing.T, dev device.Device, opt Options, p device.MatMul) (*rig, *device.Tensor) {
	r := newRig(t, dev, opt)
	aShape, bShape := []int{d.m, d.k}, []int{d.k, d.n}
	if d.spec.TransA {
		aShape = []int{d.k, d.m}
	}
	if d.spec.TransB {
		bShape = []int{d.n, d.k}
	}
	a, b := r.input("a", d.a, aShape...), r.input("b", d.b, bShape...)
	var bias *device.Tensor
	if d.spec.Bias {
		bias = r.inputFloat32("bias", d.bias, d.n)
	}
	out := d.spec.Out
	if out == 0 {
		out = opt.dtype()
	}
	c := r.newOperand("c", output, out, nil, []int{d.m, d.n})
	r.run(func() { p.Run(c, a, b, bias) })
	return r, c
}
