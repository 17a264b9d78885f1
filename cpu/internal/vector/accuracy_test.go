package vector

import (
	"math"
	"testing"
)

// samples are float32s of all exponents and both signs, and a fine grid around 0.
func samples() []float32 {
	const step = 5003 // 860 thousand of the 4 billion
	var s []float32
	for b := uint64(0); b < 1<<32; b += step {
		if x := math.Float32frombits(uint32(b)); x == x {
			s = append(s, x)
		}
	}
	for x := float32(-15); x < 15; x += 1.0 / 8192 {
		s = append(s, x)
	}
	return s
}

// within checks that y[i] differs from f(x[i]) by at most units(x) times 2^-23 of the
// magnitude that f also returns, unless that is subnormal.
func within(t *testing.T, x, y []float32, f func(x float64) (want, size, units float64)) {
	t.Helper()
	var worst float64
	for i, v := range x {
		want, size, units := f(float64(v))
		if math.IsNaN(want) || math.IsInf(want, 0) {
			continue
		}
		off := math.Abs(float64(y[i]) - want)
		limit := units * (math.Abs(size)*0x1p-23 + 0x1p-126)
		worst = max(worst, off/limit)
		if !(off <= limit) {
			t.Fatalf("f(%v) = %v, want %v", v, y[i], want)
		}
	}
	t.Logf("errors are at most %.2f of what is stated", worst)
}

func phi(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }

func logistic(x float64) float64 {
	if x < 0 {
		return math.Exp(x) / (1 + math.Exp(x))
	}
	return 1 / (1 + math.Exp(-x))
}

// TestAccuracy checks that every instruction set keeps to the error bounds stated in package
// vmath.
func TestAccuracy(t *testing.T) {
	x := samples()
	y, ones, negative := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
	for i, v := range x {
		ones[i] = 1
		negative[i] = -float32(math.Abs(float64(v)))
	}
	for _, k := range available() {
		t.Run(k.Name+"/exp", func(t *testing.T) {
			k.Exponentials(y, negative, 0)
			within(t, negative, y, func(x float64) (want, size, units float64) {
				// One unit in the last place is up to 2^-23 of the result.
				return math.Exp(x), math.Exp(x), 1
			})
		})
		t.Run(k.Name+"/tanh", func(t *testing.T) {
			k.Activations["tanh"].Forward(y, x, 0)
			within(t, x, y, func(x float64) (want, size, units float64) { return math.Tanh(x), math.Tanh(x), 3 })
		})
		t.Run(k.Name+"/sigmoid", func(t *testing.T) {
			k.Activations["sigmoid"].Forward(y, x, 0)
			// One unit for the exponential, and half a unit for each of a sum, a quotient and a product.
			within(t, x, y, func(x float64) (want, size, units float64) { return logistic(x), logistic(x), 2.5 })
		})
		t.Run(k.Name+"/gelu", func(t *testing.T) {
			k.Activations["gelu"].Forward(y, x, 0)
			within(t, x, y, func(x float64) (want, size, units float64) {
				want = x * math.Erfc(-x/math.Sqrt2) / 2
				if x < -13 { // if the density becomes subnormal, it may be 0, or off by 1e-37
					return want, 1e-37 * (1 << 23), 1
				}
				return want, want, 4 + x*x + 0.5
			})
		})
		t.Run(k.Name+"/gelu slope", func(t *testing.T) {
			k.Activations["gelu"].Backward(y, ones, x, 0)
			within(t, x, y, func(x float64) (want, size, units float64) {
				cdf, pdf := math.Erfc(-x/math.Sqrt2)/2, phi(x)
				if math.Abs(x) > 13 {
					return math.Round(cdf), 1, 1
				}
				return cdf + x*pdf, cdf + math.Abs(x)*pdf, 4 + x*x + 1
			})
		})
	}
}
