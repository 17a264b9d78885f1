package cpu

import (
	"math"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// Two channels over four rows, small enough to compute by hand. Channel 0 is 1, 3, 5, 7:
// mean 4, variance (9+1+1+9)/4 = 5, unbiased 20/3. Channel 1 is constant.
func TestBatchNormForward(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewBatchNorm(device.BatchNormSpec{Rows: 4, C: 2, Epsilon: 4, Momentum: 0.25}))
	x := o.floats([]float32{1, 8, 3, 8, 5, 8, 7, 8}, 4, 2)
	gamma, beta := o.floats([]float32{6, 1}), o.floats([]float32{10, -3})
	mean, variance, y := o.floats([]float32{0, 4}), o.floats([]float32{1, 2}), o.zeros(4, 2)
	p.Forward(y, x, gamma, beta, mean, variance)
	// xhat = (x-4)/sqrt(5+4) = -1, -1/3, 1/3, 1
	wantFloats(t, "y", y, 1e-6, 4, -3, 8, -3, 12, -3, 16, -3)
	wantFloats(t, "runningMean", mean, 1e-6, 0.75*0+0.25*4, 0.75*4+0.25*8)
	wantFloats(t, "runningVar", variance, 1e-6, 0.75*1+0.25*20.0/3, 0.75*2)

	copy(floats(mean), []float32{1, 2})
	copy(floats(variance), []float32{5, 12})
	p.Inference(y, x, gamma, beta, mean, variance)
	// (1-1)/3*6+10, (8-2)/4-3 ...
	wantFloats(t, "inference", y, 1e-6, 10, -1.5, 14, -1.5, 18, -1.5, 22, -1.5)
}

// With xhat = -1, -1/3, 1/3, 1 and dy = 4, 0, 0, 0: dbeta = 4, dgamma = -4, and
//
//	dx = gamma/3 (dy - 1 + xhat) = 2 (2, -4/3, -2/3, 0)
func TestBatchNormBackward(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewBatchNorm(device.BatchNormSpec{Rows: 4, C: 1, Epsilon: 4, Momentum: 0.25}))
	x, gamma, beta := o.floats([]float32{1, 3, 5, 7}, 4, 1), o.floats([]float32{6}), o.floats([]float32{10})
	y, dx, dgamma, dbeta := o.zeros(4, 1), o.floats([]float32{4, 0, 0, 0}, 4, 1), o.zeros(1), o.zeros(1)
	p.Forward(y, x, gamma, beta, o.zeros(1), o.zeros(1))
	p.Backward(dx, dgamma, dbeta, dx, x, gamma, beta)
	wantFloats(t, "dbeta", dbeta, 1e-6, 4)
	wantFloats(t, "dgamma", dgamma, 1e-6, -4)
	for i, want := range []float64{4, -8.0 / 3, -4.0 / 3, 0} {
		if got := float64(floats(dx)[i]); math.Abs(got-want) > 1e-6 {
			t.Errorf("dx[%d] = %v, want %v", i, got, want)
		}
	}
}

// Data far from 0 must not lose their variance: it is 1.25 whatever is added to 0, 1, 2, 3.
func TestBatchNormFarFromZero(t *testing.T) {
	for _, offset := range []float32{0, 1000, -100000, 4e6} {
		o := newOperands(t)
		const rows = 4096
		p := must(o.d.NewBatchNorm(device.BatchNormSpec{Rows: rows, C: 1, Momentum: 1}))
		x, y, variance := o.zeros(rows, 1), o.zeros(rows, 1), o.zeros(1)
		for i := range floats(x) {
			floats(x)[i] = offset + float32(i%4)
		}
		p.Forward(y, x, o.floats([]float32{1}), o.zeros(1), o.zeros(1), variance)
		wantFloats(t, "variance", variance, 1e-5, 1.25*rows/(rows-1))
	}
}

// The fused form gives what normalisation followed by the activation gives.
func TestBatchNormActivationIsBoth(t *testing.T) {
	const rows, c = 300, 24
	for _, f := range nn.Functions() {
		if !fusesWithBatchNorm(f) {
			continue
		}
		o := newOperands(t)
		s := device.BatchNormSpec{Rows: rows, C: c, Epsilon: 1e-5, Momentum: 0.1}
		bn, act := must(o.d.NewBatchNorm(s)), must(o.d.NewActivation(device.ActivationSpec{Function: f, Len: rows * c}))
		fused := must(o.d.NewBatchNormActivation(s, f))
		x, dy, gamma, beta := o.uniform(-1, 2, rows, c), o.uniform(-1, 1, rows, c), o.uniform(0.5, 1, c), o.uniform(-1, 1, c)
		z, y, dz, dx := o.zeros(rows, c), o.zeros(rows, c), o.zeros(rows, c), o.zeros(rows, c)
		bn.Forward(z, x, gamma, beta, o.zeros(c), o.zeros(c))
		act.Forward(y, z)
		act.Backward(dz, dy, z, y)
		bn.Backward(dx, nil, nil, dz, x, gamma, beta)

		gotY, gotDX := o.zeros(rows, c), o.zeros(rows, c)
		fused.Forward(gotY, x, gamma, beta, o.zeros(c), o.zeros(c))
		fused.Backward(gotDX, nil, nil, dy, x, gamma, beta)
		wantFloats(t, f.Name+" y", gotY, 0, floats(y)...)
		wantFloats(t, f.Name+" dx", gotDX, 0, floats(dx)...)
	}
}
