package augment

import (
	"errors"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// erase fills a rectangle with the data set's mean colour, which normalisation makes 0:
//
//	y[i,j,c] = mean[c] where top <= i < top+height and left <= j < left+width, and x[i,j,c] elsewhere
//
// Parameters: top, left, height, width.
var erase = &device.ImageOp{
	Name: "erase", Params: 4,
	Apply: func(y, x, _ device.Image, p []float64) {
		copy(y.Pix, x.Pix)
		top, left := int(p[0]), int(p[1])
		for i := top; i < top+int(p[2]); i++ {
			for j := left; j < left+int(p[3]); j++ {
				for c := range x.C {
					y.Set(i, j, c, x.Mean[c])
				}
			}
		}
	},
	Error: func(device.Image, []float64) (float64, float64) { return 1, 0 },
}

// Erasing fills a rectangle of random size, shape and place with the mean colour (Zhong et al., "Random Erasing Data
// Augmentation", AAAI 2020, algorithm 1, which fills it with noise). The rectangle has a share of the image's area from
// MinArea to MaxArea, and a ratio of width to height from MinRatio to MaxRatio, whose logarithm is uniform. It is
// applied with probability 1/2 unless the list says otherwise.
type Erasing struct {
	MinArea, MaxArea   float64
	MinRatio, MaxRatio float64
}

func erasingKind() Kind {
	return Kind{Name: "erasing", Doc: "fill a rectangle of random size with the mean colour (p: 0.5)", New: func() Transform { return Erasing{} }}
}

// Kind returns "erasing".
func (Erasing) Kind() string { return "erasing" }

// Settings declares min-area, max-area, min-ratio and max-ratio.
func (t *Erasing) Settings(s *setting.List) {
	areaSettings(s, &t.MinArea, &t.MaxArea, 0.02, 0.33)
	ratioSettings(s, &t.MinRatio, &t.MaxRatio, 0.3, 3.3)
}

// Check returns an error if a minimum is above the maximum.
func (t *Erasing) Check() error {
	return errors.Join(ordered("area", t.MinArea, t.MaxArea), ordered("ratio", t.MinRatio, t.MaxRatio))
}

// DefaultP returns 1/2.
func (Erasing) DefaultP() float64 { return 0.5 }

// Ops returns erase.
func (Erasing) Ops() []*device.ImageOp { return []*device.ImageOp{erase} }

// Draw draws the rectangle; if ten in a row don't fit the image, it erases nothing.
func (t Erasing) Draw(r *Random, p Params) {
	for range 10 {
		h, w := rectangle(r, t.MinArea, t.MaxArea, t.MinRatio, t.MaxRatio)
		if h >= 1 && w >= 1 && h < r.H && w < r.W {
			p.Set(0, float64(r.Below(r.H-h+1)), float64(r.Below(r.W-w+1)), float64(h), float64(w))
			return
		}
	}
}
