package cpu

import (
	"errors"
	"math"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

var nan = float32(math.NaN())

// Every activation has code here. A NaN must reach the loss, where training stops; no activation may hide it.
func TestActivationsKeepNaN(t *testing.T) {
	for _, f := range nn.Functions() {
		o := newOperands(t)
		p, err := o.d.NewActivation(device.ActivationSpec{Function: f, Alpha: 0.25, Len: 2})
		if _, ok := p.(*activation); !ok {
			t.Errorf("no kernels of the activation %s: %v", f, err)
			continue
		}
		y := o.zeros(2)
		// x86 makes NaNs with the sign bit set.
		p.Forward(y, o.floats([]float32{nan, math.Float32frombits(0xFFC00000)}))
		wantFloats(t, f.Name, y, 0, nan, nan)
	}
}

// A function without kernels is computed by its formula.
func TestUnknownActivation(t *testing.T) {
	o := newOperands(t)
	d, f := o.d, &device.Function{
		Name:  "square",
		Value: func(x, _ float64) float64 { return x * x },
		Slope: func(x, _ float64) float64 { return 2 * x },
	}
	p := must(d.NewActivation(device.ActivationSpec{Function: f, Len: 2}))
	x, y, dx := o.floats([]float32{-3, 2}), o.zeros(2), o.floats([]float32{1, 10})
	p.Forward(y, x)
	p.Backward(dx, dx, x, y)
	wantFloats(t, "square", y, 0, 9, 4)
	wantFloats(t, "slope of square", dx, 0, -6, 40)
	if _, err := d.NewBatchNormActivation(device.BatchNormSpec{Rows: 1, C: 1}, f); !errors.Is(err, device.ErrNotSupported) {
		t.Errorf("after batch normalisation: got %v, want %v", err, device.ErrNotSupported)
	}
}

// Far out, where exponentials overflow or underflow, values and slopes have their limits.
func TestActivationLimits(t *testing.T) {
	for _, f := range nn.Functions() {
		for _, x := range []float32{-1e30, -1e4, 1e4, 1e30} {
			o := newOperands(t)
			p := must(o.d.NewActivation(device.ActivationSpec{Function: f, Alpha: 0.25, Len: 1}))
			in, y, dx := o.floats([]float32{x}), o.zeros(1), o.floats([]float32{1})
			p.Forward(y, in)
			p.Backward(dx, dx, in, y)
			wantFloats(t, f.Name, y, 1e-7*math.Abs(float64(x)), float32(f.Value(float64(x), 0.25)))
			wantFloats(t, f.Name+" slope", dx, 1e-7, float32(f.Slope(float64(x), 0.25)))
		}
	}
}
