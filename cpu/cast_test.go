package cpu

import (
	"math"
	"testing"

	"trainer/nn/device"
)

// Float16 has 10 mantissa bits: 1 + 2^-11 lies half way between two float16 numbers.
func TestFloat16Rounding(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		x    float64
		bits uint16
	}{
		{0, 0}, {math.Copysign(0, -1), 0x8000},
		{1, 0x3C00}, {-2, 0xC000}, {0.5, 0x3800},
		{1 + 0x1p-11, 0x3C00}, {1 + 0x3p-11, 0x3C02}, // ties go to the even neighbour
		{1 + 0x1p-11 + 0x1p-20, 0x3C01}, {1 + 0x1p-11 - 0x1p-20, 0x3C00},
		{65504, 0x7BFF}, {65519, 0x7BFF}, {65520, 0x7C00}, {1e30, 0x7C00}, {inf, 0x7C00}, {-inf, 0xFC00},
		{0x1p-14, 0x0400}, {0x1p-24, 0x0001}, {0x3p-24, 0x0003}, // the smallest normal, and subnormals
		{0x1p-25, 0x0000}, {0x1p-25 + 0x1p-40, 0x0001}, {0x3p-25, 0x0002}, {0x1p-60, 0},
		{0x1p-14 - 0x1p-25, 0x0400}, // rounds up to the smallest normal
	} {
		if got := float16FromFloat32(float32(c.x)); got != c.bits {
			t.Errorf("float16 of %v is %#04x, want %#04x", c.x, got, c.bits)
		}
	}
	if got := float16FromFloat32(nan); got != float16NaN {
		t.Errorf("float16 of NaN is %#04x", got)
	}
}

// Every float16 survives the conversion to float32 and back.
func TestFloat16RoundTrip(t *testing.T) {
	for b := 0; b < 1<<16; b++ {
		v := float32FromFloat16(uint16(b))
		if isNaN := b&0x7FFF > float16Infinity; isNaN {
			if v == v {
				t.Fatalf("%#04x became %v, want NaN", b, v)
			}
			continue
		}
		if got := float16FromFloat32(v); got != uint16(b) {
			t.Fatalf("%#04x became %v, and that %#04x", b, v, got)
		}
	}
}

// BFloat16 has 7 mantissa bits.
func TestBFloat16Rounding(t *testing.T) {
	inf := math.Inf(1)
	x := []float64{1, -3.5, 1 + 0x1p-8, 1 + 0x3p-8, 1 + 0x1p-8 + 0x1p-20, math.MaxFloat32, inf, -inf, 0x1p-149, 0x1p-133}
	want := []uint16{0x3F80, 0xC060, 0x3F80, 0x3F82, 0x3F81, 0x7F80, 0x7F80, 0xFF80, 0, 1}
	o := newOperands(t)
	src, dst, back := o.zeros(len(x)+1), o.tensor(device.BFloat16, len(x)+1), o.zeros(len(x)+1)
	for i, v := range x {
		floats(src)[i] = float32(v)
	}
	floats(src)[len(x)] = math.Float32frombits(0x7F800001) // a NaN whose bits are all in the lower half
	must(o.d.NewCast(device.CastSpec{From: device.Float32, To: device.BFloat16, Len: 20})).Run(dst, src)
	for i, w := range append(want, bfloat16NaN) {
		if got := uint16s(dst)[i]; got != w {
			t.Errorf("bfloat16 of %v is %#04x, want %#04x", floats(src)[i], got, w)
		}
	}
	must(o.d.NewCast(device.CastSpec{From: device.BFloat16, To: device.Float32, Len: 20})).Run(back, dst)
	wantFloats(t, "back", back, 0, 1, -3.5, 1, 1+0x1p-6, 1+0x1p-7, float32(inf), float32(inf), float32(-inf), 0, 0x1p-133, nan)
}
