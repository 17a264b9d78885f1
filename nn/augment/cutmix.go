package augment

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// CutMix replaces a rectangle of each image with the same rectangle of the next image of the batch, and mixes the
// labels in the target accordingly (Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
// Localizable Features", ICCV 2019, equations 1 and 2). With k drawn from Beta(Alpha, Alpha), the rectangle is
// sqrt(1-k) of the image's height and width, around a random pixel; any part outside the image is cut off. The share of
// the label equals the share of the pixels:
//
//	target = (1-a) onehot(label of x) + a onehot(label of z)        a = pixels of the rectangle / pixels of the image
type CutMix struct{ Alpha float64 }

func cutMixKind() Kind {
	return Kind{Name: "cutmix", Doc: "put a rectangle of the next image of the batch into each, and mix the labels", New: func() Transform { return CutMix{} }}
}

// Kind returns "cutmix".
func (CutMix) Kind() string { return "cutmix" }

// Settings declares alpha.
func (t *CutMix) Settings(s *setting.List) { alphaSetting(s, &t.Alpha, 1) }

// Ops returns mix.
func (CutMix) Ops() []*device.ImageOp { return []*device.ImageOp{mix} }

// Draw draws the rectangle.
func (t CutMix) Draw(r *Random, p Params) {
	side := math.Sqrt(1 - beta(r, t.Alpha))
	top, height := span(r, side, r.H)
	left, width := span(r, side, r.W)
	kept := 1 - float64(height*width)/float64(r.H*r.W)
	p.Set(0, 0, float64(top), float64(left), float64(height), float64(width), kept)
}

// span draws an interval that covers a share of n pixels, around a random pixel, and returns the part that lies within
// the n pixels.
func span(r *Random, share float64, n int) (from, length int) {
	length = int(share * float64(n))
	from = r.Below(n) - length/2
	to := min(from+length, n)
	from = max(from, 0)
	return from, to - from
}
