package augment

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// brightness multiplies all pixels by a factor (torchvision's adjust_brightness):
//
//	y = clamp(f x)
//
// Parameter: f.
var brightness = &device.ImageOp{
	Name: "brightness", Params: 1,
	Apply: func(y, x, _ device.Image, p []float64) {
		for i, v := range x.Pix {
			y.Pix[i] = device.Clamp(p[0] * v)
		}
	},
	Error: func(_ device.Image, p []float64) (float64, float64) { return p[0], p[0] },
}

// Brightness makes the image darker or brighter, by a factor from 1-Max to 1+Max.
type Brightness struct{ Max float64 }

func brightnessKind() Kind {
	return Kind{Name: "brightness", Doc: "multiply all pixels by a factor", New: func() Transform { return Brightness{} }}
}

// Kind returns "brightness".
func (Brightness) Kind() string { return "brightness" }

// Settings declares max.
func (t *Brightness) Settings(s *setting.List) {
	s.Float64(&t.Max, "max", 0.2, setting.AboveZeroToOne, "the factor is from 1-max to 1+max")
}

// Ops returns brightness.
func (Brightness) Ops() []*device.ImageOp { return []*device.ImageOp{brightness} }

// Draw draws the factor.
func (t Brightness) Draw(r *Random, p Params) { p.Set(0, r.Uniform(1-t.Max, 1+t.Max)) }
