package augment

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// hue turns the colour circle (torchvision's adjust_hue; the hue is the one of HSV, Smith, "Color Gamut Transform
// Pairs", SIGGRAPH 1978). With V the largest of red, green and blue, and D the largest minus the smallest, the hue in
// sixths of the circle is
//
//	h = (g-b)/D if red is largest, 2 + (b-r)/D if green is, 4 + (r-g)/D if blue is
//
// and the pixel with the hue h+6s, the same V and the same D is
//
//	y[c] = V - D clamp(min(k, 4-k))        k = (n[c] + h + 6s) mod 6        n = 5, 3, 1 for red, green, blue
//
// Images without exactly three channels are unchanged. Parameter: s, in turns of the circle.
var hue = &device.ImageOp{
	Name: "hue", Params: 1,
	Apply: func(y, x, _ device.Image, p []float64) {
		copy(y.Pix, x.Pix)
		if x.C != 3 {
			return
		}
		for i := 0; i < len(x.Pix); i += 3 {
			r, g, b := x.Pix[i], x.Pix[i+1], x.Pix[i+2]
			v, d := max(r, g, b), max(r, g, b)-min(r, g, b)
			if d == 0 {
				continue // a gray has no hue
			}
			var h float64
			switch v {
			case r:
				h = (g - b) / d
			case g:
				h = 2 + (b-r)/d
			default:
				h = 4 + (r-g)/d
			}
			for c, n := range []float64{5, 3, 1} {
				k := n + h + 6*p[0]
				k -= 6 * math.Floor(k/6)
				y.Pix[i+c] = v - d*device.Clamp(min(k, 4-k))
			}
		}
	},
	// h is off by a few roundings of numbers up to 16, and by what its quotient is; D times that quotient is no
	// further off than the pixels. V, D and that each count.
	Error: func(device.Image, []float64) (float64, float64) { return 7, 24 },
}

// Hue shifts all colours along the colour circle, by a fraction of the circle from -Max to Max.
type Hue struct{ Max float64 }

func hueKind() Kind {
	return Kind{Name: "hue", Doc: "shift colours along the colour circle", New: func() Transform { return Hue{} }}
}

// Kind returns "hue".
func (Hue) Kind() string { return "hue" }

// Settings declares max.
func (t *Hue) Settings(s *setting.List) {
	s.Float64(&t.Max, "max", 0.05, setting.Range(0.001, 0.5), "largest shift in either direction, in circles")
}

// Ops returns hue.
func (Hue) Ops() []*device.ImageOp { return []*device.ImageOp{hue} }

// Draw draws the shift.
func (t Hue) Draw(r *Random, p Params) { p.Set(0, r.Uniform(-t.Max, t.Max)) }
