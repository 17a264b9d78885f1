// Package vmath holds float32 versions of the transcendental functions that activations
// and losses need: they take a few nanoseconds each, whereas package math computes in
// float64. They have hardly any branches, and package vector does the same steps on a
// whole vector register at once.
//
// The coefficients are minimax fits found by Remez's exchange algorithm in 40-digit
// arithmetic; tests enforce the error bounds that each function states.
package vmath

import "math"

const (
	log2e = 1.44269504088896340736
	// ln 2 in two parts: the upper has 9 significant bits, so that its product with k is
	// exact.
	ln2Hi = 0.693359375
	ln2Lo = -2.12194440054690583e-4

	// Adding 1.5*2^23 to a float32 of magnitude below 2^22 rounds it to an integer, which
	// is then in the lowest bits of the sum.
	roundBits = 0x4B400000
	roundBias = 1.5 * (1 << 23)

	// Below this, k = -127 and e^x is subnormal.
	expMin = -88
)

// ExpNegative returns e^x for x <= 0, with an error of at most 1 unit in the last place.
// If the result would be subnormal, for x below -87.33, it returns 0.
//
//	e^x = 2^k e^r      k = round(x/ln 2)      r = x - k ln 2, |r| <= ln 2/2
//
// (Cody and Waite, "Software Manual for the Elementary Functions", 1980, chapter 6.)
// Softmax, sigmoid and GELU need no more than x <= 0, and the function is short enough to
// be inlined.
func ExpNegative(x float32) float32 {
	if x < expMin {
		x = expMin
	}
	t := x*log2e + roundBias
	n := t - roundBias
	x -= n * ln2Hi
	x -= n * ln2Lo
	// Shifting k from the lowest bits of t to the place of the exponent shifts out
	// roundBits. k = -127 gives the bits of 0.
	return (1 + expm1(x)) * math.Float32frombits((math.Float32bits(t)+127)<<23)
}

// Expm1Negative returns e^x - 1 for x <= 0, off by at most 3 units in the last place:
//
//	e^x - 1 = 2^k (e^r - 1) + (2^k - 1)
//
// with k and r as in ExpNegative. It does not cancel near 0, where k is 0.
func Expm1Negative(x float32) float32 {
	if x < expMin {
		x = expMin
	}
	k, r := reduce(x)
	p := pow2(k)
	return p*expm1(r) + (p - 1)
}

// reduce returns k and r with x = k ln 2 + r.
func reduce(x float32) (k int32, r float32) {
	t := x*log2e + roundBias
	n := t - roundBias
	return int32(math.Float32bits(t) - roundBits), x - n*ln2Hi - n*ln2Lo
}

// expm1 returns e^r - 1 for |r| <= ln 2/2, with an error, before rounding, of at most
// 3.1e-9 of e^r.
func expm1(r float32) float32 {
	return r + r*r*(0.4999999341+r*(0.1666652011+r*(0.04166839421+r*(0.008368780409+r*0.001381446695))))
}

// pow2 returns 2^k for -126 <= k <= 127, and 0 for k = -127.
func pow2(k int32) float32 { return math.Float32frombits(uint32(k+127) << 23) }
