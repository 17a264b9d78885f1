package devicetest

import (
	"fmt"
	"slices"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// matMulCase is a product of the given size on a plan that allows more rows of op(A) if
// moreM is positive, and a longer sum if moreK is positive.
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
	t.Run("batch", func(t *testing.T) { testMatMulBatch(t, dev, opt) })
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

// testMatMulBatch checks the products of a batch, also of a batch smaller than the plan's.
func testMatMulBatch(t *testing.T, dev device.Device, opt Options) {
	for _, c := range []struct {
		maxBatch, batch int
		matMulCase
	}{{1, 1, matMulCase{3, 2, 7, 0, 0}}, {4, 3, matMulCase{5, 13, 29, 11, 0}}, {3, 3, matMulCase{33, 10, 300, 0, 0}}, {70, 65, matMulCase{8, 8, 4, 0, 3}}} {
		for _, trans := range []struct{ a, b bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
			s := device.MatMulSpec{
				Batch: c.maxBatch, M: c.m + c.moreM, N: c.n, K: c.k + c.moreK, TransA: trans.a, TransB: trans.b, Bias: trans.a, DType: opt.storage,
			}
			for _, out := range opt.productTypes() {
				s.Out = out
				t.Run(fmt.Sprintf("%d-of-%d/%s", c.batch, c.maxBatch, matMulName(s, c.matMulCase)), func(t *testing.T) {
					runMatMulBatch(t, dev, opt, s, c.batch, c.matMulCase)
				})
			}
		}
	}
}

func runMatMulBatch(t *testing.T, dev device.Device, opt Options, s device.MatMulSpec, batch int, size matMulCase) {
	p := plan(dev.NewMatMul(s))(t)
	src := newSource(fmt.Sprintf("matmul/%v/%v", s, size))
	m, n, k := size.m, size.n, size.k
	aData, bData, biasData := opt.round(src.values(batch*m*k)), opt.round(src.values(batch*k*n)), src.values(n)
	aShape, bShape := []int{batch, m, k}, []int{batch, k, n}
	if s.TransA {
		aShape = []int{batch, k, m}
	}
	if s.TransB {
		bShape = []int{batch, n, k}
	}
	r := newRig(t, dev, opt)
	a, b, c := r.input("a", aData, aShape...), r.input("b", bData, bShape...), r.newOperand("c", output, s.OutType(), nil, []int{batch, m, n})
	var bias *device.Tensor
	var biasWide []float64
	if s.Bias {
		bias, biasWide = r.inputFloat32("bias", biasData, n), reference.Widen(biasData)
	}
	r.run(func() { p.Run(c, a, b, bias) })
	r.check(c, reference.MatMulBatch(batch, m, n, k, s.TransA, s.TransB, reference.Widen(aData), reference.Widen(bData), biasWide).Widened(opt.productFactor()))
}

// productTypes returns the types that a product's spec may have.
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

func matMulOperation() Operation {
	return Operation{
		Name: "matmul", Constructor: "NewMatMul", Group: Products, Types: allFloats, Test: testMatMul, Panics: panicsOfMatMul,
		Calls: func(size Size) []Call { return matMulCalls(sizedProducts(size), device.Device.NewMatMul) },
	}
}

// benchProduct is a product of a recipe's dense layer, or a square one. A dense layer has three: the forward pass,
// [batch, in] times [in, out], and the gradients with respect to the weights and the input.
type benchProduct struct {
	from string
	spec device.MatMulSpec
}

// sizedProducts returns the products of a size.
func sizedProducts(size Size) []benchProduct {
	switch size {
	case Small:
		return []benchProduct{
			{"96x96x96-transA", device.MatMulSpec{M: 96, N: 96, K: 96, TransA: true, Bias: true}},
			{"96x96x96-transB", device.MatMulSpec{M: 96, N: 96, K: 96, TransB: true, Bias: true}},
			{"257x130x67", device.MatMulSpec{M: 257, N: 130, K: 67}},
			{"33x10x800", device.MatMulSpec{M: 33, N: 10, K: 800}},
			{"7-times-33x33x1500-transA", device.MatMulSpec{Batch: 7, M: 33, N: 33, K: 1500, TransA: true}},
		}
	case Large:
		all := []benchProduct{
			{"", device.MatMulSpec{M: 256, N: 256, K: 256}},
			{"", device.MatMulSpec{M: 512, N: 512, K: 512}},
			{"", device.MatMulSpec{M: 1024, N: 1024, K: 1024}},
			{"", device.MatMulSpec{M: 2048, N: 2048, K: 2048}},
			{"", device.MatMulSpec{M: 256, N: 256, K: 800}},               // mnist, first dense layer
			{"", device.MatMulSpec{M: 800, N: 256, K: 256, TransA: true}}, // its weights' gradient
			{"", device.MatMulSpec{M: 256, N: 800, K: 256, TransB: true}}, // its input's gradient
			{"", device.MatMulSpec{M: 256, N: 10, K: 256}},                // mnist, output
		}
		for i := range all {
			all[i].from = productName(all[i].spec)
		}
		return all
	}
	all := []benchProduct{
		{"mnist", device.MatMulSpec{M: 256, N: 256, K: 800}},
		{"mnist", device.MatMulSpec{M: 800, N: 256, K: 256, TransA: true}},
		{"mnist", device.MatMulSpec{M: 256, N: 800, K: 256, TransB: true}},
		{"cifar10-basic", device.MatMulSpec{M: 128, N: 128, K: 2048}},
		{"airbench94", device.MatMulSpec{M: 1024, N: 10, K: 256}},
		{"square", device.MatMulSpec{M: 1024, N: 1024, K: 1024}},
		{"square", device.MatMulSpec{M: 2048, N: 2048, K: 2048}},
		{"square", device.MatMulSpec{M: 4096, N: 4096, K: 4096}},
		{"square", device.MatMulSpec{M: 8192, N: 8192, K: 8192}},
	}
	for i := range all {
		all[i].from += "-" + productName(all[i].spec)
	}
	return all
}

// productName describes a product's sizes and transpositions.
func productName(s device.MatMulSpec) string {
	name := fmt.Sprintf("%dx%dx%d", s.M, s.N, s.K)
	if s.TransA {
		name += "-transA"
	}
	if s.TransB {
		name += "-transB"
	}
	return name
}

// matMulCalls are the products of plans that the constructor makes. The gradient with respect to weights (TransA) is
// float32, as in training.
func matMulCalls(products []benchProduct, construct func(device.Device, device.MatMulSpec) (device.MatMul, error)) []Call {
	var calls []Call
	for _, c := range products {
		calls = append(calls, Call{c.from, "Run", func(o *Operands) (Work, error) {
			s := c.spec
			s.DType, s.Out = o.DType, o.DType
			if s.TransA {
				s.Out = device.Float32
			}
			if o.Dry {
				s.M, s.N, s.K = min(s.M, 32), min(s.N, 32), min(s.K, 32)
			}
			p, err := construct(o.Device, s)
			if err != nil {
				return Work{}, err
			}
			aShape, bShape := []int{s.M, s.K}, []int{s.K, s.N}
			if s.TransA {
				slices.Reverse(aShape)
			}
			if s.TransB {
				slices.Reverse(bShape)
			}
			cShape := []int{s.M, s.N}
			if s.Batch > 0 {
				aShape, bShape, cShape = append([]int{s.Batch}, aShape...), append([]int{s.Batch}, bShape...), append([]int{s.Batch}, cShape...)
			}
			a, b, out := o.uniform(-1, 1, aShape...), o.uniform(-1, 1, bShape...), o.zerosOf(s.Out, cShape...)
			var bias *device.Tensor
			if s.Bias {
				bias = o.uniformFloat32(-1, 1, s.N)
			}
			return Work{
				Run: func() { p.Run(out, a, b, bias) }, Results: []*device.Tensor{out}, FLOPs: 2 * int64(max(s.Batch, 1)) * int64(s.M) * int64(s.N) * int64(s.K),
			}, nil
		}})
	}
	return calls
}

func panicsOfMatMul(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	product := plan(dev.NewMatMul(device.MatMulSpec{M: 4, N: 5, K: 6}))(t)
	mustPanic(t, "sums of different length", func() { product.Run(f32(4, 5), f32(4, 6), f32(5, 5), nil) }, "b", "float32[5 5]", "6")
	mustPanic(t, "another c", func() { product.Run(f32(4, 6), f32(4, 6), f32(6, 5), nil) }, "c", "float32[4 6]", "5]")
	mustPanic(t, "more rows than the plan has", func() { product.Run(f32(7, 5), f32(7, 6), f32(6, 5), nil) }, "7", "4")
	mustPanic(t, "a longer sum than the plan has", func() { product.Run(f32(4, 5), f32(4, 8), f32(8, 5), nil) }, "8", "6")
	mustPanic(t, "a bias that the spec lacks", func() { product.Run(f32(4, 5), f32(4, 6), f32(6, 5), f32(5)) }, "bias")
	if _, mixed := dev.(device.MixedPrecision); mixed {
		panicsOfMatMulTypes(t, dev)
	}
}

// panicsOfMatMulTypes checks that a plan for one type refuses tensors of another type.
func panicsOfMatMulTypes(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	const f16 = device.Float16
	product := plan(dev.NewMatMul(device.MatMulSpec{M: 2, N: 2, K: 2, DType: f16, Out: device.Float32}))(t)
	a := m.tensor(f16, []int{2, 2})
	mustPanic(t, "a product in 16 bits", func() { product.Run(m.tensor(f16, []int{2, 2}), a, a, nil) }, "c", "float16[2 2]", "float32")
	mustPanic(t, "a factor of float32", func() {
		c := m.tensor(device.Float32, []int{2, 2})
		product.Run(m.tensor(device.Float32, []int{2, 2}), a, c, nil)
	}, "b", "float32[2 2]", "float16")
}
