package nn

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// MeanSquaredError compares the outputs with the label as a one-hot vector.
//
// Shapes: outputs z [n, classes], labels [n]. For one example with label t and K classes,
// with q[k] = 1 at k = t, else 0:
//
//	L = 1/K sum_k (z[k] - q[k])^2
//
// Backward:
//
//	dz[k] = 2/K (z[k] - q[k])
//
// divided by n for the mean over the batch.
//
// Code: nn/device/reference/loss.go (the formula in loops), cpu/loss.go, kernels/loss.cu. Test: nn/device/devicetest/loss.go.
type MeanSquaredError struct {
	Sum bool // the batch's total is the sum instead of the mean
}

func meanSquaredErrorKind() LossKind {
	return LossKind{Name: "mse", Doc: "squared distance from the label as a one-hot vector", New: func() Loss { return MeanSquaredError{} }}
}

// Settings declares the keys of recipes.
func (l *MeanSquaredError) Settings(s *setting.List) {
	s.Bool(&l.Sum, "sum", "add up the batch's losses instead of taking their mean")
}

// Kind returns "mse".
func (MeanSquaredError) Kind() string { return "mse" }

func (l MeanSquaredError) spec(n, classes int) (device.LossSpec, error) {
	return device.LossSpec{Kind: device.MeanSquaredError, N: n, Classes: classes, Sum: l.Sum}, nil
}
