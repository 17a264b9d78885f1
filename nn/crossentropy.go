package nn

import (
	"fmt"
	"math"
	"slices"

	"trainer/nn/device"
	"trainer/nn/explain"
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
// Code: nn/device/reference/loss.go (the formula in loops), cpu/loss.go and cpu/loss_weighted.go, kernels/loss.cu,
// kernels/loss_train.cu (both passes), kernels/dense.cu (with the last layer) and kernels/loss_weighted.cu. Test:
// nn/device/devicetest/loss.go, loss_train.go and dense.go.
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

// Explain describes the loss of one example, divided by its target's weight unless the batch's total is a sum.
func (l CrossEntropy) Explain(classes int, counts []int) (explain.Loss, error) {
	w, err := l.explainedWeights(classes, counts)
	if err != nil {
		return explain.Loss{}, err
	}
	q := func(label, k int) float64 {
		q := float64(l.Smoothing) / float64(classes)
		if k == label {
			q += 1 - float64(l.Smoothing)
		}
		q *= w[k]
		if !l.Sum {
			q /= w[label]
		}
		return q
	}
	total := func(label int) (sum float64) {
		for k := range classes {
			sum += q(label, k)
		}
		return sum
	}
	return explain.Loss{
		Softmax: true,
		Formula: explain.Formula{Forward: "L = log sum_j exp(z[j]) - sum_k q[k] z[k]", Backward: "dz[k] = p[k] - q[k]"},
		Terms: func(z []float64, label int) []explain.Summand {
			terms := []explain.Summand{{Label: "log sum_j exp(z[j])", Value: total(label) * logSumExp(z), Output: explain.Any}}
			for k, v := range z {
				if q := q(label, k); q != 0 {
					terms = append(terms, explain.Summand{Label: fmt.Sprintf("-q[%d] z[%d]", k, k), Value: -q * v, Output: k})
				}
			}
			return terms
		},
		Gradient: func(z []float64, label, k int) []explain.Summand {
			p := math.Exp(z[k] - logSumExp(z))
			return []explain.Summand{
				{Label: fmt.Sprintf("p[%d]", k), Value: total(label) * p, Output: k},
				{Label: fmt.Sprintf("-q[%d]", k), Value: -q(label, k), Output: k},
			}
		},
	}, nil
}

// logSumExp returns log sum_j exp(z[j]).
func logSumExp(z []float64) float64 {
	top, sum := slices.Max(z), 0.0
	for _, v := range z {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}
