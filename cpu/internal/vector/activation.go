package vector

import (
	"math"

	"trainer/cpu/internal/vmath"
)

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
