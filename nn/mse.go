package nn

import (
	"fmt"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/setting"
)

// MeanSquaredError compares the outputs with the label as a one-hot vector.
//
// Shapes: outputs z [n, classes], labels [n] or probabilities [n, classes]. For one example with the target
// t [K classes], 1 at the label and 0 elsewhere:
//
//	L = 1/K sum_k (z[k] - t[k])^2
//
// Backward:
//
//	dz[k] = 2/K (z[k] - t[k])
//
// divided by n for the mean over the batch. With class weights w, L and dz are multiplied by the target's weight sum_k
// w[k] t[k], which is w[label] for a label, and the mean divides by the sum of the targets' weights.
//
// Code: nn/device/reference/loss.go (the formula in loops), cpu/loss.go and cpu/loss_weighted.go, kernels/loss.cu and
// kernels/loss_weighted.cu. Test: nn/device/devicetest/loss.go.
type MeanSquaredError struct {
	Sum bool // the batch's total is the sum instead of the mean
	LossWeights
}

func meanSquaredErrorKind() LossKind {
	return LossKind{Name: "mse", Doc: "squared distance from the label as a one-hot vector", New: func() Loss { return MeanSquaredError{} }}
}

// Settings declares the keys of recipes.
func (l *MeanSquaredError) Settings(s *setting.List) {
	s.Bool(&l.Sum, "sum", "add up the batch's losses instead of taking their mean")
	l.declare(s)
}

// Kind returns "mse".
func (MeanSquaredError) Kind() string { return "mse" }

// Summed reports whether the batch's total is the sum.
func (l MeanSquaredError) Summed() bool { return l.Sum }

// Build makes the device's plan.
func (l MeanSquaredError) Build(b *Builder, in LossInput) (BuiltLoss, error) {
	if err := setting.Check(&l); err != nil {
		return nil, err
	}
	return l.build(b, in, device.LossSpec{Kind: device.MeanSquaredError, Sum: l.Sum})
}

// Explain describes the loss of one example, divided by its target's weight unless the batch's total is a sum.
func (l MeanSquaredError) Explain(classes int, counts []int) (explain.Loss, error) {
	w, err := l.explainedWeights(classes, counts)
	if err != nil {
		return explain.Loss{}, err
	}
	difference := func(z []float64, label, k int) (d, weight float64) {
		d, weight = z[k], 1/float64(classes)
		if k == label {
			d--
		}
		if l.Sum {
			weight *= w[label]
		}
		return d, weight
	}
	return explain.Loss{
		Formula: explain.Formula{Forward: "L = 1/K sum_k (z[k] - t[k])^2", Backward: "dz[k] = 2/K (z[k] - t[k])"},
		Terms: func(z []float64, label int) (terms []explain.Summand) {
			for k := range z {
				d, weight := difference(z, label, k)
				terms = append(terms, explain.Summand{Label: fmt.Sprintf("1/K (z[%d] - t[%d])^2", k, k), Value: weight * d * d, Output: k})
			}
			return terms
		},
		Gradient: func(z []float64, label, k int) []explain.Summand {
			d, weight := difference(z, label, k)
			return []explain.Summand{{Label: fmt.Sprintf("2/K (z[%d] - t[%d])", k, k), Value: 2 * weight * d, Output: k}}
		},
	}, nil
}
