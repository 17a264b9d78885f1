package devicetest

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// smallConvCases are convolutions of few channels, of whose output max pooling by 2 x 2 follows.
func (o Options) smallConvCases() []ConvCase {
	var cases []ConvCase
	for _, c := range []struct{ most, n, h, w, inC, outC, k, pad, extra int }{
		{3, 3, 11, 13, 24, 72, 3, 1, 0},   // a row and a column over, and more than one group of channels
		{3, 2, 9, 34, 4, 16, 3, 0, 0},     // several bands, and fewer images than the plan has
		{40, 37, 6, 6, 3, 8, 3, 1, 0},     // many images
		{2, 2, 12, 14, 1, 24, 5, 0, 0},    // one channel
		{2, 2, 7, 8, 5, 16, 2, 0, 1},      // unequal padding
		{110, 100, 4, 4, 4, 136, 3, 1, 0}, // more bands than blocks
	} {
		s := device.Conv2DSpec{
			N: c.most, H: c.h, W: c.w, InC: c.inC, OutC: c.outC, KH: c.k, KW: c.k, StrideH: 1, StrideW: 1, PadH: c.pad, PadW: c.pad,
			ExtraPadH: c.extra, ExtraPadW: c.extra, DilationH: 1, DilationW: 1, Groups: 1, DType: o.storage,
		}
		cases = append(cases, ConvCase{Name: fmt.Sprintf("small-%dx%d-of-%dx%dx%dx%d", c.k, c.k, c.n, c.h, c.w, c.inC), Spec: s, N: c.n})
	}
	return cases
}

// testConvPoolBatchNorm checks y = f(batchnorm(maxpool(conv2d(x)))) and its gradients, with whole numbers as operands of the
// convolution, so that its sums are exact and each window has a certain maximum.
func testConvPoolBatchNorm(t *testing.T, dev device.Device, opt Options) {
	fused, ok := dev.(device.FusedConvPoolBatchNorm)
	pooling, pools := dev.(device.FusedConvPool)
	activated, activates := dev.(device.FusedBatchNorm)
	if !ok || !pools || !activates {
		t.Skip("the device has no FusedConvPoolBatchNorm")
	}
	relu, gelu := nn.ReLU{}.Activation().Function, nn.GELU{}.Activation().Function
	for _, c := range opt.smallConvCases() {
		for _, k := range []struct {
			name   string
			f      *device.Function
			noData bool // nothing before the convolution is trained
			after  bool // and there is a whitening layer before it
		}{{"relu", relu, false, false}, {"gelu", gelu, false, false}, {"gelu-first-layer", gelu, true, false}, {"gelu-after-whitening", gelu, true, true}} {
			c.Spec.NoBackwardData = k.noData
			t.Run(k.name+"/"+c.Name, func(t *testing.T) {
				conv, err := pooling.NewConv2DMaxPool(c.Spec, poolAfter(c.Spec), false)
				if errors.Is(err, device.ErrNotSupported) {
					t.Skip("the device has no such convolution with pooling")
				}
				v := convPooled{fused: fused, conv: plan(conv, err)(t), data: newConvData(opt, c), act: device.ActivationSpec{Function: k.f, DType: opt.storage}}
				v.data.roundToWhole()
				if k.after {
					v.whiten(t, dev, opt)
				}
				d := newFusedBatchNormData(opt, k.f, c.Name, pooledShape(v.data), opt.round(narrowed(reference.Pool2DForward(poolAfter(c.Spec), c.N, v.data.wantForward().Value).Value)))
				d.spec.Rows = c.Spec.N * d.shape[1] * d.shape[2]
				v.norm = plan(activated.NewBatchNormActivation(d.spec, k.f))(t)
				v.run(t, dev, opt, d)
			})
		}
	}
}

// convPooled is a convolution with pooling before a batch normalisation.
type convPooled struct {
	fused  device.FusedConvPoolBatchNorm
	conv   device.Conv2D
	norm   device.BatchNorm
	data   convData
	act    device.ActivationSpec
	before *whitened // a whitening layer before the convolution; nil without
	whole  convData  // of that layer
}

// whiten puts a whitening layer before the convolution. It skips the test on a device that doesn't fuse the two.
func (v *convPooled) whiten(t *testing.T, dev device.Device, opt Options) {
	activated, activates := dev.(device.FusedConvActivation)
	fused, joins := dev.(device.FusedConvOfActivation)
	if !activates || !joins {
		t.Skip("the device has no FusedConvOfActivation")
	}
	first, err := activated.NewConv2DActivation(whiteningBefore(v.data.ConvCase).Spec, v.act.Function)
	if errors.Is(err, device.ErrNotSupported) {
		t.Skip("the device has no such convolution with an activation")
	}
	v.before = &whitened{ConvCase: v.data.ConvCase, fused: fused, first: plan(first, err)(t), second: v.conv}
	v.whole, v.data.x = wholeWhitening(opt, v.data.ConvCase)
}

// join makes the plan. x is the input of the convolution, or of the layer before it; of is nil without one.
func (v *convPooled) join(t *testing.T, r *rig) (joined device.ConvPoolBatchNorm, of device.ConvOfActivation, x *device.Tensor) {
	conv := device.ConvForward(v.conv)
	if v.before != nil {
		of, x, _, _ = v.before.join(t, r, "whole", v.whole)
		conv = of
	} else {
		x = r.input("x", v.data.x, v.data.xShape()...)
	}
	joined, err := v.fused.NewConvPoolBatchNorm(conv, v.norm)
	if errors.Is(err, device.ErrNotSupported) {
		t.Skip("the device doesn't join these plans")
	}
	return plan(joined, err)(t), of, x
}

// run runs the joined plans, with a batch normalisation whose x is the pooled output of the convolution.
func (v *convPooled) run(t *testing.T, dev device.Device, opt Options, d batchNormData) {
	act, data, s, c := v.act, v.data, poolAfter(v.data.Spec), v.data.Spec.OutC
	r := newRig(t, dev, opt)
	p, of, x := v.join(t, r)
	w, dy := r.input("w", data.w, data.wShape()...), r.inout("dy", d.dy, d.shape...)
	gamma, beta := d.parameters(r)
	mean, variance := r.inoutFloat32("runningMean", d.runningMean, c), r.inoutFloat32("runningVar", d.runningVar, c)
	pooled, y := r.output("pooled", d.shape...), r.output("y", d.shape...)
	dgamma, dbeta, dw := r.outputFloat32("dgamma", c), r.outputFloat32("dbeta", c), r.output("dw", data.wShape()...)
	var dx, dbias *device.Tensor
	switch {
	case of != nil:
		dbias = r.outputFloat32("dbias", data.Spec.InC)
	case !data.Spec.NoBackwardData:
		dx = r.output("dx", data.xShape()...)
	}
	r.run(func() {
		p.Forward(y, pooled, x, w, gamma, beta, mean, variance)
		p.Backward(dy, dgamma, dbeta, dy, pooled, gamma, beta) // dy, in place of which the gradient may be, is not checked
		if of != nil {
			of.Backward(dw, dbias, dy, x, w)
			return
		}
		v.conv.BackwardFilter(dw, nil, dy, x)
		if dx != nil {
			v.conv.BackwardData(dx, dy, w)
		}
	})
	ref := d.reference()
	pre := ref.Forward(reference.Widen(d.x), reference.Widen(d.gamma), reference.Widen(d.beta))
	r.check(pooled, reference.Sums{Value: reference.Widen(d.x), Magnitude: make([]float64, len(d.x))}) // exactly
	r.check(y, through(act, pre))
	wantMean, wantVar := ref.Running(reference.Widen(d.x), reference.Widen(d.runningMean), reference.Widen(d.runningVar))
	r.check(mean, wantMean)
	r.check(variance, wantVar)
	inner, wantGamma, wantBeta := d.fusedGradients(act, pre, d.dy)
	r.check(dgamma, wantGamma)
	r.check(dbeta, wantBeta)

	// The gradients of the convolution are linear in that of the pooled images, and are off by as much.
	z := data.wantForward().Value
	spread := func(v []float64) []float64 { return reference.Pool2DBackward(s, data.N, v, z).Value }
	off := spread(offBy(inner, opt))
	wantW, _ := reference.Conv2DBackwardFilter(data.Spec, data.N, spread(inner.Value), reference.Widen(data.x))
	moreW, _ := reference.Conv2DBackwardFilter(data.Spec, data.N, off, absolute(data.x))
	r.check(dw, alsoOff(wantW, moreW.Value).Widened(opt.productFactor()))
	wantX := reference.Conv2DBackwardData(data.Spec, data.N, spread(inner.Value), reference.Widen(data.w))
	moreX := reference.Conv2DBackwardData(data.Spec, data.N, off, absolute(data.w))
	want := alsoOff(wantX, moreX.Value).OverTiles(opt.Tile, data.xShape()).Widened(opt.productFactor())
	if dx != nil {
		r.check(dx, want)
	}
	if dbias != nil {
		z := v.whole.wantForward()
		z.Rounded = nil // it is not stored
		r.check(dbias, biasOfSums(opt, act, want, z, data.Spec.InC))
	}
}

// roundToWhole rounds the operands of a convolution to whole numbers.
func (d *convData) roundToWhole() {
	for _, values := range [][]float32{d.x, d.w, d.bias} {
		for i, v := range values {
			values[i] = float32(math.Round(float64(v)))
		}
	}
}

// offBy returns by how much each element of a stored result may be off.
func offBy(v reference.Sums, opt Options) []float64 {
	off := make([]float64, len(v.Value))
	for i, m := range v.Magnitude {
		off[i] = v.Ulps * reference.Ulp * m
		if opt.dtype() != device.Float32 {
			off[i] += reference.FormatOf(opt.dtype()).Spacing(math.Abs(v.Value[i]) + off[i])
		}
	}
	return off
}

// alsoOff returns v with elements that may be off by so much more.
func alsoOff(v reference.Sums, more []float64) reference.Sums {
	for i, m := range more {
		v.Magnitude[i] += m / (v.Ulps * reference.Ulp)
	}
	return v
}

func absolute(v []float32) []float64 {
	a := reference.Widen(v)
	for i, x := range a {
		a[i] = math.Abs(x)
	}
	return a
}

func convPoolBatchNormOperation() Operation {
	prepare := func(o *Operands) (p device.ConvPoolBatchNorm, x, w, pooled *device.Tensor, v []*device.Tensor, err error) {
		fused, ok := o.Device.(device.FusedConvPoolBatchNorm)
		pooling, pools := o.Device.(device.FusedConvPool)
		activated, activates := o.Device.(device.FusedBatchNorm)
		if !ok || !pools || !activates {
			return nil, nil, nil, nil, nil, device.ErrNotSupported
		}
		s := airbenchConv(o)
		pool := poolAfter(s)
		conv, err := pooling.NewConv2DMaxPool(s, pool, false)
		if err != nil {
			return nil, nil, nil, nil, nil, err
		}
		n := device.BatchNormSpec{Rows: s.N * pool.OutH() * pool.OutW(), C: s.OutC, Epsilon: 1e-5, Momentum: 0.1, DType: o.DType}
		norm, err := activated.NewBatchNormActivation(n, nn.GELU{}.Activation().Function)
		if err != nil {
			return nil, nil, nil, nil, nil, err
		}
		p, err = fused.NewConvPoolBatchNorm(conv, norm)
		return p, o.uniform(-1, 3, s.N, s.H, s.W, s.InC), o.uniform(-1, 1, s.OutC, s.KH, s.KW, s.InC),
			o.zeros(s.N, pool.OutH(), pool.OutW(), s.OutC), normVectors(o, s.OutC), err
	}
	return Operation{
		Name: "fused-conv-pool-batchnorm", Constructor: "NewConvPoolBatchNorm", Group: Convolutions, Types: allFloats, Test: testConvPoolBatchNorm,
		Calls: func(Size) []Call {
			return []Call{
				{"conv-pool-batchnorm/forward", "Forward", func(o *Operands) (Work, error) {
					p, x, w, pooled, v, err := prepare(o)
					if err != nil {
						return Work{}, err
					}
					y := o.zeros(pooled.Shape()...)
					return Work{
						Run:     func() { p.Forward(y, pooled, x, w, v[0], v[1], v[2], v[3]) },
						Results: []*device.Tensor{y, pooled, v[2], v[3]}, Updated: v[2:], Bytes: bytesOf(x, pooled, pooled, y),
					}, nil
				}},
				{"conv-pool-batchnorm/backward", "Backward", func(o *Operands) (Work, error) {
					p, x, w, pooled, v, err := prepare(o)
					if err != nil {
						return Work{}, err
					}
					dy, dpooled := o.uniform(-1, 1, pooled.Shape()...), o.zeros(pooled.Shape()...)
					dgamma, dbeta := o.zerosFloat32(v[0].Len()), o.zerosFloat32(v[0].Len())
					p.Forward(o.zeros(pooled.Shape()...), pooled, x, w, v[0], v[1], v[2], v[3])
					return Work{
						Run:     func() { p.Backward(dpooled, dgamma, dbeta, dy, pooled, v[0], v[1]) },
						Results: []*device.Tensor{dgamma, dbeta}, Bytes: bytesOf(pooled, pooled, dy, dy, pooled),
					}, nil
				}},
			}
		},
	}
}

// airbenchConv returns airbench94's second convolution, which a max pooling follows.
func airbenchConv(o *Operands) device.Conv2DSpec {
	size := o.pick(9, 31, 31)
	return device.Conv2DSpec{
		N: o.pick(2, 250, 1024), H: size, W: size, InC: 24, OutC: 64, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1,
		DilationH: 1, DilationW: 1, Groups: 1, DType: o.DType,
	}
}
