package nn

import (
	"trainer/nn/device"
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
// Code: nn/device/reference/activation.go (the formula in loops), cpu/activation.go, kernels/activation.cu. Test: nn/device/devicetest/activation.go.
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
	return buildActivation(b, in, l.activation())
}

func (l GELU) activation() device.ActivationSpec {
	if l.Tanh {
		return device.ActivationSpec{Kind: device.GELUTanh}
	}
	return device.ActivationSpec{Kind: device.GELU}
}
