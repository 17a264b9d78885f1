package augment

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// posterize keeps the upper bits of each pixel's byte (torchvision's posterize):
//
//	y = s floor(q/s) / 255        q = round(255 x)
//
// Parameter: s = 2^(8-bits).
var posterize = &device.ImageOp{
	Name: "posterize", Params: 1,
	Apply: func(y, x, _ device.Image, p []float64) {
		for i, v := range x.Pix {
			y.Pix[i] = p[0] * math.Floor(quantized(v)/p[0]) / 255
		}
	},
	Error: func(x device.Image, _ []float64) (float64, float64) { return quantizedGain(x), 1 },
}

// quantized returns the byte nearest to a pixel.
func quantized(v float64) float64 { return math.Floor(255*device.Clamp(v) + 0.5) }

// quantizedGain is the gain of operations that round pixels to bytes: 0 if all pixels are close to a byte, and infinite
// if a pixel may round to either of two bytes.
func quantizedGain(x device.Image) float64 {
	for _, v := range x.Pix {
		if math.Abs(255*v-quantized(v)) > 0.25 {
			return math.Inf(1)
		}
	}
	return 0
}

// Posterize reduces the number of colours to between MinBits and 7 bits per channel.
type Posterize struct{ MinBits int }

func posterizeKind() Kind {
	return Kind{Name: "posterize", Doc: "leave fewer bits per channel", New: func() Transform { return Posterize{} }}
}

// Kind returns "posterize".
func (Posterize) Kind() string { return "posterize" }

// Settings declares min-bits.
func (t *Posterize) Settings(s *setting.List) {
	s.Int(&t.MinBits, "min-bits", 4, setting.Range(1, 7), "fewest bits per channel that are left, of 8")
}

// Ops returns posterize.
func (Posterize) Ops() []*device.ImageOp { return []*device.ImageOp{posterize} }

// Draw draws the number of bits.
func (t Posterize) Draw(r *Random, p Params) {
	p.Set(0, float64(int(1)<<(8-r.Between(t.MinBits, 7))))
}
