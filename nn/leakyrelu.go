package nn

import (
	"fmt"

	"trainer/nn/device"
)

// LeakyReLU is ReLU with a small slope below zero, so that a unit that is off still learns
// (Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models",
// 2013). x and y have the same shape, which may be any.
//
//	y = x where x > 0, else slope x        dx = dy where x > 0, else slope dy
//
// At 0 the derivative is that of the negative side.
type LeakyReLU struct {
	Slope float32 // below zero; 0 means 0.01
}

// Kind returns "leaky-relu".
func (LeakyReLU) Kind() string { return "leaky-relu" }

// OutputShape returns the input's shape.
func (l LeakyReLU) OutputShape(in Shape) (Shape, error) {
	if !(l.Slope >= 0 && l.Slope <= 1) {
		return nil, fmt.Errorf("slope is %v, needs 0 to 1", l.Slope)
	}
	return in, nil
}

// Build allocates the output.
func (l LeakyReLU) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return BuildActivation(b, in, l.Activation())
}

// Activation returns the function with the slope as alpha.
func (l LeakyReLU) Activation() device.ActivationSpec {
	if l.Slope == 0 {
		l.Slope = 0.01
	}
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
