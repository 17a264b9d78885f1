package vmath

import "math"

// From tanhMax on, tanh is 1 in float32: 1 - tanh(9.02) < 2^-25.
const tanhMax = 10

// Tanh returns the hyperbolic tangent, with an error of at most 3 units in the last place.
//
//	tanh |x| = m / (m+2)      m = e^(2|x|) - 1
//
// m comes from the same reduction as in the exponential: m = 2^k (e^r - 1) + (2^k - 1). Near 0,
// k is 0, so nothing cancels.
func Tanh(x float32) float32 {
	sign := math.Float32bits(x) & (1 << 31)
	a := math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
	if a > tanhMax {
		a = tanhMax
	}
	k, r := reduce(2 * a)
	p := pow2(k)
	m := p*expm1(r) + (p - 1)
	return math.Float32frombits(math.Float32bits(m/(m+2)) | sign)
}
