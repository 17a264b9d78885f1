package nn

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// ELU, the exponential linear unit, is the identity above zero and saturates below (Clevert, Unterthiner and
// Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear Units", 2016, equation 15). x and y have
// the same shape, which may be any.
//
//	y = x where x > 0, else alpha (exp(x) - 1)        dx = dy where x > 0, else dy alpha exp(x)
//
// At 0, where there is a kink unless alpha is 1, the derivative is that of the negative side.
//
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test:
// nn/device/devicetest/activation.go.
type ELU struct {
	Alpha float32 // the limit far below 0 is -Alpha
}

func eluKind() LayerKind {
	return LayerKind{Name: "elu", Doc: "x above 0, alpha*(exp(x)-1) below", Family: Activation, New: func() Layer { return ELU{} }}
}

// Settings declares the keys of recipes.
func (l *ELU) Settings(s *setting.List) {
	s.Float32(&l.Alpha, "alpha", 1, setting.Positive, "the limit far below 0 is -alpha")
}

// Kind returns "elu".
func (ELU) Kind() string { return "elu" }

// OutputShape returns the input's shape.
func (l ELU) OutputShape(in Shape) (Shape, error) { return in, setting.Check(&l) }

// Build allocates the output.
func (l ELU) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return BuildActivation(b, in, l.Activation())
}

// Activation returns the function with its alpha.
func (l ELU) Activation() device.ActivationSpec {
	setting.Complete(&l)
	return device.ActivationSpec{Function: eluFunction, Alpha: l.Alpha}
}

var eluFunction = &device.Function{
	Name: "elu",
	Value: func(x, alpha float64) float64 {
		if x > 0 {
			return x
		}
		return alpha * math.Expm1(x)
	},
	Slope: func(x, alpha float64) float64 {
		if x > 0 {
			return 1
		}
		return alpha * math.Exp(x)
	},
}

// Graph describes the function.
func (l ELU) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	return g.Elu(x, float64(l.Activation().Alpha)), nil
}

// Explain describes the function.
func (l ELU) Explain(Shape) explain.Rule {
	return explainFunction(l.Activation(), "y = x where x > 0, else alpha (exp(x) - 1)", "dx = dy where x > 0, else dy alpha exp(x)")
}
