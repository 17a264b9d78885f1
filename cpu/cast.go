package cpu

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// cast is the plan of a conversion between float types, which rounds to nearest, ties to even. Float16 is IEEE 754's
// binary16, and BFloat16 the upper half of a float32.
type cast struct {
	d    *Device
	spec device.CastSpec

	// Operands of the current call, and their length.
	dst, src *device.Tensor
	n        int
}

// NewCast returns a plan for a conversion.
func (d *Device) NewCast(s device.CastSpec) (device.Cast, error) {
	if !isFloat(s.To) || !isFloat(s.From) || s.Len < 1 {
		panic(fmt.Sprintf("cpu: NewCast: from %v to %v, %d elements", s.From, s.To, s.Len))
	}
	return &cast{d: d, spec: s}, nil
}

func isFloat(t device.DType) bool {
	return t == device.Float32 || t == device.Float16 || t == device.BFloat16
}

func (p *cast) Run(dst, src *device.Tensor) {
	const op = "cpu: cast"
	if src == nil || src.Len() > p.spec.Len {
		panic(fmt.Sprintf("%s: src is %v, want at most %d elements of %v", op, src, p.spec.Len, p.spec.From))
	}
	p.n = src.Len()
	device.CheckLen(op, "src", src, p.spec.From, p.n)
	device.CheckLen(op, "dst", dst, p.spec.To, p.n)
	p.dst, p.src = dst, src
	p.d.pool.Run(chunks(p.n), (*castRun)(p))
}

// castRun is the loop over chunks. Every conversion goes through float32, which can
// represent every value of the other types, in a small buffer that stays in cache.
type castRun cast

// castBuffer is the number of float32 elements in the buffer between the two halves of a
// conversion.
const castBuffer = 256

func (p *castRun) Do(i, _ int) {
	from, to := span(i, p.n)
	if p.spec.To == device.Float32 {
		p.widen(floats(p.dst)[from:to], from, to)
		return
	}
	dst := uint16s(p.dst)
	if p.spec.From == device.Float32 {
		p.narrow(dst[from:to], floats(p.src)[from:to])
		return
	}
	var buffer [castBuffer]float32
	for ; from < to; from += castBuffer {
		end := min(from+castBuffer, to)
		p.widen(buffer[:end-from], from, end)
		p.narrow(dst[from:end], buffer[:end-from])
	}
}

// widen computes y = src[from:to] as float32.
func (p *castRun) widen(y []float32, from, to int) {
	switch p.spec.From {
	case device.Float32:
		copy(y, floats(p.src)[from:to])
	case device.Float16:
		widenFloat16(y, uint16s(p.src)[from:to])
	case device.BFloat16:
		widenBFloat16(y, uint16s(p.src)[from:to])
	}
}

// narrow rounds x to the 16-bit type.
func (p *castRun) narrow(y []uint16, x []float32) {
	if p.spec.To == device.Float16 {
		narrowFloat16(y, x)
		return
	}
	narrowBFloat16(y, x)
}

// widenBFloat16 converts bfloat16 to float32: the lower half of the bits is zero.
func widenBFloat16(y []float32, x []uint16) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = math.Float32frombits(uint32(v) << 16)
	}
}

const (
	signBit      = 1 << 31
	infinityBits = 0x7F800000 // of +Inf; larger patterns are NaNs
)

// bfloat16NaN is the NaN that every NaN becomes, apart from its sign.
const bfloat16NaN = 0x7FC0

// narrowBFloat16 converts float32 to bfloat16. Adding 0x7FFF, and 1 more if the upper half
// is odd, carries into the upper half exactly when it must be rounded up.
func narrowBFloat16(y []uint16, x []float32) {
	y = y[:len(x)]
	for i, v := range x {
		b := math.Float32bits(v)
		rounded := (b + 0x7FFF + b>>16&1) >> 16
		if b&^signBit > infinityBits {
			rounded = b>>16&0x8000 | bfloat16NaN
		}
		y[i] = uint16(rounded)
	}
}

// widenFloat16 converts float16 to float32.
func widenFloat16(y []float32, x []uint16) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = float32FromFloat16(v)
	}
}

const (
	// float16 has 5 exponent bits with bias 15, and 10 mantissa bits; float32 has 8
	// exponent bits with bias 127, and 23 mantissa bits. Moved to the place of the float32
	// exponent, a float16 exponent is 127 - 15 = 112 too small.
	rebias          = 127 - 15
	float16Infinity = 0x7C00
	float16NaN      = 0x7E00
)

// float32FromFloat16 shifts the bits into place and multiplies by 2^112, which corrects
// the exponent and makes subnormals normal. The product is exact.
func float32FromFloat16(v uint16) float32 {
	magnitude := uint32(v&^0x8000) << 13
	b := math.Float32bits(math.Float32frombits(magnitude) * 0x1p112)
	if magnitude >= float16Infinity<<13 {
		b = magnitude | infinityBits
	}
	return math.Float32frombits(b | uint32(v&0x8000)<<16)
}

// narrowFloat16 converts float32 to float16.
func narrowFloat16(y []uint16, x []float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = float16FromFloat32(v)
	}
}

// float16FromFloat32 rounds to nearest, ties to even.
func float16FromFloat32(v float32) uint16 {
	b := math.Float32bits(v)
	sign, b := uint16(b>>16)&0x8000, b&^signBit
	switch {
	case b > infinityBits:
		return sign | float16NaN
	case b >= (15+1+127)<<23:
		return sign | float16Infinity // 2^16 or more
	case b < (127-14)<<23:
		// Below 2^-14 the spacing is 2^-24. Adding 1/2, whose last mantissa bit is worth
		// 2^-24, rounds to that spacing; the lower bits of the sum are the subnormal, or
		// the smallest normal number.
		sum := math.Float32frombits(b) + 0.5
		return sign | uint16(math.Float32bits(sum)-math.Float32bits(0.5))
	}
	// A carry out of the mantissa increases the exponent, which is right, and may give
	// infinity.
	return sign | uint16((b-rebias<<23+0xFFF+b>>13&1)>>13)
}
