package devicetest

import (
	"errors"
	"math"
	"slices"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// whiteningBefore returns the whitening layer whose output has the shape of a convolution's input.
func whiteningBefore(c ConvCase) ConvCase {
	return ConvCase{Name: "before-" + c.Name, N: c.N, Spec: device.Conv2DSpec{
		N: c.Spec.N, H: c.Spec.H + 1, W: c.Spec.W + 1, InC: 3, OutC: c.Spec.InC, KH: 2, KW: 2, StrideH: 1, StrideW: 1,
		DilationH: 1, DilationW: 1, Groups: 1, Bias: true, DType: c.Spec.DType, NoBackwardData: true,
	}}
}

// wholeWhitening returns operands of a whitening layer whose outputs are multiples of 16 from 16 on, which GELU leaves as they are: each
// filter picks an element of the window. The convolution after it then has sums that are exact, also in bfloat16, and its pooling
// certain maxima.
func wholeWhitening(opt Options, c ConvCase) (before convData, outputs []float32) {
	before = newConvData(opt, whiteningBefore(c))
	src := newSource("whole whitening/" + c.Name)
	for i := range before.x {
		before.x[i] = float32(16 * src.below(4))
	}
	taps := len(before.w) / before.Spec.OutC
	clear(before.w)
	for o := range before.bias {
		before.w[o*taps+o%taps] = 1
		before.bias[o] = float32(16 * (1 + o/taps))
	}
	return before, narrowed(before.wantForward().Value)
}

// testConvOfActivation checks y = conv2d(f(conv2d(x) + bias)) with a max pooling, and its gradients. Those are for the Forward before
// them, which gets whole numbers, so that each window has a certain maximum; their own operands are any.
func testConvOfActivation(t *testing.T, dev device.Device, opt Options) {
	fused, ok := dev.(device.FusedConvOfActivation)
	activated, activates := dev.(device.FusedConvActivation)
	pooling, pools := dev.(device.FusedConvPool)
	if !ok || !activates || !pools {
		t.Skip("the device has no FusedConvOfActivation")
	}
	f := nn.GELU{}.Activation().Function
	for _, c := range opt.smallConvCases() {
		c.Spec.NoBackwardData = true
		t.Run(c.Name, func(t *testing.T) {
			first, err := activated.NewConv2DActivation(whiteningBefore(c).Spec, f)
			conv, errConv := pooling.NewConv2DMaxPool(c.Spec, poolAfter(c.Spec), false)
			if errors.Is(errors.Join(err, errConv), device.ErrNotSupported) {
				t.Skip("the device has no such convolutions")
			}
			w := whitened{
				ConvCase: c, act: device.ActivationSpec{Function: f, DType: opt.storage}, before: newConvData(opt, whiteningBefore(c)), conv: newConvData(opt, c),
				fused: fused, first: plan(first, err)(t), second: plan(conv, errConv)(t),
			}
			w.conv.roundToWhole()
			for _, ask := range []struct{ dw, dbias bool }{{true, true}, {true, false}, {false, true}} {
				w.run(t, dev, opt, ask.dw, ask.dbias)
			}
		})
	}
}

// whitened is a convolution after a whitening layer.
type whitened struct {
	ConvCase
	act          device.ActivationSpec
	before, conv convData // conv has no x
	fused        device.FusedConvOfActivation
	first        device.ConvActivation
	second       device.Conv2D
}

// join makes the plan for operands of the whitening layer; images, filters and bias are their tensors. It skips the test if the device
// doesn't join the plans.
func (w whitened) join(t *testing.T, r *rig, name string, d convData) (p device.ConvOfActivation, images, filters, bias *device.Tensor) {
	images, filters = r.input(name+" images", d.x, d.xShape()...), r.input(name+" filters", d.w, d.wShape()...)
	bias = r.inputFloat32(name+" bias", d.bias, d.Spec.OutC)
	p, err := w.fused.NewConvOfActivation(w.first, filters, bias, w.second)
	if errors.Is(err, device.ErrNotSupported) {
		t.Skip("the device doesn't join these plans")
	}
	return plan(p, err)(t), images, filters, bias
}

// run checks Forward, and Backward of the gradients that are asked for.
func (w whitened) run(t *testing.T, dev device.Device, opt Options, asksFilters, asksBias bool) {
	pool, inC := poolAfter(w.Spec), w.Spec.InC
	whole, outputs := wholeWhitening(opt, w.ConvCase)
	r := newRig(t, dev, opt)
	wholePlan, wholeImages, _, _ := w.join(t, r, "whole", whole)
	p, images, _, _ := w.join(t, r, "any", w.before)
	dyData := opt.round(newSource("conv of activation/" + w.Name).values(w.N * pool.OutH() * pool.OutW() * pool.C))
	filters, dy := r.input("w", w.conv.w, w.conv.wShape()...), r.input("dy", dyData, pooledShape(w.conv)...)
	y, wholeY := r.output("y", pooledShape(w.conv)...), r.output("whole y", pooledShape(w.conv)...)
	var dw, dbias *device.Tensor
	if asksFilters {
		dw = r.output("dw", w.conv.wShape()...)
	}
	if asksBias {
		dbias = r.outputFloat32("dbias", inC)
	}
	r.run(func() {
		p.Forward(y, images, filters, nil)
		wholePlan.Forward(wholeY, wholeImages, filters, nil)
		p.Backward(dw, dbias, dy, images, filters)
	})

	z := w.before.wantForward()
	z.Rounded = nil // it is not stored
	a := through(w.act, z)
	off := offBy(a, opt)
	sums := reference.Conv2DForward(w.Spec, w.N, a.Value, reference.Widen(w.conv.w), nil)
	more := reference.Conv2DForward(w.Spec, w.N, off, absolute(w.conv.w), nil)
	r.check(y, maxPooled(pool, w.N, alsoOff(sums, more.Value).Widened(opt.productFactor())))
	wholeZ := reference.Conv2DForward(w.Spec, w.N, reference.Widen(outputs), reference.Widen(w.conv.w), nil).Value
	maxima := reference.Pool2DForward(pool, w.N, wholeZ).Value
	r.check(wholeY, reference.Sums{Value: maxima, Magnitude: make([]float64, len(maxima))}) // exactly

	dz := reference.Pool2DBackward(pool, w.N, reference.Widen(dyData), wholeZ).Value
	if asksFilters {
		want, _ := reference.Conv2DBackwardFilter(w.Spec, w.N, dz, a.Value)
		more, _ := reference.Conv2DBackwardFilter(w.Spec, w.N, absolute(narrowed(dz)), off)
		r.check(dw, alsoOff(want, more.Value).Widened(opt.productFactor()))
	}
	if asksBias {
		dx := reference.Conv2DBackwardData(w.Spec, w.N, dz, reference.Widen(w.conv.w)).Widened(opt.productFactor())
		r.check(dbias, biasOfSums(opt, w.act, dx, z, inC))
	}
}

// maxPooled returns the largest sum of each window, which may be off by as much as the window's least certain one.
func maxPooled(pool device.Pool2DSpec, n int, v reference.Sums) reference.Sums {
	return reference.Sums{
		Value: reference.Pool2DForward(pool, n, v.Value).Value, Magnitude: reference.Pool2DForward(pool, n, v.Magnitude).Value, Ulps: v.Ulps,
	}
}

// biasOfSums is biasThrough for a dy that may be off itself, and for dy or slopes that may be rounded to the storage type.
func biasOfSums(opt Options, s device.ActivationSpec, dy, v reference.Sums, c int) reference.Sums {
	sum := biasThrough(s, narrowed(dy.Value), v, c)
	slopes := reference.ActivationBackward(s, slices.Repeat([]float64{1}, len(v.Value)), v.Value).Value
	for i, off := range offBy(dy, opt) {
		if opt.dtype() != device.Float32 {
			// The terms of dy, each of which may be multiplied by a rounded slope, add up to its magnitude.
			sum.Magnitude[i%c] += dy.Magnitude[i] * reference.FormatOf(opt.dtype()).Spacing(math.Abs(slopes[i])) / 2 / (sum.Ulps * reference.Ulp)
		}
		sum.Magnitude[i%c] += off * math.Abs(slopes[i]) / (sum.Ulps * reference.Ulp)
	}
	return sum
}

func convOfActivationOperation() Operation {
	prepare := func(o *Operands) (p device.ConvOfActivation, s device.Conv2DSpec, y, x, w *device.Tensor, err error) {
		fused, ok := o.Device.(device.FusedConvOfActivation)
		activated, activates := o.Device.(device.FusedConvActivation)
		pooling, pools := o.Device.(device.FusedConvPool)
		if !ok || !activates || !pools {
			return nil, s, nil, nil, nil, device.ErrNotSupported
		}
		s = airbenchConv(o)
		s.NoBackwardData = true
		before := whiteningBefore(ConvCase{Spec: s, N: s.N}).Spec
		first, err := activated.NewConv2DActivation(before, nn.GELU{}.Activation().Function)
		if err != nil {
			return nil, s, nil, nil, nil, err
		}
		conv, err := pooling.NewConv2DMaxPool(s, poolAfter(s), false)
		if err != nil {
			return nil, s, nil, nil, nil, err
		}
		filters, bias := o.uniform(-1, 1, before.OutC, before.KH, before.KW, before.InC), o.uniformFloat32(-1, 1, before.OutC)
		p, err = fused.NewConvOfActivation(first, filters, bias, conv)
		d := convData{ConvCase: ConvCase{Spec: s, N: s.N}}
		return p, s, o.zeros(pooledShape(d)...), o.uniform(-1, 1, before.N, before.H, before.W, before.InC), o.uniform(-1, 1, d.wShape()...), err
	}
	return Operation{
		Name: "fused-conv-of-activation", Constructor: "NewConvOfActivation", Group: Convolutions, Types: allFloats, Test: testConvOfActivation,
		Calls: func(Size) []Call {
			return []Call{
				{"conv-of-whiten-gelu/forward", "Forward", func(o *Operands) (Work, error) {
					p, s, y, x, w, err := prepare(o)
					if err != nil {
						return Work{}, err
					}
					return Work{Run: func() { p.Forward(y, x, w, nil) }, Results: []*device.Tensor{y}, FLOPs: s.FLOPs(s.N)}, nil
				}},
				{"conv-of-whiten-gelu/backward", "Backward", func(o *Operands) (Work, error) {
					p, s, y, x, w, err := prepare(o)
					if err != nil {
						return Work{}, err
					}
					p.Forward(y, x, w, nil)
					dw, dbias, dy := o.zeros(w.Shape()...), o.zerosFloat32(s.InC), o.uniform(-1, 1, y.Shape()...)
					return Work{
						Run: func() { p.Backward(dw, dbias, dy, x, w) }, Results: []*device.Tensor{dw, dbias}, FLOPs: 2 * s.FLOPs(s.N),
					}, nil
				}},
			}
		},
	}
}
