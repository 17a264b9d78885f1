package export

import "math"

// The range of float16: the largest number, and the smallest one with all 11 bits.
const (
	largestFloat16 = 65504
	normalFloat16  = 1. / (1 << 14)
)

// roundFloat16 returns the number of float16 that is nearest to x, of two equally near ones the one with an even fraction,
// and infinity from 65520 on.
func roundFloat16(x float32) float32 {
	bits := math.Float32bits(x)
	switch magnitude := math.Float32frombits(bits &^ (1 << 31)); {
	case !(magnitude < largestFloat16+16):
		return x * float32(math.Inf(1)) // NaN stays NaN
	case magnitude < normalFloat16:
		const shift = 0.75 // numbers around it have float16's smallest distance, 2^-24
		return float32(math.Copysign(float64((magnitude+shift)-shift), float64(x)))
	}
	bits += 1<<12 - 1 + bits>>13&1
	return math.Float32frombits(bits &^ (1<<13 - 1))
}

// float16Bits returns the bits of the number of float16 that is nearest to x.
func float16Bits(x float32) uint16 {
	bits := math.Float32bits(roundFloat16(x))
	sign, magnitude := uint16(bits>>16&(1<<15)), math.Float32frombits(bits&^(1<<31))
	switch {
	case magnitude != magnitude:
		return 0x7E00
	case magnitude > largestFloat16:
		return sign | 0x7C00
	case magnitude < normalFloat16:
		return sign | uint16(magnitude*(1<<24))
	}
	return sign | uint16((bits>>13)&(1<<10-1)) | uint16((bits>>23&0xFF)-127+15)<<10
}
