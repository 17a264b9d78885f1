package augment

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// saturation moves each pixel away from its own gray, or towards it (torchvision's adjust_saturation):
//
//	y[i,j,c] = clamp(f x[i,j,c] + (1-f) gray(x[i,j]))
//
// Images without exactly three channels are unchanged. Parameter: f.
var saturation = &device.ImageOp{
	Name: "saturation", Params: 1,
	Apply: func(y, x, _ device.Image, p []float64) {
		copy(y.Pix, x.Pix)
		if x.C != 3 {
			return
		}
		for i := range x.H {
			for j := range x.W {
				for c := range x.C {
					y.Set(i, j, c, device.Clamp(blend(p[0], x.At(i, j, c), x.Gray(i, j))))
				}
			}
		}
	},
	Error: func(_ device.Image, p []float64) (float64, float64) { return blendGain(p[0]), 4 * blendGain(p[0]) },
}

// Saturation makes colours paler or stronger, by a factor from 1-Max to 1+Max.
type Saturation struct{ Max float64 }

func saturationKind() Kind {
	return Kind{Name: "saturation", Doc: "move colours away from gray, or towards it", New: func() Transform { return Saturation{} }}
}

// Kind returns "saturation".
func (Saturation) Kind() string { return "saturation" }

// Settings declares max.
func (t *Saturation) Settings(s *setting.List) {
	s.Float64(&t.Max, "max", 0.2, setting.AboveZeroToOne, "the factor is from 1-max to 1+max")
}

// Ops returns saturation.
func (Saturation) Ops() []*device.ImageOp { return []*device.ImageOp{saturation} }

// Draw draws the factor.
func (t Saturation) Draw(r *Random, p Params) { p.Set(0, r.Uniform(1-t.Max, 1+t.Max)) }
