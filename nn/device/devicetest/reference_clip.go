package devicetest

import "math"

// refClip returns the limited gradients: first all of them times
// min(1, maxNorm/norm), norm being the square root of the sum of all squares, then each
// element limited to [-maxValue, maxValue]. A limit of 0 is none.
func refClip(maxNorm, maxValue float64, grads [][]float64) []sums {
	squares, count := 0.0, 0
	for _, g := range grads {
		for _, v := range g {
			squares += v * v
			count++
		}
	}
	scale := 1.0
	if norm := math.Sqrt(squares); maxNorm > 0 && norm > maxNorm {
		scale = maxNorm / norm
	}
	clipped := make([]sums, len(grads))
	for i, g := range grads {
		clipped[i] = newSums(len(g), sumUlps(count))
		for j, v := range g {
			limited := v * scale
			if maxValue > 0 {
				limited = math.Max(-maxValue, math.Min(maxValue, limited))
			}
			clipped[i].add(j, limited)
		}
		if scale == 1 {
			clipped[i].ulps = 0
		}
	}
	return clipped
}
