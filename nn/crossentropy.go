package nn

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// CrossEntropy is the softmax followed by the categorical cross-entropy: minus the
// logarithm of the probability that the network gives the right class.
//
// Shapes: outputs ("logits") z [n, classes], labels [n] or probabilities [n, classes]. For one example with the
// target t [K classes], 1 at the label and 0 elsewhere:
//
//	p[k] = exp(z[k]) / sum_j exp(z[j])        L = -sum_k q[k] log p[k]
//
// where q is t; with smoothing s (Szegedy et al., "Rethinking
// the Inception Architecture", 2016, section 7) it is q[k] = (1-s) t[k] + s/K.
//
// Put together, as sum_k q[k] = 1,
//
//	L = log sum_j exp(z[j]) - sum_k q[k] z[k]
//
// This form never takes the logarithm of a rounded probability, and it doesn't overflow if
// max z is subtracted from every z first.
//
// Backward. The derivative of the first term is d/dz[k] log sum_j exp(z[j]) = exp(z[k]) /
// sum_j exp(z[j]) = p[k], that of the second q[k]:
//
//	dz[k] = p[k] - q[k]
//
// divided by n for the mean over the batch.
//
// With class weights w, q[k] becomes w[k] q[k], whose sum, no longer 1, multiplies the first term and p[k]; and the
// mean divides by the sum over the batch of sum_k w[k] t[k], which is w[label] for a label.
//
// Code: nn/device/reference/loss.go (the formula in loops), cpu/loss.go and cpu/loss_weighted.go, kernels/loss.cu and
// kernels/loss_weighted.cu. Test: nn/device/devicetest/loss.go.
type CrossEntropy struct {
	Smoothing float32 // s, 0 to below 1
	Sum       bool    // the batch's total is the sum instead of the mean
	LossWeights
}

func crossEntropyKind() LossKind {
	return LossKind{Name: "cross-entropy", Doc: "softmax and minus the logarithm of the right class's probability", New: func() Loss { return CrossEntropy{} }}
}

// Settings declares the keys of recipes.
func (l *CrossEntropy) Settings(s *setting.List) {
	s.Float32(&l.Smoothing, "smoothing", 0, setting.ZeroToBelowOne, "share of the target spread over all classes")
	s.Bool(&l.Sum, "sum", "add up the batch's losses instead of taking their mean")
	l.declare(s)
}

// Kind returns "cross-entropy".
func (CrossEntropy) Kind() string { return "cross-entropy" }

// Summed reports whether the batch's total is the sum.
func (l CrossEntropy) Summed() bool { return l.Sum }

// Build makes the device's plan.
func (l CrossEntropy) Build(b *Builder, in LossInput) (BuiltLoss, error) {
	if err := setting.Check(&l); err != nil {
		return nil, err
	}
	return l.build(b, in, device.LossSpec{Kind: device.SoftmaxCrossEntropy, Smoothing: l.Smoothing, Sum: l.Sum})
}
