package devicetest

import (
	"errors"
	"fmt"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// denseCase is a dense layer, run on n examples, of which two have an invalid label if invalid is set.
type denseCase struct {
	name    string
	spec    device.DenseSpec
	n       int
	invalid bool
}

func denseCases(opt Options) []denseCase {
	var cases []denseCase
	for _, c := range []struct {
		most, n, in, out int
		alpha            float32
		bias             bool
	}{
		{1, 1, 1, 1, 1, false}, {17, 17, 256, 10, 1, true}, {9, 9, 8, 32, 1.0 / 9, false}, {300, 257, 19, 7, 0.5, true},
		{64, 5, 24, 2, 1, true}, {3, 3, 1000, 17, 1, false}, {70, 65, 33, 4, -2, true}, {1100, 1031, 16, 3, 1, true},
	} {
		s := device.DenseSpec{Rows: c.most, In: c.in, Out: c.out, Alpha: c.alpha, Bias: c.bias, DType: opt.storage}
		cases = append(cases, denseCase{fmt.Sprintf("%dx%dx%d-of-%d-times-%.2g-bias=%v", c.n, c.in, c.out, c.most, c.alpha, c.bias), s, c.n, false})
	}
	cases[len(cases)-2].invalid = true
	return cases
}

// fusedDense returns the device as a device.FusedDense, or skips the test.
func fusedDense(t *testing.T, dev device.Device) device.FusedDense {
	t.Helper()
	fused, ok := dev.(device.FusedDense)
	if !ok {
		t.Skip("the device has no FusedDense")
	}
	return fused
}

// testDenseLoss checks y, and what the loss makes of y as it is stored: of a reference of y, the loss might be another.
func testDenseLoss(t *testing.T, dev device.Device, opt Options) {
	fused := fusedDense(t, dev)
	for _, c := range denseCases(opt) {
		for name, l := range map[string]device.LossSpec{"mean": {}, "sum-smoothing": {Sum: true, Smoothing: 0.2}} {
			l.Kind, l.N, l.Classes = device.SoftmaxCrossEntropy, c.spec.Rows, c.spec.Out
			t.Run(c.name+"/"+name, func(t *testing.T) { runDenseLoss(t, dev, opt, fused, c, l, nil) })
			if _, mixed := dev.(device.MixedPrecision); mixed {
				t.Run(c.name+"/"+name+"/scaled", func(t *testing.T) { runDenseLoss(t, dev, opt, fused, c, l, scaled) })
			}
		}
	}
}

// runDenseLoss runs the plan twice, so that the stats add up.
func runDenseLoss(t *testing.T, dev device.Device, opt Options, fused device.FusedDense, c denseCase, l device.LossSpec, scaling []float32) {
	s, src := c.spec, newSource("dense loss/"+c.name)
	xData, wData, biasData := opt.round(src.values(c.n*s.In)), opt.round(src.values(s.In*s.Out)), src.values(s.Out)
	labelData := src.labels(c.n, s.Out)
	if c.invalid {
		labelData[0], labelData[c.n-1] = -1, int32(s.Out)
	}
	r := newRig(t, dev, opt)
	if scaling != nil {
		l.Scaling = r.inputFloat32("scaling", scaling, device.ScalingLen)
	}
	denseLoss, err := fused.NewDenseLoss(s, l)
	if errors.Is(err, device.ErrNotSupported) {
		t.Skip("the device has no such dense layer with a loss")
	}
	p := plan(denseLoss, err)(t)
	start := []float32{0.25, 3, 7, 42}
	x, w, labels := r.input("x", xData, c.n, s.In), r.input("w", wData, s.In, s.Out), r.inputInt32("labels", labelData, c.n)
	stats, dy, y := r.inoutFloat32("stats", start, device.StatsLen), r.output("dy", c.n, s.Out), r.output("y", c.n, s.Out)
	var bias *device.Tensor
	var biasWide []float64
	if s.Bias {
		bias, biasWide = r.inputFloat32("bias", biasData, s.Out), reference.Widen(biasData)
	}
	r.run(func() {
		p.Run(stats, dy, y, x, w, bias, labels)
		p.Run(stats, dy, y, x, w, bias, labels)
	})
	want := reference.MatMul(c.n, s.Out, s.In, false, false, reference.Widen(xData), reference.Widen(wData), nil)
	for i := range want.Value {
		value, magnitude := float64(s.Alpha)*want.Value[i], max(float64(s.Alpha), -float64(s.Alpha))*want.Magnitude[i]
		if biasWide != nil {
			b := biasWide[i%s.Out]
			value, magnitude = value+b, magnitude+max(b, -b)
		}
		want.Set(i, value, magnitude)
	}
	r.check(y, want)
	counted, gradient := reference.Loss(l, reference.LossBatch{Outputs: reference.Unpack(y.DType(), r.bits(y)), Labels: labelData})
	for i, before := range start {
		counted.Set(i, float64(before)+2*counted.Value[i], float64(before)+2*counted.Magnitude[i])
	}
	if scaling != nil {
		gradient = gradient.Times(float64(scaling[device.ScalingScale]))
	}
	r.check(stats, counted)
	r.check(dy, gradient)
}

// testDenseGradients checks all gradients together, and each of them alone.
func testDenseGradients(t *testing.T, dev device.Device, opt Options) {
	fused := fusedDense(t, dev)
	for _, c := range denseCases(opt) {
		t.Run(c.name, func(t *testing.T) {
			gradients, err := fused.NewDenseGradients(c.spec)
			if errors.Is(err, device.ErrNotSupported) {
				t.Skip("the device has no gradients of such a dense layer in one pass")
			}
			runDenseGradients(t, dev, opt, plan(gradients, err)(t), c)
		})
	}
}

func runDenseGradients(t *testing.T, dev device.Device, opt Options, p device.DenseGradients, c denseCase) {
	s, src := c.spec, newSource("dense gradients/"+c.name)
	xData, wData, dyData := opt.round(src.values(c.n*s.In)), opt.round(src.values(s.In*s.Out)), opt.round(src.values(c.n*s.Out))
	r := newRig(t, dev, opt)
	x, w, dy := r.input("x", xData, c.n, s.In), r.input("w", wData, s.In, s.Out), r.input("dy", dyData, c.n, s.Out)
	var dx, dw, dbias [2]*device.Tensor
	for i, name := range []string{"", " alone"} {
		dx[i] = r.output("dx"+name, c.n, s.In)
		dw[i] = r.outputFloat32("dw"+name, s.In, s.Out)
		dbias[i] = r.outputFloat32("dbias"+name, s.Out)
	}
	r.run(func() {
		p.Run(dx[0], dw[0], dbias[0], dy, x, w)
		p.Run(dx[1], nil, nil, dy, x, w)
		p.Run(nil, dw[1], nil, dy, x, w)
		p.Run(nil, nil, dbias[1], dy, x, w)
	})
	ones := make([]float64, c.n)
	for i := range ones {
		ones[i] = 1
	}
	alpha := func(v reference.Sums) reference.Sums {
		for i := range v.Value {
			v.Set(i, float64(s.Alpha)*v.Value[i], max(float64(s.Alpha), -float64(s.Alpha))*v.Magnitude[i])
		}
		return v
	}
	dyWide := reference.Widen(dyData)
	for i := range dx {
		r.check(dx[i], alpha(reference.MatMul(c.n, s.In, s.Out, false, true, dyWide, reference.Widen(wData), nil)))
		r.check(dw[i], alpha(reference.MatMul(s.In, s.Out, c.n, true, false, reference.Widen(xData), dyWide, nil)))
		r.check(dbias[i], reference.MatMul(1, s.Out, c.n, false, false, ones, dyWide, nil))
	}
}

func denseLossOperation() Operation {
	return Operation{
		Name: "fused-dense-loss", Constructor: "NewDenseLoss", Group: Elementwise, Types: allFloats, Test: testDenseLoss, Panics: panicsOfDense,
		Calls: func(Size) []Call {
			return []Call{{"dense-loss", "Run", func(o *Operands) (Work, error) {
				s, x, w, dy, err := denseOperands(o)
				if err != nil {
					return Work{}, err
				}
				l := device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: s.Rows, Classes: s.Out}
				p, err := o.Device.(device.FusedDense).NewDenseLoss(s, l)
				if err != nil {
					return Work{}, err
				}
				stats, y, bias, labels := o.zerosFloat32(device.StatsLen), o.zeros(dy.Shape()...), o.uniformFloat32(-1, 1, s.Out), o.integers(s.Out, s.Rows)
				return Work{
					Run: func() { p.Run(stats, dy, y, x, w, bias, labels) }, Results: []*device.Tensor{stats, dy, y},
					Updated: []*device.Tensor{stats}, Bytes: bytesOf(x, w, y, dy),
				}, nil
			}}}
		},
	}
}

func denseGradientsOperation() Operation {
	return Operation{
		Name: "fused-dense-gradients", Constructor: "NewDenseGradients", Group: Elementwise, Types: allFloats, Test: testDenseGradients,
		Calls: func(Size) []Call {
			return []Call{{"dense-gradients", "Run", func(o *Operands) (Work, error) {
				s, x, w, dy, err := denseOperands(o)
				if err != nil {
					return Work{}, err
				}
				p, err := o.Device.(device.FusedDense).NewDenseGradients(s)
				if err != nil {
					return Work{}, err
				}
				dx, dw, dbias := o.zeros(x.Shape()...), o.zerosFloat32(w.Shape()...), o.zerosFloat32(s.Out)
				return Work{Run: func() { p.Run(dx, dw, dbias, dy, x, w) }, Results: []*device.Tensor{dx, dw, dbias}, Bytes: bytesOf(x, w, dy, dx)}, nil
			}}}
		},
	}
}

// denseOperands returns a layer of ten outputs with its operands.
func denseOperands(o *Operands) (s device.DenseSpec, x, w, dy *device.Tensor, err error) {
	s = device.DenseSpec{Rows: o.pick(1031, 1<<13, 1<<17), In: o.pick(40, 256, 256), Out: 10, Alpha: 0.5, Bias: true, DType: o.DType}
	if _, ok := o.Device.(device.FusedDense); !ok {
		return s, nil, nil, nil, device.ErrNotSupported
	}
	return s, o.uniform(-1, 1, s.Rows, s.In), o.uniform(-1, 1, s.In, s.Out), o.uniform(-1, 1, s.Rows, s.Out), nil
}

func panicsOfDense(t *testing.T, dev device.Device) {
	fused, m := fusedDense(t, dev), memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	s := device.DenseSpec{Rows: 8, In: 5, Out: 3, Alpha: 1, Bias: true}
	loss := plan(fused.NewDenseLoss(s, device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 8, Classes: 3}))(t)
	stats, labels := f32(device.StatsLen), m.tensor(device.Int32, []int{8})
	mustPanic(t, "weights of another shape", func() { loss.Run(stats, f32(8, 3), f32(8, 3), f32(8, 5), f32(3, 5), f32(3), labels) }, "w", "float32[3 5]", "5 3]")
	mustPanic(t, "inputs of other rows", func() { loss.Run(stats, f32(8, 3), f32(8, 3), f32(7, 5), f32(5, 3), f32(3), labels) }, "x", "float32[7 5]", "8 5]")
	mustPanic(t, "no bias", func() { loss.Run(stats, f32(8, 3), f32(8, 3), f32(8, 5), f32(5, 3), nil, labels) }, "bias given: false")
	gradients := plan(fused.NewDenseGradients(s))(t)
	mustPanic(t, "too many rows", func() { gradients.Run(nil, nil, f32(3), f32(9, 3), f32(9, 5), f32(5, 3)) }, "dy", "float32[9 3]", "8")
	mustPanic(t, "a gradient of another shape", func() { gradients.Run(nil, f32(3, 5), nil, f32(8, 3), f32(8, 5), f32(5, 3)) }, "dw", "float32[3 5]", "5 3]")
	mustPanic(t, "no outputs", func() { _, _ = fused.NewDenseGradients(device.DenseSpec{Rows: 1, In: 2}) }, "dense layer", "0 outputs")
}
