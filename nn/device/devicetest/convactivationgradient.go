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

// testConvActivationGradient checks dbias of conv2d(f(conv2d(x) + bias)). The second convolution's Forward gets whole numbers in place
// of the first one's output, so that each window of its pooling has a certain maximum: of the first its backward pass takes z only.
func testConvActivationGradient(t *testing.T, dev device.Device, opt Options) {
	fused, ok := dev.(device.FusedConvActivationGradient)
	activated, activates := dev.(device.FusedConvActivation)
	pooling, pools := dev.(device.FusedConvPool)
	if !ok || !activates || !pools {
		t.Skip("the device has no FusedConvActivationGradient")
	}
	f := nn.GELU{}.Activation().Function
	for _, c := range opt.smallConvCases() {
		t.Run(c.Name, func(t *testing.T) {
			first, err := activated.NewConv2DActivation(whiteningBefore(c).Spec, f)
			conv, errConv := pooling.NewConv2DMaxPool(c.Spec, poolAfter(c.Spec), false)
			if errors.Is(errors.Join(err, errConv), device.ErrNotSupported) {
				t.Skip("the device has no such convolutions")
			}
			p, err := fused.NewConvActivationGradient(plan(first, err)(t), plan(conv, errConv)(t))
			if errors.Is(err, device.ErrNotSupported) {
				t.Skip("the device doesn't join these plans")
			}
			runConvActivationGradient(t, dev, opt, plan(p, err)(t), conv, c, device.ActivationSpec{Function: f, DType: opt.storage})
		})
	}
}

func runConvActivationGradient(t *testing.T, dev device.Device, opt Options, p device.ConvActivationGradient, conv device.Conv2D, c ConvCase, s device.ActivationSpec) {
	before, d, pool := newConvData(opt, whiteningBefore(c)), newConvData(opt, c), poolAfter(c.Spec)
	d.roundToWhole()
	dyData := opt.round(newSource("conv activation gradient/" + c.Name).values(c.N * pool.OutH() * pool.OutW() * pool.C))
	r := newRig(t, dev, opt)
	images, filters := r.input("images", before.x, before.xShape()...), r.input("filters", before.w, before.wShape()...)
	bias, dbias := r.inputFloat32("bias", before.bias, c.Spec.InC), r.outputFloat32("dbias", c.Spec.InC)
	x, w := r.input("x", d.x, d.xShape()...), r.input("w", d.w, d.wShape()...)
	y, dy := r.output("y", pooledShape(d)...), r.input("dy", dyData, pooledShape(d)...)
	r.run(func() {
		conv.Forward(y, x, w, nil)
		p.Run(dbias, dy, w, images, filters, bias)
	})
	dz := reference.Pool2DBackward(pool, c.N, reference.Widen(dyData), d.wantForward().Value).Value
	dx := reference.Conv2DBackwardData(c.Spec, c.N, dz, reference.Widen(d.w)).Widened(opt.productFactor())
	z := before.wantForward()
	z.Rounded = nil // it is not stored
	r.check(dbias, biasOfSums(opt, s, dx, z, c.Spec.InC))
}

// biasOfSums is biasThrough for a dy that may be off itself, and may be rounded to the storage type.
func biasOfSums(opt Options, s device.ActivationSpec, dy, v reference.Sums, c int) reference.Sums {
	sum := biasThrough(s, narrowed(dy.Value), v, c)
	slopes := reference.ActivationBackward(s, slices.Repeat([]float64{1}, len(v.Value)), v.Value).Value
	for i, off := range offBy(dy, opt) {
		sum.Magnitude[i%c] += off * math.Abs(slopes[i]) / (sum.Ulps * reference.Ulp)
	}
	return sum
}

func convActivationGradientOperation() Operation {
	return Operation{
		Name: "fused-conv-activation-gradient", Constructor: "NewConvActivationGradient", Group: Convolutions, Types: allFloats, Test: testConvActivationGradient,
		Calls: func(Size) []Call {
			return []Call{{"conv-whiten-gelu/backward", "Run", func(o *Operands) (Work, error) {
				fused, ok := o.Device.(device.FusedConvActivationGradient)
				activated, activates := o.Device.(device.FusedConvActivation)
				pooling, pools := o.Device.(device.FusedConvPool)
				if !ok || !activates || !pools {
					return Work{}, device.ErrNotSupported
				}
				s := airbenchConv(o)
				before := whiteningBefore(ConvCase{Spec: s, N: s.N}).Spec
				first, err := activated.NewConv2DActivation(before, nn.GELU{}.Activation().Function)
				if err != nil {
					return Work{}, err
				}
				conv, err := pooling.NewConv2DMaxPool(s, poolAfter(s), false)
				if err != nil {
					return Work{}, err
				}
				p, err := fused.NewConvActivationGradient(first, conv)
				if err != nil {
					return Work{}, err
				}
				d := convData{ConvCase: ConvCase{Spec: s, N: s.N}}
				x, w, y := o.uniform(-1, 3, d.xShape()...), o.uniform(-1, 1, d.wShape()...), o.zeros(pooledShape(d)...)
				conv.Forward(y, x, w, nil)
				images, filters := o.uniform(-1, 1, before.N, before.H, before.W, before.InC), o.uniform(-1, 1, before.OutC, before.KH, before.KW, before.InC)
				bias, dbias, dy := o.uniformFloat32(-1, 1, before.OutC), o.zerosFloat32(before.OutC), o.uniform(-1, 1, y.Shape()...)
				return Work{
					Run: func() { p.Run(dbias, dy, w, images, filters, bias) }, Results: []*device.Tensor{dbias}, FLOPs: s.FLOPs(s.N),
				}, nil
			}}}
		},
	}
}
