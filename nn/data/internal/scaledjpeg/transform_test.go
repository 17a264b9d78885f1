package scaledjpeg

import (
	"math"
	"math/rand/v2"
	"testing"
)

// inverse is the definition of the transform of n points, in float64.
func inverse(coef *[64]int32, n int) []float64 {
	out := make([]float64, n*n)
	c := func(u int) float64 {
		if u == 0 {
			return math.Sqrt2 / 2
		}
		return 1
	}
	for i := range n {
		for j := range n {
			for v := range n {
				for u := range n {
					out[i*n+j] += c(u) * c(v) * float64(coef[8*v+u]) / 4 *
						math.Cos(float64((2*i+1)*v)*math.Pi/float64(2*n)) * math.Cos(float64((2*j+1)*u)*math.Pi/float64(2*n))
				}
			}
		}
	}
	return out
}

// TestTransforms compares the transforms with their definition. A sample is off by half for its rounding. Four points add
// at most 4 · 2^-6 / 8 for the rounding of the rows and, with the coefficients tried, 1/10 for cosines of 12 places; eight
// points are image/jpeg's, whose coarsest step has 6 places: less than 1/4 together.
func TestTransforms(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	bounds := map[int]float64{8: 0.5 + 0.25, 4: 0.5 + 0.125, 2: 0.5, 1: 0.5}
	for range 3000 {
		var coef [64]int32
		last := rng.IntN(64)
		coef[0] = int32(rng.IntN(2048) - 1024)
		size := 1 + rng.IntN(300)
		for k := 1; k <= last; k++ {
			coef[natural[k]] = int32(rng.IntN(2*size)-size) / int32(1+k/4)
		}
		for n, bound := range bounds {
			want := inverse(&coef, n)
			c := component{points: n, y1: 1, x1: 1, plane: Plane{make([]byte, 64), n}}
			c.transform(new(coef), last, 0, 0)
			for i, w := range want {
				if w = min(max(w+128, 0), 255); math.Abs(float64(c.plane.Pix[i])-w) > bound+1e-9 {
					t.Fatalf("%d points, sample %d: %d, want %v", n, i, c.plane.Pix[i], w)
				}
			}
		}
	}
}

// TestFlat decodes blocks of the first coefficient alone, and of others that are 0.
func TestFlat(t *testing.T) {
	for dc := int32(-1100); dc < 1100; dc += 7 {
		flat, full := make([]byte, 64), make([]byte, 64)
		inverse8(flat, 8, &[64]int32{dc}, 0)
		inverse8(full, 8, &[64]int32{dc}, 63)
		if string(flat) != string(full) {
			t.Errorf("%d: %v, want %v", dc, flat, full)
		}
	}
}
