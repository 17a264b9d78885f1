package reference

import "math"

// The error bound of a result. An implementation that computes in float32 is right if each element got of its result
// satisfies
//
//	|got - Value| <= Ulps * 2^-23 * Magnitude
//
// where Magnitude is the sum of the absolute values of the terms that add up to Value: rounding errors are proportional
// to the terms, not to the remainder after cancellation.
//
// Ulps depends on the operation:
//
//   - A sum of k products, added one after the other in float32, has a worst-case
//     error of k*2^-24 of the magnitude. Roundings are as good as independent,
//     so the error behaves like a random walk: its standard deviation for terms of
//     one sign is sqrt(k)/3 * 2^-24 (Higham and Mary, "A New Approach to
//     Probabilistic Rounding Error Analysis", 2019). SumUlps(k) = 2 + sqrt(k) is six
//     of these, which leaves one failure in 10^9 elements, and any blocked or pairwise
//     order is better. A mistake in one term of k is of size magnitude/k, far above.
//   - ElementwiseUlps is for a handful of additions, multiplications, divisions and
//     square roots.
//   - FunctionUlps is for exp, tanh, erf and formulas around them: a few units in the
//     last place, as the mathematical libraries of all devices promise.
//   - ShortFunctionUlps is for functions that device.Function.Short names, where the
//     result is stored in 16 bits: a relative 2^-15, a sixteenth of the unit roundoff
//     2^-11 of float16. About one result in 16 is then the other neighbour of the exact one.
//
// Package devicetest compares a device's results with this bound, and documents how it treats 16-bit results and
// underflow.
const (
	ElementwiseUlps = 4
	FunctionUlps    = 8

	ShortFunctionUlps = 256

	Ulp = 1.0 / (1 << 23) // distance of the float32 numbers just above 1
)

// SumUlps is the allowed error of a sum of k products in float32.
func SumUlps(k int) float64 { return 2 + math.Sqrt(float64(k)) }

// Sums is the result of a reference: for each element its value, the sum of the absolute
// values of its terms, and the allowed error in units of 2^-23 times that sum.
type Sums struct {
	Value, Magnitude []float64
	Ulps             float64
	// Rounded is, for each element, the size of an intermediate result that may be rounded to
	// 16 bits; nil if there is none.
	Rounded []float64
}

// NewSums returns n elements of 0, without terms.
func NewSums(n int, ulps float64) Sums {
	return Sums{Value: make([]float64, n), Magnitude: make([]float64, n), Ulps: ulps}
}

// Add adds one term to element i.
func (s Sums) Add(i int, term float64) {
	s.Value[i] += term
	s.Magnitude[i] += math.Abs(term)
}

// addScaled adds the terms factor*v[k] to the elements i+k.
func (s Sums) addScaled(i int, factor float64, v []float64) {
	value, magnitude := s.Value[i:i+len(v)], s.Magnitude[i:i+len(v)]
	for k, x := range v {
		term := factor * x
		value[k] += term
		magnitude[k] += math.Abs(term)
	}
}

// WithBias returns s ready for AddBias, if there is a bias.
func (s Sums) WithBias(there bool) Sums {
	if there {
		s.Rounded = make([]float64, len(s.Value))
	}
	return s
}

// AddBias adds the bias to element i, the sum of all other terms.
func (s Sums) AddBias(i int, bias float64) {
	s.Rounded[i] = math.Max(math.Abs(s.Value[i]), math.Abs(bias))
	s.Add(i, bias)
}

// Set gives element i its value and magnitude.
func (s Sums) Set(i int, value, magnitude float64) {
	s.Value[i], s.Magnitude[i] = value, magnitude
}

// Times returns s multiplied by a factor above 0.
func (s Sums) Times(factor float64) Sums {
	m := NewSums(len(s.Value), s.Ulps)
	for i := range m.Value {
		m.Set(i, factor*s.Value[i], factor*s.Magnitude[i])
	}
	return m
}

// Widened returns s with the allowed error multiplied by factor.
func (s Sums) Widened(factor float64) Sums {
	if factor > 0 {
		s.Ulps *= factor
	}
	return s
}

// OverTiles returns s, pixels of the shape [n,h,w,c], with each magnitude replaced by the
// largest magnitude, in the same image and channel, less than side pixels away in both
// directions: the largest in any tile that can contain the pixel.
func (s Sums) OverTiles(side int, shape []int) Sums {
	if side <= 1 {
		return s
	}
	h, w, c := shape[1], shape[2], shape[3]
	// The maximum over a square is the maximum over columns of the maxima over rows.
	rows := largestAlong(s.Magnitude, w, c, side)
	s.Magnitude = largestAlong(rows, h, w*c, side)
	return s
}

// largestAlong returns for each element the largest element less than side steps away along
// a dimension of n steps, which are stride elements apart.
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
