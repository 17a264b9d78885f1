package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
)

// SiLU, also called Swish, weights x by its own sigmoid s(x) = 1 / (1 + exp(-x)) (Elfwing,
// Uchibe and Doya, "Sigmoid-Weighted Linear Units", 2018). x and y have the same shape,
// which may be any.
//
//	y = x s(x)        dx = dy s(x) (1 + x (1 - s(x)))
//
// The derivative is the product rule's s + x s' with s' = s (1 - s).
//
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test:
// nn/device/devicetest/activation.go.
type SiLU struct{}

func siluKind() LayerKind {
	return LayerKind{Name: "silu", Doc: "x*sigmoid(x)", Family: Activation, New: func() Layer { return SiLU{} }}
}

// Kind returns "silu".
func (SiLU) Kind() string { return "silu" }

// OutputShape returns the input's shape.
func (SiLU) OutputShape(in Shape) (Shape, error) { return in, nil }

// Build allocates the output.
func (l SiLU) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return BuildActivation(b, in, l.Activation())
}

// Activation returns x s(x).
func (SiLU) Activation() device.ActivationSpec { return device.ActivationSpec{Function: siluFunction} }

var siluFunction = &device.Function{
	Name:  "silu",
	Value: func(x, _ float64) float64 { return x * sigmoid(x) },
	Slope: func(x, _ float64) float64 { return sigmoid(x) + x*sigmoid(x)*sigmoid(-x) },
}

// Graph describes the function.
func (SiLU) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	return g.Silu(x), nil
}

// Explain describes the function.
func (l SiLU) Explain(Shape) explain.Rule {
	return explainFunction(l.Activation(), "y = x s(x)", "dx = dy s(x) (1 + x (1 - s(x)))")
}
