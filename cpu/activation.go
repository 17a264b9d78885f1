package cpu

import (
	"fmt"
	"math"

	"trainer/cpu/internal/vmath"
	"trainer/nn/device"
)

// activation is the plan of y[i] = f(x[i]):
//
//	forward   y = f(x)
//	backward  dx = dy * f'(x)
//
// The slopes are written so that they do not cancel where f is flat: with
// e = exp(-|x|), the sigmoid's slope s(1-s) is e/(1+e)^2, and tanh's 1-tanh^2 the same
// with e = exp(-2|x|), times 4.
type activation struct {
	d     *Device
	spec  device.ActivationSpec
	apply activationFunc

	// Operands of the call that is running.
	y, x, dx, dy []float32
}

// activationFunc is an activation over slices of one length. alpha is LeakyReLU's slope.
type activationFunc struct {
	forward  func(y, x []float32, alpha float32)
	backward func(dx, dy, x []float32, alpha float32)
}

// activationOf returns the functions of a kind; ok is false for one that isn't known.
func activationOf(kind device.ActivationKind) (f activationFunc, ok bool) {
	switch kind {
	case device.ReLU:
		return activationFunc{reluForward, reluBackward}, true
	case device.LeakyReLU:
		return activationFunc{leakyReLUForward, leakyReLUBackward}, true
	case device.GELU:
		return activationFunc{geluForward, geluBackward}, true
	case device.GELUTanh:
		return activationFunc{geluTanhForward, geluTanhBackward}, true
	case device.Sigmoid:
		return activationFunc{sigmoidForward, sigmoidBackward}, true
	case device.Tanh:
		return activationFunc{tanhForward, tanhBackward}, true
	case device.SiLU:
		return activationFunc{siluForward, siluBackward}, true
	}
	return activationFunc{}, false
}

// NewActivation makes a plan for an elementwise activation.
func (d *Device) NewActivation(s device.ActivationSpec) (device.Activation, error) {
	f, ok := activationOf(s.Kind)
	if !ok || s.Len < 1 {
		panic(fmt.Sprintf("cpu: NewActivation: kind %d over %d elements", s.Kind, s.Len))
	}
	return &activation{d: d, spec: s, apply: f}, nil
}

func (p *activation) Forward(y, x *device.Tensor) {
	const op = "cpu: activation forward"
	n := checkLength(op, "x", x, p.spec.Len)
	device.CheckLen(op, "y", y, device.Float32, n)
	p.y, p.x = floats(y), floats(x)
	p.d.pool.Run(chunks(n), (*activationForward)(p))
}

func (p *activation) Backward(dx, dy, x, y *device.Tensor) {
	const op = "cpu: activation backward"
	n := checkLength(op, "x", x, p.spec.Len)
	device.CheckLen(op, "dx", dx, device.Float32, n)
	device.CheckLen(op, "dy", dy, device.Float32, n)
	device.CheckLen(op, "y", y, device.Float32, n)
	p.dx, p.dy, p.x = floats(dx), floats(dy), floats(x)
	p.d.pool.Run(chunks(n), (*activationBackward)(p))
}

// checkLength panics unless t is float32 with at most limit elements, and returns how
// many it has.
func checkLength(op, operand string, t *device.Tensor, limit int) int {
	if t == nil || t.DType() != device.Float32 || t.Len() > limit {
		panic(fmt.Sprintf("%s: %s is %v, want at most %d elements of float32", op, operand, t, limit))
	}
	return t.Len()
}

// activationForward is the loop over chunks of Forward.
type activationForward activation

func (p *activationForward) Do(i, _ int) {
	from, to := span(i, len(p.x))
	p.apply.forward(p.y[from:to], p.x[from:to], p.spec.Alpha)
}

// activationBackward is the loop over chunks of Backward.
type activationBackward activation

func (p *activationBackward) Do(i, _ int) {
	from, to := span(i, len(p.x))
	p.apply.backward(p.dx[from:to], p.dy[from:to], p.x[from:to], p.spec.Alpha)
}

const (
	signBit     = 1 << 31
	infinityBit = 0x7F800000 // the bits of +Inf; above it are NaNs
)

// isNegative reports, from the bits of a float32, whether it is below 0 or -0, and not
// NaN. Comparing integers lets the compiler choose values without a branch, which on
// random signs would be mispredicted half of the time.
func isNegative(bits uint32) bool { return bits-signBit <= infinityBit }

// isPositive reports, from the bits of a float32, whether it is above 0.
func isPositive(bits uint32) bool { return bits-1 < infinityBit }

// reluForward computes y = max(x, 0). NaN stays NaN.
func reluForward(y, x []float32, _ float32) {
	y = y[:len(x)]
	for i, v := range x {
		b := math.Float32bits(v)
		if isNegative(b) {
			b = 0
		}
		y[i] = math.Float32frombits(b)
	}
}

// reluBackward computes dx = dy where x > 0, and 0 elsewhere.
func reluBackward(dx, dy, x []float32, _ float32) {
	dx, dy = dx[:len(x)], dy[:len(x)]
	for i, v := range x {
		b := math.Float32bits(dy[i])
		if !isPositive(math.Float32bits(v)) {
			b = 0
		}
		dx[i] = math.Float32frombits(b)
	}
}

// leakyReLUForward computes y = x where x > 0, alpha*x elsewhere.
func leakyReLUForward(y, x []float32, alpha float32) {
	y = y[:len(x)]
	for i, v := range x {
		b, low := math.Float32bits(v), math.Float32bits(alpha*v)
		if isNegative(b) {
			b = low
		}
		y[i] = math.Float32frombits(b)
	}
}

// leakyReLUBackward computes dx = dy where x > 0, alpha*dy elsewhere.
func leakyReLUBackward(dx, dy, x []float32, alpha float32) {
	dx, dy = dx[:len(x)], dy[:len(x)]
	for i, v := range x {
		b, low := math.Float32bits(dy[i]), math.Float32bits(alpha*dy[i])
		if !isPositive(math.Float32bits(v)) {
			b = low
		}
		dx[i] = math.Float32frombits(b)
	}
}

// geluForward computes y = x Phi(x) (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016).
func geluForward(y, x []float32, _ float32) {
	y = y[:len(x)]
	for i, v := range x {
		cdf, _ := vmath.Normal(v)
		y[i] = v * cdf
	}
}

// geluBackward computes dx = dy (Phi(x) + x phi(x)), phi being the normal density.
func geluBackward(dx, dy, x []float32, _ float32) {
	dx, dy = dx[:len(x)], dy[:len(x)]
	for i, v := range x {
		cdf, pdf := vmath.Normal(v)
		dx[i] = dy[i] * (cdf + v*pdf)
	}
}

const (
	geluTanhScale = 2 * 0.79788456080286535588 // 2 sqrt(2/pi)
	geluTanhCubic = 0.044715
	// Beyond this the slope of GELUTanh is 0 or 1; x^3 of what is below can't overflow.
	geluTanhLimit = 16
)

// geluTanhForward computes y = x/2 (1 + tanh u) as x sigmoid(2u), which is the same and
// doesn't cancel:
//
//	2u = 2 sqrt(2/pi) (x + 0.044715 x^3)
func geluTanhForward(y, x []float32, _ float32) {
	y = y[:len(x)]
	for i, v := range x {
		s, _ := sigmoid(geluTanhScale * v * (1 + geluTanhCubic*v*v))
		y[i] = v * s
	}
}

// geluTanhBackward computes dx = dy (s + x s' d(2u)/dx), s being sigmoid(2u).
func geluTanhBackward(dx, dy, x []float32, _ float32) {
	dx, dy = dx[:len(x)], dy[:len(x)]
	for i, v := range x {
		if v > geluTanhLimit {
			v = geluTanhLimit
		}
		if v < -geluTanhLimit {
			v = -geluTanhLimit
		}
		square := v * v
		s, slope := sigmoid(geluTanhScale * v * (1 + geluTanhCubic*square))
		dx[i] = dy[i] * (s + v*slope*(geluTanhScale*(1+3*geluTanhCubic*square)))
	}
}

// sigmoid returns s = 1/(1+exp(-x)) and its slope s(1-s), by e = exp(-|x|):
//
//	s = 1/(1+e) for x >= 0, e/(1+e) below      s(1-s) = e/(1+e)^2
func sigmoid(x float32) (s, slope float32) {
	b := math.Float32bits(x)
	e := vmath.ExpNegative(math.Float32frombits(b | signBit))
	inverse := 1 / (1 + e)
	low := e * inverse
	bits, lowBits := math.Float32bits(inverse), math.Float32bits(low)
	if int32(b) < 0 {
		bits = lowBits
	}
	return math.Float32frombits(bits), low * inverse
}

// sigmoidForward computes y = 1 / (1 + exp(-x)).
func sigmoidForward(y, x []float32, _ float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i], _ = sigmoid(v)
	}
}

// sigmoidBackward computes dx = dy s(1-s), s being sigmoid(x).
func sigmoidBackward(dx, dy, x []float32, _ float32) {
	dx, dy = dx[:len(x)], dy[:len(x)]
	for i, v := range x {
		_, slope := sigmoid(v)
		dx[i] = dy[i] * slope
	}
}

// tanhForward computes y = tanh(x).
func tanhForward(y, x []float32, _ float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = vmath.Tanh(v)
	}
}

// tanhBackward computes dx = dy (1 - tanh(x)^2) as 4 s(1-s) with s = sigmoid(2x).
func tanhBackward(dx, dy, x []float32, _ float32) {
	dx, dy = dx[:len(x)], dy[:len(x)]
	for i, v := range x {
		_, slope := sigmoid(2 * v)
		dx[i] = dy[i] * (4 * slope)
	}
}

// siluForward computes y = x / (1 + exp(-x)).
func siluForward(y, x []float32, _ float32) {
	y = y[:len(x)]
	for i, v := range x {
		s, _ := sigmoid(v)
		y[i] = v * s
	}
}

// siluBackward computes dx = dy (s + x s(1-s)), s being sigmoid(x).
func siluBackward(dx, dy, x []float32, _ float32) {
	dx, dy = dx[:len(x)], dy[:len(x)]
	for i, v := range x {
		s, slope := sigmoid(v)
		dx[i] = dy[i] * (s + v*slope)
	}
}
