package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
)

// HardSwish is SiLU with the sigmoid replaced by a line between two limits, which needs no exponential (Howard et al.,
// "Searching for MobileNetV3", 2019, section 5.2). x and y have the same shape, which may be any.
//
//	y = x min(max(x + 3, 0), 6) / 6
//	dx = 0 where x <= -3, dy where x >= 3, else dy (2x + 3)/6
//
// Between the limits y is (x^2 + 3x)/6. At -3 and 3, where there is no derivative, that of the outer side is taken.
//
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test:
// nn/device/devicetest/activation.go.
type HardSwish struct{}

func hardSwishKind() LayerKind {
	return LayerKind{Name: "hard-swish", Doc: "x*min(max(x+3, 0), 6)/6", Family: Activation, New: func() Layer { return HardSwish{} }}
}

// Kind returns "hard-swish".
func (HardSwish) Kind() string { return "hard-swish" }

// OutputShape returns the input's shape.
func (HardSwish) OutputShape(in Shape) (Shape, error) { return in, nil }

// Build allocates the output.
func (l HardSwish) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return BuildActivation(b, in, l.Activation())
}

// Activation returns the function.
func (HardSwish) Activation() device.ActivationSpec {
	return device.ActivationSpec{Function: hardSwishFunction}
}

var hardSwishFunction = &device.Function{
	Name: "hard-swish",
	Value: func(x, _ float64) float64 {
		switch {
		case x <= -3:
			return 0
		case x >= 3:
			return x
		}
		return x * (x + 3) / 6
	},
	Slope: func(x, _ float64) float64 {
		switch {
		case x <= -3:
			return 0
		case x >= 3:
			return 1
		}
		return (2*x + 3) / 6
	},
}

// Graph describes the function.
func (HardSwish) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	return g.Mul(x, g.Affine(g.Clip(g.Affine(x, 1, 3), 0, 6), 1./6, 0)), nil
}

// Explain describes the function.
func (l HardSwish) Explain(Shape) explain.Rule {
	return explainFunction(l.Activation(), "y = x min(max(x + 3, 0), 6) / 6", "dx = 0 where x <= -3, dy where x >= 3, else dy (2x + 3)/6")
}
