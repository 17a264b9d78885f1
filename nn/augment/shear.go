package augment

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// Shear slants the image about its centre by a factor s from -Max to Max, along the rows or along the columns, with
// equal probability. The new pixel at (x, y) from the centre is the old pixel at
//
//	(x + s y, y)        or        (x, y + s x)
type Shear struct {
	Max    float64 // pixels per pixel from the centre
	Border string  // "zeros" or "reflect"
}

func shearKind() Kind {
	return Kind{Name: "shear", Doc: "slant along rows or columns", New: func() Transform { return Shear{} }}
}

// Kind returns "shear".
func (Shear) Kind() string { return "shear" }

// Settings declares max and border.
func (t *Shear) Settings(s *setting.List) {
	s.Float64(&t.Max, "max", 0.2, setting.AboveZeroToOne, "largest slant in either direction, in pixels per pixel from the centre")
	borderSetting(s, &t.Border, "zeros", "reflect")
}

// Ops returns affine.
func (Shear) Ops() []*device.ImageOp { return []*device.ImageOp{affine} }

// Draw draws the slant and its direction.
func (t Shear) Draw(r *Random, p Params) {
	m := matrix{xx: 1, yy: 1}
	slant := r.Uniform(-t.Max, t.Max)
	if r.Word()>>31 == 0 {
		m.xy = slant
	} else {
		m.yx = slant
	}
	m.draw(r, p, 0, 0, borders[t.Border])
}
