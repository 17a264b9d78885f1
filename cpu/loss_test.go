package cpu

import (
	"math"
	"testing"

	"trainer/nn/device"
)

// The softmax of the logits ln 1, ln 2, ln 5 is 1/8, 2/8, 5/8. With label 1 the loss is -ln(2/8), and the gradient
// softmax - (0, 1, 0).
func TestCrossEntropy(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 4, Classes: 3}))
	z := o.floats([]float32{0, ln(2), ln(5), 0, ln(2), ln(5)}, 2, 3)
	labels, stats, dz := o.ints(1, 2), o.floats([]float32{1, 2, 3, 4}), o.zeros(2, 3)
	p.Forward(stats, z, labels, nil)
	p.Backward(dz, z, labels, nil)
	wantFloats(t, "stats", stats, 1e-6, 1-ln(2.0/8)-ln(5.0/8), 2+1, 3+2, 4+2)
	wantFloats(t, "dz", dz, 1e-6, 1.0/16, -6.0/16, 5.0/16, 1.0/16, 2.0/16, -3.0/16)
}

func ln(x float64) float32 { return float32(math.Log(x)) }

// With smoothing 0.3 over 3 classes the targets are 0.1, 0.8, 0.1.
func TestLabelSmoothing(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 1, Classes: 3, Smoothing: 0.3, Sum: true}))
	z, stats, dz := o.floats([]float32{0, ln(2), ln(5)}, 1, 3), o.zeros(4), o.zeros(1, 3)
	p.Forward(stats, z, o.ints(1), nil)
	p.Backward(dz, z, o.ints(1), nil)
	wantFloats(t, "loss", stats, 1e-6, -0.1*ln(1.0/8)-0.8*ln(2.0/8)-0.1*ln(5.0/8), 0, 1, 1)
	wantFloats(t, "dz", dz, 1e-6, 0.125-0.1, 0.25-0.8, 0.625-0.1)
}

// Logits far apart: the loss is their difference, not infinite and not NaN.
func TestCrossEntropyLargeLogits(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 2, Classes: 2, Sum: true}))
	z, stats, dz := o.floats([]float32{1e6, -1e6, 3e38, 3e38}, 2, 2), o.zeros(4), o.zeros(2, 2)
	p.Forward(stats, z, o.ints(1, 0), nil)
	p.Backward(dz, z, o.ints(1, 0), nil)
	wantFloats(t, "stats", stats, 1e-6, 2e6+ln(2), 1, 2, 2)
	wantFloats(t, "dz", dz, 1e-6, 1, -1, -0.5, 0.5)
}

func TestMeanSquaredError(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewLoss(device.LossSpec{Kind: device.MeanSquaredError, N: 2, Classes: 2}))
	z, stats, dz := o.floats([]float32{3, 2, 0, 1}, 2, 2), o.zeros(4), o.zeros(2, 2)
	p.Forward(stats, z, o.ints(1, 1), nil)
	p.Backward(dz, z, o.ints(1, 1), nil)
	// (3^2 + (2-1)^2)/2 + 0; the mean over two examples halves 2/2 (3, 1).
	wantFloats(t, "stats", stats, 1e-6, 5, 1, 2, 2)
	wantFloats(t, "dz", dz, 1e-6, 1.5, 0.5, 0, 0)
}

// A label out of range makes its own row NaN, and no other.
func TestLossBadLabel(t *testing.T) {
	for _, kind := range []device.LossKind{device.SoftmaxCrossEntropy, device.MeanSquaredError} {
		o := newOperands(t)
		p := must(o.d.NewLoss(device.LossSpec{Kind: kind, N: 3, Classes: 2, Sum: true}))
		z, stats, dz := o.zeros(3, 2), o.zeros(4), o.zeros(3, 2)
		labels := o.ints(0, 2, -1)
		p.Forward(stats, z, labels, nil)
		p.Backward(dz, z, labels, nil)
		wantFloats(t, "stats", stats, 0, nan, 1, 3, 3)
		for i, v := range floats(dz) {
			if isNaN := v != v; isNaN != (i >= 2) {
				t.Errorf("kind %d: dz[%d] is %v", kind, i, v)
			}
		}
	}
}

// Class weights 3 and 1, and example weights 1, 1 and 2; the last example is ignored, so W = 3 + 1. The weighted
// mean is (3 ln 2 + ln 2)/4.
func TestWeightedCrossEntropy(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewLoss(device.LossSpec{
		Kind: device.SoftmaxCrossEntropy, N: 3, Classes: 2, ClassWeights: o.floats([]float32{3, 1}, 2), Weights: true, Ignore: true, IgnoreIndex: -100,
	}))
	z, stats, dz := o.zeros(3, 2), o.zeros(4), o.zeros(3, 2)
	labels, weights := o.ints(0, 1, -100), o.floats([]float32{1, 1, 2}, 3)
	p.Forward(stats, z, labels, weights)
	p.Backward(dz, z, labels, weights)
	wantFloats(t, "stats", stats, 1e-6, 4*ln(2), 1, 2, 4)
	wantFloats(t, "dz", dz, 1e-6, -1.5/4, 1.5/4, 0.5/4, -0.5/4, 0, 0)
}

// The softmax of ln 3 and 0 is 3/4, 1/4.
func TestSoftTargets(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 1, Classes: 2, SoftTargets: true}))
	z, targets, stats, dz := o.floats([]float32{ln(3), 0}, 1, 2), o.floats([]float32{0.5, 0.5}, 1, 2), o.zeros(4), o.zeros(1, 2)
	p.Forward(stats, z, targets, nil)
	p.Backward(dz, z, targets, nil)
	wantFloats(t, "stats", stats, 1e-6, -0.5*ln(3.0/4)-0.5*ln(1.0/4), 1, 1, 1)
	wantFloats(t, "dz", dz, 1e-6, 0.25, -0.25)
}

func TestSoftmax(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewSoftmax(device.SoftmaxSpec{N: 3, Classes: 3}))
	x := o.floats([]float32{0, ln(2), ln(5), 1e6, 0, -1e6}, 2, 3)
	p.Forward(x, x)
	wantFloats(t, "y", x, 1e-6, 1.0/8, 2.0/8, 5.0/8, 1, 0, 0)
}
