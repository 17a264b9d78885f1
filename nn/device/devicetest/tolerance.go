package devicetest

import (
	"bytes"
	"fmt"
	"math"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// The tolerance policy. A result is right if
//
//	|got - want| <= atol + ulps * 2^-23 * magnitude
//
// where the reference gives ulps and magnitude (see reference.Sums, also for the reasons behind ulps).
//
// A result that is stored in 16 bits is computed in float32, with an error of at most the bound above, here called E,
// and then rounded to nearest: round(x) = x (1 + d) with |d| at most the unit roundoff, 2^-11 for float16 and 2^-8 for
// bfloat16 (half the distance to the next number if x is subnormal). Because rounding is monotone, the result is right
// if and only if
//
//	round(want - E) <= got <= round(want + E)
//
// so it may be a neighbour of the rounded reference only if the reference is within E of the middle between two
// numbers. The inputs are numbers of the type, and products of two of them are exact in float32, so E is the bound for
// the same operation on float32 tensors, without ProductFactor.
//
// A bias may add one rounding, because libraries store the sum before they add the bias, or take the bias in the type
// of the output. E grows by half the distance between neighbouring numbers around the larger of sum and bias, which is
// at most the unit roundoff times the larger one.
//
// atol is not for rounding. It lets a device flush underflowing results to zero: 2^-120 is
// the smallest normal float32 times the largest factor (x in x*sigmoid(x)) of an
// underflowing exponential.
const atol = 0x1p-120

// allowed returns the smallest and the largest number of the type that equal element i up to rounding.
func allowed(s reference.Sums, dtype device.DType, i int) (least, greatest float64) {
	want, e := s.Value[i], atol+s.Ulps*reference.Ulp*s.Magnitude[i]
	if dtype == device.Float32 {
		return want - e, want + e
	}
	f := reference.FormatOf(dtype)
	if s.Rounded != nil {
		e += f.Spacing(s.Rounded[i]) / 2
	}
	return f.Round(want - e), f.Round(want + e)
}

// within reports whether got, a number of the type, equals element i up to rounding. Only NaN
// matches NaN, and an infinity matches only itself.
func within(s reference.Sums, dtype device.DType, i int, got float64) bool {
	want := s.Value[i]
	switch {
	case math.IsNaN(want):
		return math.IsNaN(got)
	case math.IsInf(want, 0):
		return got == want
	}
	least, greatest := allowed(s, dtype, i)
	return least <= got && got <= greatest
}

// compare returns an error that names the first elements that differ from s by more than
// the tolerance, or nil.
func compare(s reference.Sums, dtype device.DType, elements []byte) error {
	got := reference.Unpack(dtype, elements)
	if len(got) != len(s.Value) {
		return fmt.Errorf("%d elements, want %d", len(got), len(s.Value))
	}
	never := unwritten(dtype, 1)
	wrong := mismatches{total: len(got)}
	for i, g := range got {
		if within(s, dtype, i, g) {
			continue
		}
		note := ""
		if bytes.Equal(elements[i*len(never):(i+1)*len(never)], never) {
			note = " (never written, or added to what was there before)"
		}
		least, greatest := allowed(s, dtype, i)
		wrong.add("[%d] is %v, want %v, off by %.3g where %v to %v is allowed%s",
			i, g, s.Value[i], math.Abs(g-s.Value[i]), least, greatest, note)
	}
	return wrong.err()
}

// mismatches collects the first few wrong elements of a buffer.
type mismatches struct {
	total, count int
	text         string
}

func (m *mismatches) add(format string, args ...any) {
	m.count++
	if m.count <= 4 {
		m.text += "\n\t" + fmt.Sprintf(format, args...)
	}
}

func (m *mismatches) err() error {
	if m.count == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d elements are wrong:%s", m.count, m.total, m.text)
}
