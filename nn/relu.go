package nn

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
)

// ReLU, the rectified linear unit, passes what is positive (Nair and Hinton, "Rectified
// Linear Units Improve Restricted Boltzmann Machines", 2010). x and y have the same shape,
// which may be any.
//
//	y = max(x, 0)        dx = dy where x > 0, else 0
//
// At 0, where there is no derivative, 0 is taken.
//
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test:
// nn/device/devicetest/activation.go.
type ReLU struct{}

func reluKind() LayerKind {
	return LayerKind{Name: "relu", Doc: "max(0, x)", Family: Activation, New: func() Layer { return ReLU{} }}
}

// Kind returns "relu".
func (ReLU) Kind() string { return "relu" }

// OutputShape returns the input's shape.
func (ReLU) OutputShape(in Shape) (Shape, error) { return in, nil }

// Build allocates the output.
func (l ReLU) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return BuildActivation(b, in, l.Activation())
}

// Activation returns max(x, 0).
func (ReLU) Activation() device.ActivationSpec { return device.ActivationSpec{Function: reluFunction} }

var reluFunction = &device.Function{
	Name:  "relu",
	Value: func(x, _ float64) float64 { return math.Max(x, 0) },
	Slope: func(x, _ float64) float64 {
		if x > 0 {
			return 1
		}
		return 0
	},
}

// Graph describes the function.
func (ReLU) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	return g.Relu(x), nil
}

// Explain describes the function.
func (l ReLU) Explain(Shape) explain.Rule {
	return explainFunction(l.Activation(), "y = max(x, 0)", "dx = dy where x > 0, else 0")
}
