package vmath

import "math"

// tanhMax is where tanh has become 1 in float32: 1 - tanh(9.02) < 2^-25.
const tanhMax = 10

// Tanh returns the hyperbolic tangent, off by at most 3 units in the last place.
//
//	tanh |x| = m / (m+2)      m = e^(2|x|) - 1
//
// with m from the same reduction as the exponential's, m = 2^k (e^r - 1) + (2^k - 1), which does
// not cancel near 0, where k is 0.
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
