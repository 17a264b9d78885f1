package devicetest

import (
	"bytes"
	"fmt"
	"math"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// The tolerance policy. A result is right when
//
//	|got - want| <= atol + ulps * 2^-23 * magnitude
//
// where the reference says what ulps and magnitude are (reference.Sums, with the reasons for ulps).
//
// A result that is stored in 16 bits is computed in float32, which may be off by no more than the above, here
// called E, and then rounded to nearest: round(x) = x (1 + d) with |d| at most the unit roundoff, 2^-11 for float16
// and 2^-8 for bfloat16 (half the distance to the next number if x is subnormal). As rounding is
// monotone, it is right exactly when
//
//	round(want - E) <= got <= round(want + E)
//
// so that it may be the neighbour of the rounded reference only if that is within E of the middle between two
// numbers. The inputs are numbers of the type, and products of two of them are exact in float32: E is that of
// the same operation on float32 tensors, without ProductFactor.
//
// A bias may cost one rounding more, because libraries store the sum before the bias is added to it, or take the bias in
// the type of the output. E grows by half the distance of neighbours around the larger of sum and bias, that is by at most
// the unit roundoff times it.
//
// atol is not for rounding. It lets a device flush what underflows: 2^-120 is the
// smallest normal float32 times the largest factor (x in x*sigmoid(x)) that meets an
// underflowing exponential.
const atol = 0x1p-120

// allowed returns the least and the greatest number of the type that is element i, up to rounding.
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

// within reports whether got, a number of the type, is element i, up to rounding. NaN is only
// matched by NaN, and an infinity by itself.
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

// compare returns an error that names the first elements, of the type, which are not what
// s says, or nil.
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
