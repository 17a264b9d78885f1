package augment

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// solarize inverts bright pixels (torchvision's solarize):
//
//	y = 1-x if q >= s, otherwise x        q = round(255 x)
//
// Parameter: s.
var solarize = &device.ImageOp{
	Name: "solarize", Params: 1,
	Apply: func(y, x, _ device.Image, p []float64) {
		for i, v := range x.Pix {
			if quantized(v) >= p[0] {
				v = 1 - v
			}
			y.Pix[i] = v
		}
	},
	Error: func(x device.Image, _ []float64) (float64, float64) { return math.Max(1, quantizedGain(x)), 1 },
}

// Solarize inverts the pixels that are at least as bright as a threshold from Min to 255.
type Solarize struct{ Min int }

func solarizeKind() Kind {
	return Kind{Name: "solarize", Doc: "invert bright pixels", New: func() Transform { return Solarize{} }}
}

// Kind returns "solarize".
func (Solarize) Kind() string { return "solarize" }

// Settings declares min.
func (t *Solarize) Settings(s *setting.List) {
	s.Int(&t.Min, "min", 128, setting.Range(1, 255), "least threshold, of 255")
}

// Ops returns solarize.
func (Solarize) Ops() []*device.ImageOp { return []*device.ImageOp{solarize} }

// Draw draws the threshold.
func (t Solarize) Draw(r *Random, p Params) { p.Set(0, float64(r.Between(t.Min, 255))) }
