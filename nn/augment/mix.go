package augment

import (
	"math"

	"trainer/nn/device"
)

// mix mixes an image with its partner z within a rectangle:
//
//	y[i,j] = k x[i,j] + (1-k) z[i,j] where top <= i < top+height and left <= j < left+width, and x[i,j] elsewhere
//
// Parameters: k, top, left, height, width, and the share of the image's own label.
var mix = &device.ImageOp{
	Name: "mix", Params: 6, Mixes: true,
	Apply: func(y, x, other device.Image, p []float64) {
		copy(y.Pix, x.Pix)
		top, left := int(p[1]), int(p[2])
		for i := top; i < top+int(p[3]); i++ {
			for j := left; j < left+int(p[4]); j++ {
				for c := range x.C {
					y.Set(i, j, c, blend(p[0], x.At(i, j, c), other.At(i, j, c)))
				}
			}
		}
	},
	Error: func(device.Image, []float64) (float64, float64) { return 1, 2 },
}

// beta draws from the beta distribution with two equal parameters, for 0 < alpha <= 2 (Jöhnk, "Erzeugung von
// betaverteilten und gammaverteilten Zufallszahlen", Metrika 8, 1964): draw uniform u and v until u^(1/alpha) +
// v^(1/alpha) <= 1; the result is the first of the two powers divided by the sum.
func beta(r *Random, alpha float64) float64 {
	for range 1000 { // each try is accepted with probability 1/6 or more
		x, y := math.Pow(r.Uniform(0, 1), 1/alpha), math.Pow(r.Uniform(0, 1), 1/alpha)
		if sum := x + y; sum > 0 && sum <= 1 {
			return x / sum
		}
	}
	return 0.5
}
