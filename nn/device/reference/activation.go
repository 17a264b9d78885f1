package reference

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// phi is the density of the normal distribution, and bigPhi its distribution function.
func phi(x float64) float64    { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }
func bigPhi(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// geluTanhArgument returns u = sqrt(2/pi) (x + 0.044715 x^3) and du/dx.
func geluTanhArgument(x float64) (u, slope float64) {
	const root = 0.79788456080286535588 // sqrt(2/pi)
	return root * (x + 0.044715*x*x*x), root * (1 + 3*0.044715*x*x)
}

// activate returns f(x) and the magnitude of its terms. GELU's two halves,
// x/2 + x/2*erf, cancel for negative x; the other functions don't cancel.
func activate(kind device.ActivationKind, alpha, x float64) (value, magnitude float64) {
	switch kind {
	case device.ReLU:
		value = math.Max(x, 0)
	case device.LeakyReLU:
		value = x
		if x < 0 {
			value = alpha * x
		}
	case device.GELU:
		return x * bigPhi(x), math.Abs(x) / 2 * (1 + math.Abs(math.Erf(x/math.Sqrt2)))
	case device.GELUTanh:
		u, _ := geluTanhArgument(x)
		return x / 2 * (1 + math.Tanh(u)), math.Abs(x) / 2 * (1 + math.Abs(math.Tanh(u)))
	case device.Sigmoid:
		value = sigmoid(x)
	case device.Tanh:
		value = math.Tanh(x)
	case device.SiLU:
		value = x * sigmoid(x)
	default:
		panic(fmt.Sprintf("reference: no formula of %v", kind))
	}
	return value, math.Abs(value)
}

// slope returns f'(x) and the magnitude of its terms; at 0 the slopes of ReLU and
// LeakyReLU are those of the negative side. The complements 1-s and 1-tanh^2 are
// computed without cancellation, as sigmoid(-x) and 1/cosh^2.
func slope(kind device.ActivationKind, alpha, x float64) (value, magnitude float64) {
	switch kind {
	case device.ReLU:
		if x > 0 {
			value = 1
		}
	case device.LeakyReLU:
		value = alpha
		if x > 0 {
			value = 1
		}
	case device.GELU:
		return bigPhi(x) + x*phi(x), (1+math.Abs(math.Erf(x/math.Sqrt2)))/2 + math.Abs(x)*phi(x)*(1+x*x)
	case device.GELUTanh:
		u, du := geluTanhArgument(x)
		th, rest := math.Tanh(u), 1/(math.Cosh(u)*math.Cosh(u))
		return (1+th)/2 + x/2*rest*du, (1+math.Abs(th))/2 + math.Abs(x)/2*complement(rest)*du
	case device.Sigmoid:
		s, rest := sigmoid(x), sigmoid(-x)
		return s * rest, s * complement(rest)
	case device.Tanh:
		rest := 1 / (math.Cosh(x) * math.Cosh(x))
		return rest, complement(rest)
	case device.SiLU:
		s, rest := sigmoid(x), sigmoid(-x)
		return s + x*s*rest, s + math.Abs(x)*s*complement(rest)
	default:
		panic(fmt.Sprintf("reference: no formula of %v", kind))
	}
	return value, math.Abs(value)
}

// complement returns the magnitude of q = 1-p for an implementation that subtracts p, a
// float32, from 1. That is 1+p, until q is so small that p becomes 1: the whole of q is
// lost then, but no more.
func complement(q float64) float64 { return math.Min(2-q, q*(1<<24)) }

// ActivationForward returns y = f(x).
func ActivationForward(s device.ActivationSpec, x []float64) Sums {
	y := NewSums(len(x), FunctionUlps)
	for i, v := range x {
		value, magnitude := activate(s.Kind, float64(s.Alpha), v)
		y.Set(i, value, magnitude)
	}
	return y
}

// ActivationBackward returns dx = dy * f'(x).
func ActivationBackward(s device.ActivationSpec, dy, x []float64) Sums {
	dx := NewSums(len(x), FunctionUlps)
	for i, v := range x {
		value, magnitude := slope(s.Kind, float64(s.Alpha), v)
		dx.Set(i, dy[i]*value, math.Abs(dy[i])*magnitude)
	}
	return dx
}

type activation struct {
	*Operations
	s device.ActivationSpec
}

// NewActivation makes a plan of an elementwise activation.
func (o *Operations) NewActivation(s device.ActivationSpec) (device.Activation, error) {
	require("activation", s.Kind >= device.ReLU && s.Kind <= device.SiLU && s.Len > 0, "kind %d over %d elements", s.Kind, s.Len)
	return made[device.Activation](o, "activation "+s.Kind.String(), activation{o, s}, o.accepts(s.DType))
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
