package augment

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// sharpness moves each pixel away from the mean of its surroundings, or towards it (torchvision's adjust_sharpness):
//
//	y[i,j] = clamp(f x[i,j] + (1-f) s[i,j])        s[i,j] = (4 x[i,j] + sum of x over the 3x3 pixels around (i,j)) / 13
//
// Pixels at the border are unchanged. Parameter: f.
var sharpness = &device.ImageOp{
	Name: "sharpness", Params: 1,
	Apply: func(y, x, _ device.Image, p []float64) {
		copy(y.Pix, x.Pix)
		for i := 1; i < x.H-1; i++ {
			for j := 1; j < x.W-1; j++ {
				for c := range x.C {
					sum := 4 * x.At(i, j, c)
					for k := range 9 {
						sum += x.At(i-1+k/3, j-1+k%3, c)
					}
					y.Set(i, j, c, device.Clamp(blend(p[0], x.At(i, j, c), sum/13)))
				}
			}
		}
	},
	Error: func(_ device.Image, p []float64) (float64, float64) { return blendGain(p[0]), 8 * blendGain(p[0]) },
}

// Sharpness makes the image less sharp or sharper, by a factor from 1-Max to 1+Max.
type Sharpness struct{ Max float64 }

func sharpnessKind() Kind {
	return Kind{Name: "sharpness", Doc: "move pixels away from the mean of their surroundings, or towards it", New: func() Transform { return Sharpness{} }}
}

// Kind returns "sharpness".
func (Sharpness) Kind() string { return "sharpness" }

// Settings declares max.
func (t *Sharpness) Settings(s *setting.List) {
	s.Float64(&t.Max, "max", 0.5, setting.AboveZeroToOne, "the factor is from 1-max to 1+max")
}

// Ops returns sharpness.
func (Sharpness) Ops() []*device.ImageOp { return []*device.ImageOp{sharpness} }

// Draw draws the factor.
func (t Sharpness) Draw(r *Random, p Params) { p.Set(0, r.Uniform(1-t.Max, 1+t.Max)) }
