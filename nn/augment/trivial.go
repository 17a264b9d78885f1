package augment

import (
	"math"

	"trainer/nn/device"
)

// TrivialAugment applies to each image one of fourteen changes, at one of 31 strengths (Müller and Hutter,
// "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV 2021, algorithm 1, with the wide space of
// table 1): nothing, shear along rows or columns by up to 0.99, shift along rows or columns by up to 32 pixels,
// rotation by up to 135 degrees, brightness, saturation, contrast or sharpness by a factor from 0.01 to 1.99, posterize
// down to 2 bits, solarize from threshold 255 down to 0, auto-contrast, equalize. It has no settings. Places that a
// movement uncovers become black. Shear is about the centre; in torchvision it is about the corner.
type TrivialAugment struct{}

func trivialAugmentKind() Kind {
	return Kind{Name: "trivial-augment", Doc: "one random change of random strength; nothing to tune", New: func() Transform { return TrivialAugment{} }}
}

// Kind returns "trivial-augment".
func (TrivialAugment) Kind() string { return "trivial-augment" }

// trivialOps are the operations; at most one is on for each image.
var trivialOps = []*device.ImageOp{affine, brightness, saturation, contrast, sharpness, posterize, solarize, autoContrast, equalize}

// Ops returns all operations that may occur.
func (TrivialAugment) Ops() []*device.ImageOp { return trivialOps }

// Draw draws the change, the strength and the sign.
func (TrivialAugment) Draw(r *Random, p Params) {
	const changes, strengths = 14, 31
	change, strength := r.Below(changes), float64(r.Below(strengths))/(strengths-1)
	signed := strength
	if r.Word()>>31 == 1 {
		signed = -strength
	}
	switch change {
	case 0: // nothing
	case 1:
		matrix{xx: 1, yy: 1, xy: 0.99 * signed}.draw(r, p, 0, 0, borderZeros)
	case 2:
		matrix{xx: 1, yy: 1, yx: 0.99 * signed}.draw(r, p, 0, 0, borderZeros)
	case 3:
		matrix{xx: 1, yy: 1}.draw(r, p, math.Round(32*signed), 0, borderZeros)
	case 4:
		matrix{xx: 1, yy: 1}.draw(r, p, 0, math.Round(32*signed), borderZeros)
	case 5:
		rotation(135*signed).draw(r, p, 0, 0, borderZeros)
	case 6, 7, 8, 9:
		p.Set(change-5, 1+0.99*signed)
	case 10:
		p.Set(5, math.Exp2(math.Round(6*strength)))
	case 11:
		p.Set(6, math.Round(255*(1-strength)))
	case 12:
		p.Set(7)
	case 13:
		p.Set(8)
	}
}
