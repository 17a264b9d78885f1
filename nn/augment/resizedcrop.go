package augment

import (
	"errors"
	"fmt"
	"math"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// ResizedCrop cuts out a part of random size, shape and place, and enlarges it to the size of the image (Szegedy et
// al., "Going Deeper with Convolutions", CVPR 2015, section 6; torchvision's RandomResizedCrop). The part has a share
// of the image's area from MinArea to MaxArea, and a ratio of width to height from MinRatio to MaxRatio, whose
// logarithm is uniform. For a part of h x w pixels whose corner is (top, left),
//
//	y[i,j] = x((i+1/2) h/H - 1/2 + top, (j+1/2) w/W - 1/2 + left)
//
// with the interpolation of affine. At the part's edge the interpolation includes pixels outside the part; torchvision
// repeats the edge instead.
type ResizedCrop struct {
	MinArea, MaxArea   float64
	MinRatio, MaxRatio float64
}

func resizedCropKind() Kind {
	return Kind{Name: "resized-crop", Doc: "enlarge a random part to the size of the image", New: func() Transform { return ResizedCrop{} }}
}

// Kind returns "resized-crop".
func (ResizedCrop) Kind() string { return "resized-crop" }

// Settings declares min-area, max-area, min-ratio and max-ratio.
func (t *ResizedCrop) Settings(s *setting.List) {
	areaSettings(s, &t.MinArea, &t.MaxArea, 0.08, 1)
	ratioSettings(s, &t.MinRatio, &t.MaxRatio, 0.75, 1.33)
}

// Check returns an error if a minimum is above the maximum.
func (t *ResizedCrop) Check() error {
	return errors.Join(ordered("area", t.MinArea, t.MaxArea), ordered("ratio", t.MinRatio, t.MaxRatio))
}

// areaSettings declares the minimum and maximum share of an image's area.
func areaSettings(s *setting.List, least, most *float64, low, high float64) {
	s.Float64(least, "min-area", low, setting.Range(0.01, 1), "least share of the image's area")
	s.Float64(most, "max-area", high, setting.Range(0.01, 1), "largest share of the image's area")
}

// ratioSettings declares the minimum and maximum ratio of width to height.
func ratioSettings(s *setting.List, least, most *float64, low, high float64) {
	s.Float64(least, "min-ratio", low, setting.Range(0.1, 10), "least ratio of width to height")
	s.Float64(most, "max-ratio", high, setting.Range(0.1, 10), "largest ratio of width to height")
}

// ordered returns an error if the value of the key min-WHAT is above the value of max-WHAT.
func ordered(what string, least, most float64) error {
	if least <= most {
		return nil
	}
	return &setting.Error{Key: "min-" + what, Msg: fmt.Sprintf("is %v, needs at most %v, which is max-%s", least, most, what)}
}

// Ops returns affine.
func (ResizedCrop) Ops() []*device.ImageOp { return []*device.ImageOp{affine} }

// Draw draws the part; if ten in a row don't fit the image, it takes the largest square in the image's middle.
func (t ResizedCrop) Draw(r *Random, p Params) {
	h, w, ok := 0, 0, false
	for try := 0; try < 10 && !ok; try++ {
		h, w = rectangle(r, t.MinArea, t.MaxArea, t.MinRatio, t.MaxRatio)
		ok = h >= 1 && w >= 1 && h <= r.H && w <= r.W
	}
	top, left := 0, 0
	if ok {
		top, left = r.Below(r.H-h+1), r.Below(r.W-w+1)
	} else {
		h = min(r.H, r.W)
		w = h
		top, left = (r.H-h)/2, (r.W-w)/2
	}
	down, across := float64(h)/float64(r.H), float64(w)/float64(r.W)
	p.Set(0, across, 0, across/2-0.5+float64(left), 0, down, down/2-0.5+float64(top), borderEdge)
}

// rectangle draws height and width, in pixels, of a rectangle with a share of the image's area and a ratio of width
// to height whose logarithm is uniform.
func rectangle(r *Random, minArea, maxArea, minRatio, maxRatio float64) (h, w int) {
	area := r.Uniform(minArea, maxArea) * float64(r.H*r.W)
	ratio := math.Exp(r.Uniform(math.Log(minRatio), math.Log(maxRatio)))
	return int(math.Round(math.Sqrt(area / ratio))), int(math.Round(math.Sqrt(area * ratio)))
}
