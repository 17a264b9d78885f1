package cpu

import (
	"math"
	"testing"

	"trainer/nn/device"
)

var nan = float32(math.NaN())

// Each activation and its slope at -2, 0 and 1, computed by hand (to 8 digits) from
// the formulas. At 0, ReLU and LeakyReLU have the slope of the negative side.
func TestActivationValues(t *testing.T) {
	x := []float32{-2, 0, 1}
	for _, c := range []struct {
		kind           device.ActivationKind
		values, slopes []float32
	}{
		{device.ReLU, []float32{0, 0, 1}, []float32{0, 0, 1}},
		{device.LeakyReLU, []float32{-0.5, 0, 1}, []float32{0.25, 0.25, 1}},
		// Phi(-2) = 0.022750132, phi(-2) = 0.053990967; Phi(1) = 0.84134475, phi(1) = 0.24197072
		{device.GELU, []float32{-0.045500264, 0, 0.84134475}, []float32{-0.085231802, 0.5, 1.0833155}},
		{device.GELUTanh, []float32{-0.045402306, 0, 0.84119199}, []float32{-0.086099259, 0.5, 1.0829641}},
		{device.Sigmoid, []float32{0.11920292, 0.5, 0.73105858}, []float32{0.10499359, 0.25, 0.19661193}},
		{device.Tanh, []float32{-0.96402758, 0, 0.76159416}, []float32{0.070650825, 1, 0.41997434}},
		{device.SiLU, []float32{-0.23840584, 0, 0.73105858}, []float32{-0.090784249, 0.5, 0.92767051}},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			o := newOperands(t)
			p := must(o.d.NewActivation(device.ActivationSpec{Kind: c.kind, Alpha: 0.25, Len: 3}))
			in, y, dx, two := o.floats(x), o.zeros(3), o.zeros(3), o.floats([]float32{2, 2, 2})
			p.Forward(y, in)
			p.Backward(dx, two, in, y)
			wantFloats(t, "y", y, 1e-6, c.values...)
			// dy = 2 doubles the slopes.
			wantFloats(t, "dx", dx, 2e-6, 2*c.slopes[0], 2*c.slopes[1], 2*c.slopes[2])
		})
	}
}

// A NaN must reach the loss, where training stops; no activation may hide it.
func TestActivationsKeepNaN(t *testing.T) {
	for kind := device.ReLU; kind <= device.SiLU; kind++ {
		o := newOperands(t)
		p := must(o.d.NewActivation(device.ActivationSpec{Kind: kind, Alpha: 0.25, Len: 2}))
		y := o.zeros(2)
		// x86 makes NaNs with the sign bit set.
		p.Forward(y, o.floats([]float32{nan, math.Float32frombits(0xFFC00000)}))
		wantFloats(t, kind.String(), y, 0, nan, nan)
	}
}

// Far out, where exponentials overflow or underflow, values and slopes have their limits.
func TestActivationLimits(t *testing.T) {
	for _, c := range []struct {
		kind           device.ActivationKind
		value1, value2 float32
		slope1, slope2 float32
	}{
		{device.GELU, 0, 1e30, 0, 1},
		{device.GELUTanh, 0, 1e30, 0, 1},
		{device.Sigmoid, 0, 1, 0, 0},
		{device.Tanh, -1, 1, 0, 0},
		{device.SiLU, 0, 1e30, 0, 1},
	} {
		o := newOperands(t)
		p := must(o.d.NewActivation(device.ActivationSpec{Kind: c.kind, Len: 2}))
		x, y, dx := o.floats([]float32{-1e30, 1e30}), o.zeros(2), o.floats([]float32{1, 1})
		p.Forward(y, x)
		p.Backward(dx, dx, x, y)
		wantFloats(t, c.kind.String(), y, 0, c.value1, c.value2)
		wantFloats(t, c.kind.String()+" slope", dx, 0, c.slope1, c.slope2)
	}
}
