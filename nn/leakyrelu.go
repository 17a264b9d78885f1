package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// LeakyReLU is ReLU with a small slope below zero, so that a unit that is off still learns
// (Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models",
// 2013). x and y have the same shape, which may be any.
//
//	y = x where x > 0, else slope x        dx = dy where x > 0, else slope dy
//
// At 0 the derivative is that of the negative side.
//
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test:
// nn/device/devicetest/activation.go.
type LeakyReLU struct {
	Slope float32 // below zero
}

func leakyReLUKind() LayerKind {
	return LayerKind{Name: "leaky-relu", Doc: "x above 0, slope*x below", Family: Activation, New: func() Layer { return LeakyReLU{} }}
}

// Settings declares the keys of recipes.
func (l *LeakyReLU) Settings(s *setting.List) {
	s.Float32(&l.Slope, "slope", 0.01, setting.AboveZeroToOne, "slope below 0")
}

// Kind returns "leaky-relu".
func (LeakyReLU) Kind() string { return "leaky-relu" }

// OutputShape returns the input's shape.
func (l LeakyReLU) OutputShape(in Shape) (Shape, error) {
	return in, setting.Check(&l)
}

// Build allocates the output.
func (l LeakyReLU) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return BuildActivation(b, in, l.Activation())
}

// Activation returns the function with the slope as alpha.
func (l LeakyReLU) Activation() device.ActivationSpec {
	setting.Complete(&l)
	return device.ActivationSpec{Function: leakyReLUFunction, Alpha: l.Slope}
}

var leakyReLUFunction = &device.Function{
	Name: "leaky-relu",
	Value: func(x, alpha float64) float64 {
		if x < 0 {
			return alpha * x
		}
		return x
	},
	Slope: func(x, alpha float64) float64 {
		if x > 0 {
			return 1
		}
		return alpha
	},
}

// Graph describes the function.
func (l LeakyReLU) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	return g.LeakyRelu(x, float64(l.Activation().Alpha)), nil
}

// Explain describes the function.
func (l LeakyReLU) Explain(Shape) explain.Rule {
	return explainFunction(l.Activation(), "y = x where x > 0, else slope x", "dx = dy where x > 0, else slope dy")
}
