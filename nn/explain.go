package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
)

// ExplainedLayer is a layer that says where the numbers of its output come from: see package explain. All layers of this
// package do, except chains of layers, which compute nothing of their own.
type ExplainedLayer interface {
	Layer
	// Explain returns the layer's rule for inputs of the shape, which OutputShape has accepted. It describes inference.
	Explain(in Shape) explain.Rule
}

// ExplainedLoss is a loss that says how it and its gradient come from the network's outputs.
type ExplainedLoss interface {
	Loss
	// Explain returns the loss's rule for one example. counts is the number of training examples in each class, or nil: it
	// matters to weights by class.
	Explain(classes int, counts []int) (explain.Loss, error)
}

// Explain returns the rule of a layer, or nil if the layer doesn't describe itself.
func Explain(l Layer, in Shape) explain.Rule {
	switch l := unwrap(l).(type) {
	case ExplainedLayer:
		return l.Explain(in)
	case ActivationLayer:
		return explainFunction(l.Activation(), "y = f(x)", "dx = dy f'(x)")
	}
	return nil
}

// explainFunction returns the rule of an elementwise function.
func explainFunction(s device.ActivationSpec, forward, backward string) explain.Rule {
	return explain.Function{
		Formula: explain.Formula{Forward: forward, Backward: backward},
		Value:   s.Function.Value, Slope: s.Function.Slope, Alpha: float64(s.Alpha),
	}
}

// explainIf returns the name of a tensor that a layer may lack.
func explainIf(has bool, name string) string {
	if has {
		return name
	}
	return ""
}
