package vmath

import "math"

// invSqrt2Pi is 1/sqrt(2 pi).
const invSqrt2Pi = 0.39894228040143267794

// Normal returns the distribution function Phi(x) and the density of the standard
// normal distribution, which share one exponential:
//
//	pdf = e^(-x^2/2) / sqrt(2 pi)
//	Phi(-|x|) = e^(-x^2/2) t Q(t)      t = 1/(1 + 0.27|x|)      Phi(|x|) = 1 - Phi(-|x|)
//
// the form of Hastings' approximations (Abramowitz and Stegun 1964, 7.1.26), with Q of
// degree 8 and a relative error of 2.4e-8 for |x| <= 13.5. Rounding x^2/2 adds a relative
// error of x^2 * 2^-25. In all, the error of cdf is at most 2.4e-7, and the relative error
// of both results is at most (4 + x^2) * 2^-23 if they are normal float32s.
func Normal(x float32) (cdf, pdf float32) {
	e := ExpNegative(-0.5 * x * x)
	t := 1 / (1 + 0.27*math.Float32frombits(math.Float32bits(x)&^(1<<31)))
	// Estrin's scheme: with powers of t^2 and t^4, fewer operations wait for a previous
	// one than in Horner's.
	t2 := t * t
	t4 := t2 * t2
	q := (0.1077195376 + 0.1075607571*t) + t2*(0.1016904821+0.07249361353*t) +
		t4*((0.1068355579-0.06784337929*t)+t2*(0.168641012-0.1259528772*t)+t4*0.02885530773)
	tail := e * (t * q)
	// A choice between integers compiles to a conditional move: the sign of x is
	// practically random, and a mispredicted branch would cost more than everything else.
	bits, upper := math.Float32bits(tail), math.Float32bits(1-tail)
	if int32(math.Float32bits(x)) >= 0 {
		bits = upper
	}
	return math.Float32frombits(bits), e * invSqrt2Pi
}
