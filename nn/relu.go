package nn

import "trainer/nn/device"

// ReLU, the rectified linear unit, passes what is positive (Nair and Hinton, "Rectified
// Linear Units Improve Restricted Boltzmann Machines", 2010). x and y have the same shape,
// which may be any.
//
//	y = max(x, 0)        dx = dy where x > 0, else 0
//
// At 0, where there is no derivative, 0 is taken.
//
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test: nn/device/devicetest/activation.go.
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
	return buildActivation(b, in, l.activation())
}

func (ReLU) activation() device.ActivationSpec { return device.ActivationSpec{Kind: device.ReLU} }
