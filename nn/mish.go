package nn

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
)

// Mish weights x by the tanh of its softplus p(x) = log(1 + exp(x)) (Misra, "Mish: A Self Regularized Non-Monotonic
// Activation Function", 2019). x and y have the same shape, which may be any. With s the sigmoid:
//
//	y = x tanh(p(x))        dx = dy (tanh(p(x)) + x s(x) / cosh(p(x))^2)
//
// The derivative is the product rule's, with tanh' = 1/cosh^2 and p' = s. A device needs but one exponential: with w =
// exp(-|x|),
//
//	tanh(p) = n/d        s/cosh(p)^2 = 4 a (1 + w)/d^2
//	n = 1 + 2w, d = n + 2w^2, a = w^2 for x >= 0        n = w^2 + 2w, d = n + 2, a = w for x < 0
//
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test:
// nn/device/devicetest/activation.go.
type Mish struct{}

func mishKind() LayerKind {
	return LayerKind{Name: "mish", Doc: "x*tanh(log(1+exp(x)))", Family: Activation, New: func() Layer { return Mish{} }}
}

// Kind returns "mish".
func (Mish) Kind() string { return "mish" }

// OutputShape returns the input's shape.
func (Mish) OutputShape(in Shape) (Shape, error) { return in, nil }

// Build allocates the output.
func (l Mish) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return BuildActivation(b, in, l.Activation())
}

// Activation returns the function.
func (Mish) Activation() device.ActivationSpec { return device.ActivationSpec{Function: mishFunction} }

var mishFunction = &device.Function{
	Name:  "mish",
	Value: func(x, _ float64) float64 { return x * math.Tanh(softplus(x)) },
	Slope: func(x, _ float64) float64 {
		c := math.Cosh(softplus(x))
		return math.Tanh(softplus(x)) + x*sigmoid(x)/(c*c)
	},
}

// Graph describes the function.
func (Mish) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	return g.Mul(x, g.Tanh(g.Softplus(x))), nil
}

// Explain describes the function.
func (l Mish) Explain(Shape) explain.Rule {
	return explainFunction(l.Activation(), "y = x tanh(p(x))", "dx = dy (tanh(p(x)) + x s(x) / cosh(p(x))^2)")
}
