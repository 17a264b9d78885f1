package reference

import (
	"math"

	"trainer/nn/device"
)

// The error that an activation's result may have follows from the function: with f computed in float32 from terms of
// relative error u, where u is a few units in the last place,
//
//   - rounding x, or an argument of exp that is in proportion to a power of x, moves f by u |x f'(x)|, and the last
//     operations by u |f(x)|: ValueMagnitude is the larger of the two;
//   - the same holds for f', whose derivative is f''. Where its terms cancel it is small beside them, but not
//     everywhere, because they are different functions of x: the curvature of f' shows how large they are. SlopeMagnitude
//     is |f'| + |x f''| + x^2/(1+x^2) |g|/2, with g the third derivative of f. There x^2/(1+x^2) is the square of the
//     distance over which the functions of exp vary: 1/|x| for large x and |x| for small ones, the latter because terms
//     that vanish with x have errors that do.
//
// Where an exponential e^u underflows and a device flushes it, f' may lose all of e^u times its factor. This factor is
// about |x f''/f'|, the product of x and the derivative of u.
//
// Of a piecewise linear function the derivatives above the first are 0: its slope has to be exact.

// derivativeStep is the relative step of the differences below: their error, of its square, is 1e-6 of the derivative.
const derivativeStep = 0x1p-10

// underflow is the smallest normal float32 in units of the error allowed.
const underflow = 0x1p-126 / (FunctionUlps * Ulp)

// ValueMagnitude returns what the error of f(x) is in proportion to.
func ValueMagnitude(s device.ActivationSpec, x float64) float64 {
	alpha := float64(s.Alpha)
	value := math.Abs(s.Function.Value(x, alpha))
	if slope := math.Abs(x * s.Function.Slope(x, alpha)); slope > value && !math.IsInf(slope, 0) {
		return slope
	}
	return value
}

// SlopeMagnitude returns what the error of f'(x) is in proportion to.
func SlopeMagnitude(s device.ActivationSpec, x float64) float64 {
	f, alpha := s.Function.Slope, float64(s.Alpha)
	here, above, below := f(x, alpha), f(x*(1+derivativeStep), alpha), f(x*(1-derivativeStep), alpha)
	first := (above - below) / (2 * derivativeStep)                        // x f''
	second := (above - 2*here + below) / (derivativeStep * derivativeStep) // x^2 times the third derivative
	m := math.Abs(here) + math.Abs(first) + math.Abs(second)/(1+x*x)/2
	if here != 0 {
		m += math.Abs(first/here) * underflow
	}
	return m
}

// ActivationUlps is the error allowed to an activation, by the type of its result.
func ActivationUlps(s device.ActivationSpec) float64 {
	if s.Function.Short && s.DType.OrFloat32() != device.Float32 {
		return ShortFunctionUlps
	}
	return FunctionUlps
}

// ActivationForward returns y = f(x).
func ActivationForward(s device.ActivationSpec, x []float64) Sums {
	y := NewSums(len(x), ActivationUlps(s))
	for i, v := range x {
		y.Set(i, s.Function.Value(v, float64(s.Alpha)), ValueMagnitude(s, v))
	}
	return y
}

// ActivationBackward returns dx = dy * f'(x).
func ActivationBackward(s device.ActivationSpec, dy, x []float64) Sums {
	dx := NewSums(len(x), ActivationUlps(s))
	for i, v := range x {
		dx.Set(i, dy[i]*s.Function.Slope(v, float64(s.Alpha)), math.Abs(dy[i])*SlopeMagnitude(s, v))
	}
	return dx
}

type activation struct {
	*Operations
	s device.ActivationSpec
}

// NewActivation makes a plan of an elementwise activation.
func (o *Operations) NewActivation(s device.ActivationSpec) (device.Activation, error) {
	require("activation", s.Function != nil && s.Len > 0, "function %v over %d elements", s.Function, s.Len)
	return made[device.Activation](o, "activation "+s.Function.Name, activation{o, s}, o.accepts(s.DType))
}

func (p activation) Forward(y, x *device.Tensor) {
	const op = "activation forward"
	n := device.CheckUpTo(op, "x", x, p.s.DType.OrFloat32(), p.s.Len)
	device.CheckLen(op, "y", y, p.s.DType.OrFloat32(), n)
	if p.begin(op) {
		p.store(op, y, ActivationForward(p.s, p.load(x)).Value)
	}
}

func (p activation) Backward(dx, dy, x, y *device.Tensor) {
	const op = "activation backward"
	n := device.CheckUpTo(op, "x", x, p.s.DType.OrFloat32(), p.s.Len)
	device.CheckLen(op, "dx", dx, p.s.DType.OrFloat32(), n)
	device.CheckLen(op, "dy", dy, p.s.DType.OrFloat32(), n)
	device.CheckLen(op, "y", y, p.s.DType.OrFloat32(), n)
	if p.begin(op) {
		p.store(op, dx, ActivationBackward(p.s, p.load(dy), p.load(x)).Value)
	}
}
