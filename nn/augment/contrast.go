package augment

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// contrast moves all pixels away from the image's mean brightness m, or towards it (torchvision's adjust_contrast):
//
//	y = clamp(f x + (1-f) m)        m = mean of gray(x[i,j]) over all i and j
//
// Parameter: f.
var contrast = &device.ImageOp{
	Name: "contrast", Params: 1,
	Apply: func(y, x, _ device.Image, p []float64) {
		m := 0.0
		for i := range x.H {
			for j := range x.W {
				m += x.Gray(i, j) / float64(x.H*x.W)
			}
		}
		for i, v := range x.Pix {
			y.Pix[i] = device.Clamp(blend(p[0], v, m))
		}
	},
	// m is a sum of H*W terms in float32, whose error grows like a random walk.
	Error: func(x device.Image, p []float64) (float64, float64) {
		gain := blendGain(p[0])
		return gain, 4*gain + (6+math.Sqrt(float64(x.H*x.W)))*math.Abs(1-p[0])
	},
}

// blend returns f a + (1-f) b: b for f = 0, a for f = 1, and beyond a for f above 1.
func blend(f, a, b float64) float64 { return f*a + (1-f)*b }

// blendGain is the largest error of a blend of two numbers that are each off by 1.
func blendGain(f float64) float64 { return math.Abs(f) + math.Abs(1-f) }

// Contrast makes the image's contrast weaker or stronger, by a factor from 1-Max to 1+Max.
type Contrast struct{ Max float64 }

func contrastKind() Kind {
	return Kind{Name: "contrast", Doc: "move all pixels away from the mean brightness, or towards it", New: func() Transform { return Contrast{} }}
}

// Kind returns "contrast".
func (Contrast) Kind() string { return "contrast" }

// Settings declares max.
func (t *Contrast) Settings(s *setting.List) {
	s.Float64(&t.Max, "max", 0.2, setting.AboveZeroToOne, "the factor is from 1-max to 1+max")
}

// Ops returns contrast.
func (Contrast) Ops() []*device.ImageOp { return []*device.ImageOp{contrast} }

// Draw draws the factor.
func (t Contrast) Draw(r *Random, p Params) { p.Set(0, r.Uniform(1-t.Max, 1+t.Max)) }
