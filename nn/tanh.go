package nn

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
)

// Tanh maps to (-1, 1). x and y have the same shape, which may be any.
//
//	y = tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x))        dx = dy (1 - y^2)
//
// The derivative is that of sinh/cosh: (cosh^2 - sinh^2) / cosh^2 = 1 - tanh^2.
//
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test:
// nn/device/devicetest/activation.go.
type Tanh struct{}

func tanhKind() LayerKind {
	return LayerKind{Name: "tanh", Doc: "hyperbolic tangent", Family: Activation, New: func() Layer { return Tanh{} }}
}

// Kind returns "tanh".
func (Tanh) Kind() string { return "tanh" }

// OutputShape returns the input's shape.
func (Tanh) OutputShape(in Shape) (Shape, error) { return in, nil }

// Build allocates the output.
func (l Tanh) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return BuildActivation(b, in, l.Activation())
}

// Activation returns tanh.
func (Tanh) Activation() device.ActivationSpec { return device.ActivationSpec{Function: tanhFunction} }

var tanhFunction = &device.Function{
	Name:  "tanh",
	Value: func(x, _ float64) float64 { return math.Tanh(x) },
	// 1/cosh^2 doesn't cancel as 1 - tanh^2 does.
	Slope: func(x, _ float64) float64 { return 1 / (math.Cosh(x) * math.Cosh(x)) },
}

// Graph describes the function.
func (Tanh) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	return g.Tanh(x), nil
}

// Explain describes the function.
func (l Tanh) Explain(Shape) explain.Rule {
	return explainFunction(l.Activation(), "y = tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x))", "dx = dy (1 - y^2)")
}
