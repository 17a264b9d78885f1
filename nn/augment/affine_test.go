package augment

import (
	"math"
	"testing"

	"trainer/nn/setting"
)

// Half a pixel to the right and a whole pixel down is the mean of two pixels.
func TestAffine(t *testing.T) {
	x := picture(2, 3, 1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
	want(t, "zeros", operated(affine, x, x, 1, 0, 0.5, 0, 1, 1, borderZeros), 0.45, 0.55, 0.3, 0, 0, 0)
	want(t, "reflected", operated(affine, x, x, 1, 0, 0.5, 0, 1, 1, borderReflect), 0.45, 0.55, 0.55, 0.15, 0.25, 0.25)
	want(t, "edge", operated(affine, x, x, 1, 0, 0.5, 0, 1, 1, borderEdge), 0.45, 0.55, 0.6, 0.45, 0.55, 0.6)
	want(t, "far", operated(affine, x, x, 1, 0, 4, 0, 1, -6, borderReflect), 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
}

func TestFlip(t *testing.T) {
	want(t, "the mirror image", applied(Flip{}, picture(2, 3, 1, 1, 2, 3, 4, 5, 6), 0, 0), 3, 2, 1, 6, 5, 4)
	mirrored := 0
	for number := range uint32(1000) {
		x := picture(1, 2, 1, 0, 1)
		a, b, c := applied(AlternatingFlip{}, x, number, 0), applied(AlternatingFlip{}, x, number, 1), applied(AlternatingFlip{}, x, number, 2)
		if a.Pix[0] == b.Pix[0] || a.Pix[0] != c.Pix[0] {
			t.Fatalf("image %d: %v, %v, %v in the first epochs", number, a.Pix, b.Pix, c.Pix)
		}
		mirrored += int(a.Pix[0])
	}
	if mirrored < 420 || mirrored > 580 {
		t.Errorf("%d of 1000 images mirrored in the first epoch", mirrored)
	}
}

// A shift moves by whole pixels, as far as Max and no further.
func TestShift(t *testing.T) {
	places := map[[2]int]int{}
	for number := range uint32(1000) {
		x := picture(7, 7, 1, make([]float64, 49)...)
		x.Pix[3*7+3] = 1
		y := applied(Shift{Max: 2, Border: "zeros"}, x, number, 0)
		for i, v := range y.Pix {
			if v == 1 {
				places[[2]int{i / 7, i % 7}]++
			} else if v != 0 {
				t.Fatalf("a pixel is %v", v)
			}
		}
	}
	if len(places) != 25 || places[[2]int{0, 3}] != 0 || places[[2]int{5, 1}] == 0 {
		t.Errorf("the pixel came to %d places, want 25: %v", len(places), places)
	}
}

// A part lies within the image, and has the requested area and shape.
func TestResizedCrop(t *testing.T) {
	const side = 200
	for number := range uint32(300) {
		r := Random{H: side, W: side, seed: 1}
		r.begin(0, 0, number)
		p := Params{make([]float32, 1+affine.Params)}
		transform := setting.Completed(ResizedCrop{})
		transform.Draw(&r, p)
		w, h := float64(p[0][1])*side, float64(p[0][5])*side
		left, top := float64(p[0][3])+0.5-w/side/2, float64(p[0][6])+0.5-h/side/2
		area, ratio := w*h/side/side, w/h
		if left < -1e-3 || top < -1e-3 || left+w > side+1e-3 || top+h > side+1e-3 || area < 0.075 || area > 1.001 || ratio < 0.74 || ratio > 1.36 {
			t.Fatalf("a part of %v x %v at (%v, %v)", h, w, top, left)
		}
	}
	x := picture(2, 2, 1, 0.1, 0.2, 0.3, 0.4)
	want(t, "the whole image", applied(ResizedCrop{MinArea: 1, MinRatio: 1, MaxRatio: 1}, x, 0, 0), x.Pix...)
}

// Turned by 90 degrees clockwise, the first column becomes the first row, from below.
func TestRotate(t *testing.T) {
	x := picture(3, 3, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	p := Params{make([]float32, 8)}
	rotation(90).draw(&Random{H: 3, W: 3}, p, 0, 0, borderEdge)
	want(t, "turned", operated(affine, x, x, p[0][1:]...), 7, 4, 1, 8, 5, 2, 9, 6, 3)
	var angles []float64
	for _, cos := range drawn(Rotate{Max: 90}, 2000) {
		angles = append(angles, math.Acos(min(cos, 1)))
	}
	wantRange(t, angles, 0, math.Pi/2)
}

// Slanted by a whole pixel per row, about the centre.
func TestShear(t *testing.T) {
	x := picture(3, 3, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	p := Params{make([]float32, 8)}
	matrix{xx: 1, yy: 1, xy: 1}.draw(&Random{H: 3, W: 3}, p, 0, 0, borderZeros)
	want(t, "slanted", operated(affine, x, x, p[0][1:]...), 0, 1, 2, 4, 5, 6, 8, 9, 0)
}
