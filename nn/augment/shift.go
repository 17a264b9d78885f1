package augment

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// Shift moves the image by whole pixels, up to Max in each direction: y[i,j] = x[i+dy, j+dx], where dy and dx are
// drawn from -Max to Max. With zeros beyond the border it is the random crop of a padded image (He et al., "Deep
// Residual Learning for Image Recognition", CVPR 2016, section 4.2).
type Shift struct {
	Max    int    // pixels
	Border string // "reflect" or "zeros"
}

func shiftKind() Kind {
	return Kind{Name: "shift", Doc: "move by whole pixels", New: func() Transform { return Shift{} }}
}

// Kind returns "shift".
func (Shift) Kind() string { return "shift" }

// Settings declares max and border.
func (t *Shift) Settings(s *setting.List) {
	s.Int(&t.Max, "max", 4, setting.Range(1, 1<<12), "largest shift in each direction, in pixels")
	borderSetting(s, &t.Border, "reflect", "zeros")
}

// Ops returns affine.
func (Shift) Ops() []*device.ImageOp { return []*device.ImageOp{affine} }

// Draw draws the two shifts.
func (t Shift) Draw(r *Random, p Params) {
	dy, dx := r.Between(-t.Max, t.Max), r.Between(-t.Max, t.Max)
	matrix{xx: 1, yy: 1}.draw(r, p, float64(dx), float64(dy), borders[t.Border])
}
