package nn

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
)

// Sigmoid maps to (0, 1). x and y have the same shape, which may be any.
//
//	y = s(x) = 1 / (1 + exp(-x))        dx = dy y (1 - y)
//
// The derivative: s' = exp(-x) / (1 + exp(-x))^2 = s (1 - s), as 1 - s = exp(-x) s.
//
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test:
// nn/device/devicetest/activation.go.
type Sigmoid struct{}

func sigmoidKind() LayerKind {
	return LayerKind{Name: "sigmoid", Doc: "1/(1+exp(-x))", Family: Activation, New: func() Layer { return Sigmoid{} }}
}

// Kind returns "sigmoid".
func (Sigmoid) Kind() string { return "sigmoid" }

// OutputShape returns the input's shape.
func (Sigmoid) OutputShape(in Shape) (Shape, error) { return in, nil }

// Build allocates the output.
func (l Sigmoid) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return BuildActivation(b, in, l.Activation())
}

// Activation returns s.
func (Sigmoid) Activation() device.ActivationSpec {
	return device.ActivationSpec{Function: sigmoidFunction}
}

var sigmoidFunction = &device.Function{
	Name:  "sigmoid",
	Value: func(x, _ float64) float64 { return sigmoid(x) },
	// 1 - s(x) = s(-x), without cancellation.
	Slope: func(x, _ float64) float64 { return sigmoid(x) * sigmoid(-x) },
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// Graph describes the function.
func (Sigmoid) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	return g.Sigmoid(x), nil
}

// Explain describes the function.
func (l Sigmoid) Explain(Shape) explain.Rule {
	return explainFunction(l.Activation(), "y = s(x) = 1 / (1 + exp(-x))", "dx = dy y (1 - y)")
}
