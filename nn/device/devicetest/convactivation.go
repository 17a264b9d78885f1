package devicetest

import (
	"errors"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// whiteningCases are convolutions of the kind that a device fuses with an activation: airbench's whitening layer, with other
// sizes and numbers of filters.
func whiteningCases() []ConvCase {
	var cases []ConvCase
	for _, r := range []struct {
		name               string
		n, maxN, h, w, out int
	}{
		{"whitening", 3, 3, 32, 32, 24}, {"whitening-smaller-batch", 2, 5, 9, 18, 24}, {"whitening-one-pixel", 1, 1, 2, 2, 4},
		{"whitening-row", 2, 2, 2, 17, 8}, {"whitening-column", 3, 3, 20, 2, 36}, {"whitening-many-filters", 1, 1, 4, 10, 520},
	} {
		cases = append(cases, ConvCase{Name: r.name, N: r.n, Spec: device.Conv2DSpec{
			N: r.maxN, H: r.h, W: r.w, InC: 3, OutC: r.out, KH: 2, KW: 2, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1,
			Bias: true, NoBackwardData: true,
		}})
	}
	return cases
}

// testConvActivation checks y = f(conv2d(x)) and the gradient with respect to the bias.
func testConvActivation(t *testing.T, dev device.Device, opt Options) {
	fused, ok := dev.(device.FusedConvActivation)
	if !ok {
		t.Skip("the device has no FusedConvActivation")
	}
	for _, f := range nn.Functions() {
		for _, c := range whiteningCases() {
			c.Spec.DType = opt.storage
			t.Run(f.Name+"/"+c.Name, func(t *testing.T) {
				conv, err := fused.NewConv2DActivation(c.Spec, f)
				if errors.Is(err, device.ErrNotSupported) {
					t.Skipf("the device has no such convolution with %v", f)
				}
				runConvActivation(t, dev, opt, plan(conv, err)(t), newConvData(opt, c), device.ActivationSpec{Function: f, DType: opt.storage})
			})
		}
	}
}

func runConvActivation(t *testing.T, dev device.Device, opt Options, conv device.ConvActivation, d convData, s device.ActivationSpec) {
	pre := d.wantForward()
	pre.Rounded = nil // the convolution's own output is not stored
	r := newRig(t, dev, opt)
	x, w, bias := r.input("x", d.x, d.xShape()...), r.input("w", d.w, d.wShape()...), r.inputFloat32("bias", d.bias, d.Spec.OutC)
	dy := r.input("dy", d.dy, d.yShape()...)
	y, dbias := r.output("y", d.yShape()...), r.outputFloat32("dbias", d.Spec.OutC)
	r.run(func() {
		conv.Forward(y, x, w, bias)
		conv.BackwardBias(dbias, dy, x, w, bias)
	})
	r.check(y, through(s, pre))
	r.check(dbias, biasThrough(s, d.dy, pre, d.Spec.OutC))
}

// biasThrough returns the sums of dy f'(v) over all but the last dimension, which has c elements; v's error enters
// multiplied by f”.
func biasThrough(s device.ActivationSpec, dy []float32, v reference.Sums, c int) reference.Sums {
	rows := len(dy) / c
	sum := reference.NewSums(c, reference.SumUlps(rows))
	terms, errs := reference.ActivationBackward(s, reference.Widen(dy), v.Value), errorOfSlope(s, dy, v)
	for i, term := range terms.Value {
		sum.Add(i%c, term)
		sum.Magnitude[i%c] += errs[i] * max(1, v.Ulps/sum.Ulps)
	}
	return sum
}

func fusedConvActivationOperation() Operation {
	construct := func(o *Operands, s device.Conv2DSpec) (device.ConvActivation, error) {
		fused, ok := o.Device.(device.FusedConvActivation)
		if !ok {
			return nil, device.ErrNotSupported
		}
		return fused.NewConv2DActivation(s, nn.GELU{}.Activation().Function)
	}
	prepare := func(o *Operands) (p device.ConvActivation, y, x, w, bias *device.Tensor, err error) {
		s := whiteningCases()[0].Spec
		s.N, s.DType = o.pick(3, 250, 1024), o.DType
		if p, err = construct(o, s); err != nil {
			return nil, nil, nil, nil, nil, err
		}
		y, x = o.uniform(-1, 1, s.N, s.OutH(), s.OutW(), s.OutC), o.uniform(-1, 1, s.N, s.H, s.W, s.InC)
		return p, y, x, o.uniform(-1, 1, s.OutC, s.KH, s.KW, s.InC), o.uniformFloat32(-1, 1, s.OutC), nil
	}
	return Operation{
		Name: "fused-conv-activation", Constructor: "NewConv2DActivation", Group: Elementwise, Types: allFloats, Test: testConvActivation,
		Calls: func(Size) []Call {
			return []Call{
				{"whiten-gelu/forward", "Forward", func(o *Operands) (Work, error) {
					p, y, x, w, bias, err := prepare(o)
					if err != nil {
						return Work{}, err
					}
					return Work{Run: func() { p.Forward(y, x, w, bias) }, Results: []*device.Tensor{y}, Bytes: bytesOf(x, y)}, nil
				}},
				{"whiten-gelu/backward", "BackwardBias", func(o *Operands) (Work, error) {
					p, dy, x, w, bias, err := prepare(o)
					if err != nil {
						return Work{}, err
					}
					dbias := o.zerosFloat32(bias.Len())
					return Work{Run: func() { p.BackwardBias(dbias, dy, x, w, bias) }, Results: []*device.Tensor{dbias}, Bytes: bytesOf(x, dy)}, nil
				}},
			}
		},
	}
}
