package augment

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// Rotate turns the image about its centre by an angle from -Max to Max degrees. The new pixel at (x, y) from the
// centre, with y downwards, is the old pixel at
//
//	(x cos(a) + y sin(a), y cos(a) - x sin(a))
//
// so that a positive angle turns clockwise.
type Rotate struct {
	Max    float64 // degrees
	Border string  // "zeros" or "reflect"
}

func rotateKind() Kind {
	return Kind{Name: "rotate", Doc: "turn about the centre", New: func() Transform { return Rotate{} }}
}

// Kind returns "rotate".
func (Rotate) Kind() string { return "rotate" }

// Settings declares max and border.
func (t *Rotate) Settings(s *setting.List) {
	s.Float64(&t.Max, "max", 15, setting.Range(0.1, 180), "largest angle in either direction, in degrees")
	borderSetting(s, &t.Border, "zeros", "reflect")
}

// Ops returns affine.
func (Rotate) Ops() []*device.ImageOp { return []*device.ImageOp{affine} }

// Draw draws the angle.
func (t Rotate) Draw(r *Random, p Params) {
	rotation(r.Uniform(-t.Max, t.Max)).draw(r, p, 0, 0, borders[t.Border])
}

// rotation turns clockwise by an angle in degrees.
func rotation(degrees float64) matrix {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return matrix{xx: cos, xy: sin, yx: -sin, yy: cos}
}
