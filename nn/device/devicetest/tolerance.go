package devicetest

import (
	"bytes"
	"fmt"
	"math"

	"trainer/nn/device"
)

// The tolerance policy. A result is right when
//
//	|got - want| <= atol + ulps * 2^-23 * magnitude
//
// with magnitude the sum of the absolute values of the terms that the reference
// added up to want: rounding errors are proportional to the terms, not to what is
// left of them after cancellation.
//
// ulps depends on the operation:
//
//   - A sum of k products, added one after the other in float32, has a worst-case
//     error of k*2^-24 of the magnitude. Roundings are as good as independent,
//     so the error behaves like a random walk: its standard deviation for terms of
//     one sign is sqrt(k)/3 * 2^-24 (Higham and Mary, "A New Approach to
//     Probabilistic Rounding Error Analysis", 2019). sumUlps(k) = 2 + sqrt(k) is six
//     of these, which leaves one failure in 10^9 elements, and any blocked or pairwise
//     order is better. A mistake in one term of k is of size magnitude/k, far above.
//   - elementwiseUlps is for a handful of additions, multiplications, divisions and
//     square roots.
//   - functionUlps is for exp, tanh, erf and formulas around them: a few units in the
//     last place, as the mathematical libraries of all devices promise.
//
// A result that is stored in 16 bits is computed in float32, which may be off by no more than the above, here
// called E, and then rounded to nearest: round(x) = x (1 + d) with |d| at most the unit roundoff, 2^-11 for float16
// and 2^-8 for bfloat16 (half the distance to the next number where x is subnormal). As rounding is
// monotone, it is right exactly when
//
//	round(want - E) <= got <= round(want + E)
//
// so that it may be the neighbour of the rounded reference only where that is within E of the middle between two
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
const (
	elementwiseUlps = 4
	functionUlps    = 8

	ulp  = 1.0 / (1 << 23)
	atol = 0x1p-120
)

// sumUlps is the error allowed for a sum of k products in float32.
func sumUlps(k int) float64 { return 2 + math.Sqrt(float64(k)) }

// sums is what a reference computes: for each element its value, the sum of the
// absolute values of the terms that make it, and how many units of 2^-23 of that
// an implementation may be off.
type sums struct {
	value, magnitude []float64
	ulps             float64
	// rounded is, for each element, the size of what may be rounded to 16 bits on the way to a
	// result of 16 bits; nil where nothing is.
	rounded []float64
}

func newSums(n int, ulps float64) sums {
	return sums{value: make([]float64, n), magnitude: make([]float64, n), ulps: ulps}
}

// add adds one term to element i.
func (s sums) add(i int, term float64) {
	s.value[i] += term
	s.magnitude[i] += math.Abs(term)
}

// withBias returns s ready for addBias, if there is a bias.
func (s sums) withBias(there bool) sums {
	if there {
		s.rounded = make([]float64, len(s.value))
	}
	return s
}

// addBias adds the bias to element i, the sum of all other terms.
func (s sums) addBias(i int, bias float64) {
	s.rounded[i] = math.Max(math.Abs(s.value[i]), math.Abs(bias))
	s.add(i, bias)
}

// set gives element i its value and magnitude.
func (s sums) set(i int, value, magnitude float64) {
	s.value[i], s.magnitude[i] = value, magnitude
}

// times returns s multiplied by a factor above 0.
func (s sums) times(factor float64) sums {
	m := newSums(len(s.value), s.ulps)
	for i := range m.value {
		m.set(i, factor*s.value[i], factor*s.magnitude[i])
	}
	return m
}

// widened returns s with the error allowed multiplied by factor.
func (s sums) widened(factor float64) sums {
	if factor > 0 {
		s.ulps *= factor
	}
	return s
}

// overTiles returns s, pixels of the shape [n,h,w,c], with each magnitude the largest of
// those of the same image and channel that lie less than side pixels away in both
// directions: of all the tiles that the pixel can lie in.
func (s sums) overTiles(side int, shape []int) sums {
	if side <= 1 {
		return s
	}
	h, w, c := shape[1], shape[2], shape[3]
	// A maximum over a square is that over columns of the maxima over rows.
	rows := largestAlong(s.magnitude, w, c, side)
	s.magnitude = largestAlong(rows, h, w*c, side)
	return s
}

// largestAlong returns for each element the largest of those that lie less than side steps
// away along a dimension of n steps, stride elements apart.
func largestAlong(x []float64, n, stride, side int) []float64 {
	most := make([]float64, len(x))
	for i := range x {
		at := i / stride % n
		for step := max(at-side+1, 0); step <= min(at+side-1, n-1); step++ {
			most[i] = max(most[i], x[i+(step-at)*stride])
		}
	}
	return most
}

// allowed returns the least and the greatest number of the type that is element i, up to rounding.
func (s sums) allowed(dtype device.DType, i int) (least, greatest float64) {
	want, e := s.value[i], atol+s.ulps*ulp*s.magnitude[i]
	if dtype == device.Float32 {
		return want - e, want + e
	}
	f := formatOf(dtype)
	if s.rounded != nil {
		e += f.spacing(s.rounded[i]) / 2
	}
	return f.round(want - e), f.round(want + e)
}

// within reports whether got, a number of the type, is element i, up to rounding. NaN is only
// matched by NaN, and an infinity by itself.
func (s sums) within(dtype device.DType, i int, got float64) bool {
	want := s.value[i]
	switch {
	case math.IsNaN(want):
		return math.IsNaN(got)
	case math.IsInf(want, 0):
		return got == want
	}
	least, greatest := s.allowed(dtype, i)
	return least <= got && got <= greatest
}

// compare returns an error that names the first elements, of the type, which are not what
// s says, or nil.
func (s sums) compare(dtype device.DType, elements []byte) error {
	got := unpack(dtype, elements)
	if len(got) != len(s.value) {
		return fmt.Errorf("%d elements, want %d", len(got), len(s.value))
	}
	never := unwritten(dtype, 1)
	wrong := mismatches{total: len(got)}
	for i, g := range got {
		if s.within(dtype, i, g) {
			continue
		}
		note := ""
		if bytes.Equal(elements[i*len(never):(i+1)*len(never)], never) {
			note = " (never written, or added to what was there before)"
		}
		least, greatest := s.allowed(dtype, i)
		wrong.add("[%d] is %v, want %v, off by %.3g where %v to %v is allowed%s",
			i, g, s.value[i], math.Abs(g-s.value[i]), least, greatest, note)
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
