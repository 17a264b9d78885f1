package reference

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// Format is a binary floating-point format of IEEE 754's kind: a sign, exponent
// bits with the bias 2^(exponent-1)-1, and fraction bits.
type Format struct{ Exponent, Fraction int }

// FormatOf returns the format of a float type.
func FormatOf(d device.DType) Format {
	switch d {
	case device.Float32:
		return Format{8, 23}
	case device.Float16:
		return Format{5, 10}
	case device.BFloat16:
		return Format{8, 7}
	}
	panic(fmt.Sprintf("reference: %v is not a float type", d))
}

func (f Format) bias() int { return 1<<(f.Exponent-1) - 1 }

// powerOf2 returns 2^e, for e from -1022 to 1023.
func powerOf2(e int) float64 { return math.Float64frombits(uint64(e+1023) << 52) }

// exponentOf returns the e with 2^e <= |x| < 2^(e+1) if that is -1022 or more, and -1023 for all smaller x.
func exponentOf(x float64) int { return int(math.Float64bits(x)>>52)&0x7FF - 1023 }

// Decode returns the number that the bits stand for:
//
//	(-1)^sign * 1.fraction * 2^(exponent-bias), or 0.fraction * 2^(1-bias) for exponent 0
func (f Format) Decode(bits uint32) float64 {
	fraction := float64(bits & (1<<f.Fraction - 1))
	exponent := int(bits>>f.Fraction) & (1<<f.Exponent - 1)
	sign := 1.0
	if bits>>(f.Fraction+f.Exponent) != 0 {
		sign = -1
	}
	switch exponent {
	case 1<<f.Exponent - 1:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	case 0:
		return sign * fraction * powerOf2(1-f.bias()-f.Fraction)
	}
	return sign * (1 + fraction*powerOf2(-f.Fraction)) * powerOf2(exponent-f.bias())
}

// Encode returns the bits that stand for x, which must be a number of the format; NaN becomes
// the quiet NaN without a payload.
func (f Format) Encode(x float64) uint32 {
	sign := uint32(0)
	if math.Signbit(x) {
		sign = 1 << (f.Exponent + f.Fraction)
	}
	infinity := uint32(1<<f.Exponent-1) << f.Fraction
	x = math.Abs(x)
	switch {
	case math.IsNaN(x):
		return infinity | 1<<(f.Fraction-1)
	case math.IsInf(x, 0):
		return sign | infinity
	case x < powerOf2(1-f.bias()): // subnormal: 0.fraction
		return sign | uint32(x*powerOf2(f.bias()-1+f.Fraction))
	}
	e := exponentOf(x) // x = 1.fraction * 2^e
	return sign | uint32(e+f.bias())<<f.Fraction | uint32((x*powerOf2(-e)-1)*powerOf2(f.Fraction))
}

// Largest returns the largest finite number of the format.
func (f Format) Largest() float64 {
	return (2 - powerOf2(-f.Fraction)) * powerOf2(f.bias())
}

// Spacing returns the distance between neighbouring numbers of the format around x.
func (f Format) Spacing(x float64) float64 {
	return powerOf2(max(exponentOf(x), 1-f.bias()) - f.Fraction)
}

// Round returns the number of the format that is nearest to x. Of two equally near numbers
// it returns the one with an even fraction, and from half a step above the largest number
// on it returns infinity.
func (f Format) Round(x float64) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	step := f.Spacing(x)
	rounded := math.RoundToEven(x/step) * step
	if math.Abs(rounded) >= powerOf2(f.bias()+1) {
		return math.Inf(int(math.Copysign(1, x)))
	}
	return rounded
}
