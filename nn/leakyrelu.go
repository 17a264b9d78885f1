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
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test: nn/device/devicetest/activation.go.
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
	return buildActivation(b, in, l.activation())
}

func (l LeakyReLU) activation() device.ActivationSpec {
	if l.Slope == 0 {
		l.Slope = 0.01
	}
	return device.ActivationSpec{Kind: device.LeakyReLU, Alpha: l.Slope}
}
