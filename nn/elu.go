package nn

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// ELU, the exponential linear unit, is the identity above zero and saturates below (Clevert, Unterthiner and
// Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear Units", 2016, equation 15). x and y have
// the same shape, which may be any.
//
//	y = x where x > 0, else alpha (exp(x) - 1)        dx = dy where x > 0, else dy alpha exp(x)
//
// At 0, where there is a kink unless alpha is 1, the derivative is that of the negative side.
type ELU struct {
	Alpha float32 // the limit below is -Alpha; 0 means 1
}

// Kind returns "elu".
func (ELU) Kind() string { return "elu" }

// OutputShape returns the input's shape.
func (l ELU) OutputShape(in Shape) (Shape, error) {
	if !(l.Alpha >= 0) || math.IsInf(float64(l.Alpha), 0) {
		return nil, fmt.Errorf("alpha is %v, needs a number above 0", l.Alpha)
	}
	return in, nil
}

// Build allocates the output.
func (l ELU) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return BuildActivation(b, in, l.Activation())
}

// Activation returns the function with its alpha.
func (l ELU) Activation() device.ActivationSpec {
	if l.Alpha == 0 {
		l.Alpha = 1
	}
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
