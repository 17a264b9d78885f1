package nn

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// GELU, the Gaussian error linear unit, weights x by the probability that a standard normal
// variable is below it (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016). x and y
// have the same shape, which may be any. With Phi the normal distribution function and phi
// its density:
//
//	y = x Phi(x) = x/2 (1 + erf(x/sqrt 2))        dx = dy (Phi(x) + x phi(x))
//	phi(x) = exp(-x^2/2) / sqrt(2 pi)
//
// With Tanh it is the paper's approximation, and its own derivative: with
// u = sqrt(2/pi) (x + 0.044715 x^3) and t = tanh(u),
//
//	y = x/2 (1 + t)        dx = dy ((1 + t)/2 + x/2 (1 - t^2) sqrt(2/pi) (1 + 3*0.044715 x^2))
//
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test:
// nn/device/devicetest/activation.go.
type GELU struct {
	Tanh bool // the approximation by tanh
}

func geluKind() LayerKind {
	return LayerKind{Name: "gelu", Doc: "x times the normal distribution function of x", Family: Activation, New: func() Layer { return GELU{} }}
}

// Settings declares the keys of recipes.
func (l *GELU) Settings(s *setting.List) { s.Bool(&l.Tanh, "tanh", "the approximation by tanh") }

// Kind returns "gelu".
func (GELU) Kind() string { return "gelu" }

// OutputShape returns the input's shape.
func (GELU) OutputShape(in Shape) (Shape, error) { return in, nil }

// Build allocates the output.
func (l GELU) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return BuildActivation(b, in, l.Activation())
}

// Activation returns the exact function or its approximation.
func (l GELU) Activation() device.ActivationSpec {
	if l.Tanh {
		return device.ActivationSpec{Function: geluTanhFunction}
	}
	return device.ActivationSpec{Function: geluFunction}
}

var geluFunction = &device.Function{
	Name:  "gelu",
	Value: func(x, _ float64) float64 { return x * normal(x) },
	Slope: func(x, _ float64) float64 { return normal(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi) },
	Short: true,
}

// normal is Phi. erfc does not cancel for negative x as 1 + erf does.
func normal(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// (1 + tanh u)/2 = s(2u), which does not cancel where tanh u is near -1.
var geluTanhFunction = &device.Function{
	Name: "gelu-tanh",
	Value: func(x, _ float64) float64 {
		twice, _ := geluTanhArgument(x)
		return x * sigmoid(twice)
	},
	Slope: func(x, _ float64) float64 {
		twice, slope := geluTanhArgument(x)
		return sigmoid(twice) + x*sigmoid(twice)*sigmoid(-twice)*slope
	},
}

// geluTanhArgument returns 2u and its derivative.
func geluTanhArgument(x float64) (twice, slope float64) {
	scale := 2 * math.Sqrt(2/math.Pi)
	return scale * (x + 0.044715*x*x*x), scale * (1 + 3*0.044715*x*x)
}

// variants returns the layer with its other function.
func (GELU) variants() []ActivationLayer { return []ActivationLayer{GELU{Tanh: true}} }

// Graph describes the function.
func (l GELU) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	if l.Tanh {
		return g.GeluTanh(x), nil
	}
	return g.Gelu(x), nil
}

// Explain describes the function.
func (l GELU) Explain(Shape) explain.Rule {
	if l.Tanh {
		return explainFunction(l.Activation(), "y = x/2 (1 + t)", "dx = dy ((1 + t)/2 + x/2 (1 - t^2) sqrt(2/pi) (1 + 3*0.044715 x^2))")
	}
	return explainFunction(l.Activation(), "y = x Phi(x) = x/2 (1 + erf(x/sqrt 2))", "dx = dy (Phi(x) + x phi(x))")
}
