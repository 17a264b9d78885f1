package nn

import (
	"errors"
	"fmt"
	"slices"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// Loss is what training minimises: a description without buffers, which is built for a network. A program can define
// its own losses.
type Loss interface {
	// Kind is the name that recipes use, such as "cross-entropy".
	Kind() string
	// Summed reports whether the batch's total is the sum of the examples' losses; otherwise it is their mean. It
	// decides the initial loss scale in float16.
	Summed() bool
	// Build makes the loss's plans and buffers, for batches of up to b.Batch() examples. The error says what the loss
	// got and what it needs.
	Build(b *Builder, in LossInput) (BuiltLoss, error)
}

// LossError reports a loss that can't be built for a network.
type LossError struct {
	Loss string // its kind
	Err  error  // what it got and what it needs
}

func (e *LossError) Error() string { return fmt.Sprintf("loss %s: %v", e.Loss, e.Err) }

// Unwrap returns the cause.
func (e *LossError) Unwrap() error { return e.Err }

// LossInput says what a loss compares.
type LossInput struct {
	Classes     int  // outputs per example
	SoftTargets bool // targets are float32 [n, Classes], one row of probabilities per example, instead of int32 labels [n]
	Weights     bool // Forward and Backward may get example weights
}

// BuiltLoss is a loss that has been built: it owns its buffers and allocates nothing in a step. Every device.Loss is a
// BuiltLoss.
//
// outputs and doutputs are float32 [n, classes]; targets are as LossInput says; weights, float32 [n] or nil, say how
// much each example counts.
type BuiltLoss interface {
	// Forward adds four numbers to stats, float32 [device.StatsLen]: the sum of the examples' losses, each times its
	// weight; the number of correct answers; the number of examples; and the sum of the weights. The displayed mean
	// loss is the first divided by the last.
	Forward(stats, outputs, targets, weights *device.Tensor)
	// Backward computes doutputs, the gradient of the batch's total with respect to outputs, times the scale of
	// Builder.LossScaling.
	Backward(doutputs, outputs, targets, weights *device.Tensor)
}

// LossWeights says how much the examples of each class count. With the zero value all count equally.
//
// A class's weight multiplies the loss of its examples. The mean is divided by the sum of the weights, so equal weights
// change nothing. See device.LossSpec.
type LossWeights struct {
	// ClassWeights has one weight per class, from 0; nil means 1 for all.
	ClassWeights []float32 `json:",omitempty"`
	// Balanced makes the weights n / (classes * n[k]), with n[k] of the n training examples in class k: every class
	// then counts equally, whatever its share of the examples. A class without examples gets the weight 0. (The weights
	// tau/y of King and Zeng, "Logistic Regression in Rare Events Data", 2001, with equal shares of the population.)
	Balanced bool `json:",omitempty"`
	// IgnoreIndex, unless nil, is a label whose examples are ignored: they count neither in the loss, nor in the
	// divisor of its mean, nor in the accuracy.
	IgnoreIndex *int32 `json:",omitempty"`
}

// declare declares the keys of recipes for these weights.
func (w *LossWeights) declare(s *setting.List) {
	s.Float32s(&w.ClassWeights, "class-weights", setting.NotNegative, "one weight per class, for the loss of its examples").
		OrFlag("balanced", &w.Balanced)
	s.OptionalInt32(&w.IgnoreIndex, "ignore-index", "none", "label whose examples do not count")
}

// Ignores reports whether examples with the given label are ignored.
func (w LossWeights) Ignores(label int32) bool {
	return w.IgnoreIndex != nil && *w.IgnoreIndex == label
}

// build makes the plan of a loss that devices implement, with these weights.
func (w LossWeights) build(b *Builder, in LossInput, s device.LossSpec) (BuiltLoss, error) {
	s.Scaling = b.LossScaling()
	s, err := w.spec(b, in, s)
	if err != nil {
		return nil, err
	}
	plan, err := b.Device().NewLoss(s)
	fused, ok := b.Device().(device.FusedLoss)
	if err != nil || !ok || !b.train || !s.Plain() {
		return plan, err
	}
	training, err := fused.NewTrainingLoss(s, b.dtype)
	if declined(err) {
		return plan, nil
	}
	return &fusedLoss{plan, training, s}, err
}

// fusedLoss is a loss whose two passes a device can compute in one.
type fusedLoss struct {
	device.Loss
	training device.TrainingLoss
	spec     device.LossSpec
}

// spec completes the spec of a loss with these weights.
func (w LossWeights) spec(b *Builder, in LossInput, s device.LossSpec) (device.LossSpec, error) {
	if in.SoftTargets && w.IgnoreIndex != nil {
		return s, errors.New("ignore-index needs targets that are labels; mixup and cutmix make probabilities of them")
	}
	s.N, s.Classes, s.SoftTargets, s.Weights = b.Batch(), in.Classes, in.SoftTargets, in.Weights
	if w.IgnoreIndex != nil {
		s.Ignore, s.IgnoreIndex = true, *w.IgnoreIndex
	}
	values, err := w.classWeights(b, in.Classes)
	if err == nil && values != nil {
		s.ClassWeights, err = b.Constant(values, in.Classes)
	}
	return s, err
}

// classWeights returns the weights, or nil if all are 1.
func (w LossWeights) classWeights(b *Builder, classes int) ([]float32, error) {
	if w.Balanced {
		if w.ClassWeights != nil {
			return nil, errors.New("want either class weights or balanced ones, got both")
		}
		counts, err := b.ClassCounts()
		if err != nil {
			return nil, fmt.Errorf("balanced class weights: %w", err)
		}
		return balanced(counts, classes)
	}
	if w.ClassWeights == nil {
		return nil, nil
	}
	if len(w.ClassWeights) != classes {
		return nil, fmt.Errorf("%d class weights for %d classes, want one per class", len(w.ClassWeights), classes)
	}
	if slices.Max(w.ClassWeights) == 0 {
		return nil, errors.New("all class weights are 0, want at least one above it")
	}
	return w.ClassWeights, nil
}

// explainedWeights returns the weight of each class, from the number of training examples in each class if that decides it.
func (w LossWeights) explainedWeights(classes int, counts []int) ([]float64, error) {
	weights, err := w.classWeights(&Builder{classCounts: func() ([]int, error) { return counts, nil }}, classes)
	if err != nil {
		return nil, err
	}
	all := make([]float64, classes)
	for k := range all {
		all[k] = 1
		if weights != nil {
			all[k] = float64(weights[k])
		}
	}
	return all, nil
}

// balanced returns n / (classes * n[k]) for every class k, and 0 where n[k] is 0.
func balanced(counts []int, classes int) ([]float32, error) {
	if len(counts) != classes {
		return nil, fmt.Errorf("balanced class weights: the data has %d classes, the network %d outputs", len(counts), classes)
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	weights := make([]float32, classes)
	for k, n := range counts {
		if n > 0 {
			weights[k] = float32(float64(total) / (float64(classes) * float64(n)))
		}
	}
	return weights, nil
}
