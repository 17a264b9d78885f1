package augment

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// Cutout fills a square of a fixed size, at a random place within the image, with the mean colour (DeVries and
// Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017, where the square may lie
// partly outside).
type Cutout struct {
	Size int // side of the square, in pixels; at most the image's
}

func cutoutKind() Kind {
	return Kind{Name: "cutout", Doc: "fill a square with the mean colour", New: func() Transform { return Cutout{} }}
}

// Kind returns "cutout".
func (Cutout) Kind() string { return "cutout" }

// Settings declares size.
func (t *Cutout) Settings(s *setting.List) {
	s.Int(&t.Size, "size", 8, setting.Range(1, 1<<12), "side of the square, in pixels")
}

// Ops returns erase.
func (Cutout) Ops() []*device.ImageOp { return []*device.ImageOp{erase} }

// Draw draws the place. A square larger than the image covers all of it.
func (t Cutout) Draw(r *Random, p Params) {
	h, w := min(t.Size, r.H), min(t.Size, r.W)
	p.Set(0, float64(r.Below(r.H-h+1)), float64(r.Below(r.W-w+1)), float64(h), float64(w))
}
