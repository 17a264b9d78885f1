package devicetest

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// floatFormat is a binary floating-point format of IEEE 754's kind: a sign, exponent
// bits with the bias 2^(exponent-1)-1, and fraction bits.
type floatFormat struct{ exponent, fraction int }

func formatOf(d device.DType) floatFormat {
	switch d {
	case device.Float32:
		return floatFormat{8, 23}
	case device.Float16:
		return floatFormat{5, 10}
	case device.BFloat16:
		return floatFormat{8, 7}
	}
	panic(fmt.Sprintf("devicetest: %v is not a float type", d))
}

func (f floatFormat) bias() int { return 1<<(f.exponent-1) - 1 }

// decode returns the number that the bits stand for:
//
//	(-1)^sign * 1.fraction * 2^(exponent-bias), or 0.fraction * 2^(1-bias) for exponent 0
func (f floatFormat) decode(bits uint32) float64 {
	fraction := float64(bits & (1<<f.fraction - 1))
	exponent := int(bits>>f.fraction) & (1<<f.exponent - 1)
	sign := 1.0
	if bits>>(f.fraction+f.exponent) != 0 {
		sign = -1
	}
	switch exponent {
	case 1<<f.exponent - 1:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	case 0:
		return sign * math.Ldexp(fraction, 1-f.bias()-f.fraction)
	}
	return sign * math.Ldexp(1+math.Ldexp(fraction, -f.fraction), exponent-f.bias())
}

// encode returns the bits that stand for x, which must be a number of the format; NaN becomes
// the quiet one without a payload.
func (f floatFormat) encode(x float64) uint32 {
	sign := uint32(0)
	if math.Signbit(x) {
		sign = 1 << (f.exponent + f.fraction)
	}
	infinity := uint32(1<<f.exponent-1) << f.fraction
	x = math.Abs(x)
	switch {
	case math.IsNaN(x):
		return infinity | 1<<(f.fraction-1)
	case math.IsInf(x, 0):
		return sign | infinity
	case x < math.Ldexp(1, 1-f.bias()): // subnormal: 0.fraction
		return sign | uint32(math.Ldexp(x, f.bias()-1+f.fraction))
	}
	m, e := math.Frexp(x) // x = 2m * 2^(e-1), 1 <= 2m < 2
	return sign | uint32(e-1+f.bias())<<f.fraction | uint32(math.Ldexp(2*m-1, f.fraction))
}

// largest returns the largest finite number of the format.
func (f floatFormat) largest() float64 {
	return math.Ldexp(2-math.Ldexp(1, -f.fraction), f.bias())
}

// spacing returns the distance between neighbours of the format around x.
func (f floatFormat) spacing(x float64) float64 {
	if x == 0 {
		return math.Ldexp(1, 1-f.bias()-f.fraction)
	}
	_, e := math.Frexp(x) // x = m * 2^e with 1/2 <= |m| < 1
	return math.Ldexp(1, max(e-1, 1-f.bias())-f.fraction)
}

// round returns the number of the format that is nearest to x, of two the one with an
// even fraction, and infinity from half a step above the largest on.
func (f floatFormat) round(x float64) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	step := f.spacing(x)
	rounded := math.RoundToEven(x/step) * step
	if math.Abs(rounded) >= math.Ldexp(1, f.bias()+1) {
		return math.Inf(int(math.Copysign(1, x)))
	}
	return rounded
}
