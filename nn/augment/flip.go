package augment

import "trainer/nn/device"

// Flip mirrors the image left to right: y[i,j] = x[i, W-1-j]. It is applied with probability 1/2 unless the list
// says otherwise.
type Flip struct{}

func flipKind() Kind {
	return Kind{Name: "flip", Doc: "mirror left to right (p: 0.5)", New: func() Transform { return Flip{} }}
}

// Kind returns "flip".
func (Flip) Kind() string { return "flip" }

// DefaultP returns 1/2.
func (Flip) DefaultP() float64 { return 0.5 }

// Ops returns affine.
func (Flip) Ops() []*device.ImageOp { return []*device.ImageOp{affine} }

// Draw mirrors.
func (Flip) Draw(r *Random, p Params) { mirror.draw(r, p, 0, 0, borderEdge) }

// mirror exchanges left and right.
var mirror = matrix{xx: -1, yy: 1}

// AlternatingFlip mirrors each image in every other epoch, beginning at random, once per image, with the first or the
// second epoch: any two consecutive epochs show every image both ways (Jordan, "94% on CIFAR-10 in 3.29 seconds", 2024,
// section 3.6).
type AlternatingFlip struct{}

func alternatingFlipKind() Kind {
	return Kind{Name: "alternating-flip", Doc: "mirror in every other epoch", New: func() Transform { return AlternatingFlip{} }}
}

// Kind returns "alternating-flip".
func (AlternatingFlip) Kind() string { return "alternating-flip" }

// Ops returns affine.
func (AlternatingFlip) Ops() []*device.ImageOp { return []*device.ImageOp{affine} }

// Draw mirrors the image if its own random bit and the epoch's number add up to an odd number.
func (AlternatingFlip) Draw(r *Random, p Params) {
	if (r.Constant()>>31+r.Epoch)%2 == 1 {
		mirror.draw(r, p, 0, 0, borderEdge)
	}
}
