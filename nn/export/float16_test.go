package export

import (
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// All numbers of float16 and the numbers around the middles between them are rounded as the reference rounds.
func TestFloat16IsTheReferences(t *testing.T) {
	format := reference.FormatOf(device.Float16)
	check := func(x float32) {
		t.Helper()
		want := format.Round(float64(x))
		if got := roundFloat16(x); float64(got) != want && !(math.IsNaN(want) && got != got) {
			t.Fatalf("%v (%#x) is rounded to %v, want %v", x, math.Float32bits(x), got, want)
		}
		if got, bits := float16Bits(x), uint16(format.Encode(want)); got != bits {
			t.Fatalf("%v has the bits %#x, want %#x", x, got, bits)
		}
	}
	for bits := range uint32(1 << 16) {
		x := float32(format.Decode(bits))
		check(x)
		if x != x {
			continue
		}
		middle := float32(float64(x) + math.Copysign(format.Spacing(float64(x))/2, float64(x)))
		for _, y := range []float32{middle, math.Nextafter32(middle, 0), math.Nextafter32(middle, 1e9), math.Nextafter32(x, 0), math.Nextafter32(x, -1e9)} {
			check(y)
		}
	}
	for _, x := range []float32{65519, 65520, 1e30, -1e30, 1e-30, -1e-30, float32(math.NaN())} {
		check(x)
	}
}
