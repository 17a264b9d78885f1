package nn

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
)

// Softplus is a smooth ReLU: the integral of the sigmoid s (Dugas et al., "Incorporating Second-Order Functional
// Knowledge for Better Option Pricing", 2001). x and y have the same shape, which may be any.
//
//	y = log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))        dx = dy s(x)
//
// The second form doesn't overflow. The derivative: exp(x)/(1 + exp(x)) = 1/(1 + exp(-x)) = s(x).
//
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test:
// nn/device/devicetest/activation.go.
type Softplus struct{}

func softplusKind() LayerKind {
	return LayerKind{Name: "softplus", Doc: "log(1+exp(x))", Family: Activation, New: func() Layer { return Softplus{} }}
}

// Kind returns "softplus".
func (Softplus) Kind() string { return "softplus" }

// OutputShape returns the input's shape.
func (Softplus) OutputShape(in Shape) (Shape, error) { return in, nil }

// Build allocates the output.
func (l Softplus) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return BuildActivation(b, in, l.Activation())
}

// Activation returns the function.
func (Softplus) Activation() device.ActivationSpec {
	return device.ActivationSpec{Function: softplusFunction}
}

var softplusFunction = &device.Function{
	Name:  "softplus",
	Value: func(x, _ float64) float64 { return softplus(x) },
	Slope: func(x, _ float64) float64 { return sigmoid(x) },
}

func softplus(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// Graph describes the function.
func (Softplus) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	return g.Softplus(x), nil
}

// Explain describes the function.
func (l Softplus) Explain(Shape) explain.Rule {
	return explainFunction(l.Activation(), "y = log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))", "dx = dy s(x)")
}
