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

const (
	geluTanhScale = 2 * 0.79788456080286535588 // 2 sqrt(2/pi)
	geluTanhCubic = 0.044715
	// Beyond this the slope of GELUTanh is 0 or 1; x^3 of what is below can't overflow.
	geluTanhLimit = 16
)

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
