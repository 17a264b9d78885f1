package data

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"testing"
)

// randomYCbCr returns a picture of random samples, whose bounds begin at min.
func randomYCbCr(rng *rand.Rand, at image.Point, h, w int, ratio image.YCbCrSubsampleRatio) *image.YCbCr {
	im := image.NewYCbCr(image.Rect(at.X, at.Y, at.X+w, at.Y+h), ratio)
	for _, plane := range [][]byte{im.Y, im.Cb, im.Cr} {
		for i := range plane {
			plane[i] = byte(60 + rng.IntN(136)) // colours that mostly need no clamping
		}
	}
	return im
}

// filtered returns the mean of upright samples with the weights of triangles around (cy, cx), in float64.
func filtered(sample func(y, x int) float64, from [4]int, cy, cx, sy, sx float64) float64 {
	sum, total := 0.0, 0.0
	for y := from[0]; y < from[2]; y++ {
		wy := max(0, 1-math.Abs(float64(y)+0.5-cy)/max(1, sy))
		for x := from[1]; wy > 0 && x < from[3]; x++ {
			w := wy * max(0, 1-math.Abs(float64(x)+0.5-cx)/max(1, sx))
			sum += w * sample(y, x)
			total += w
		}
	}
	return sum / total
}

// TestYCbCrResize compares resized pictures with the definition: planes filtered in float64 in the upright picture, and
// colours computed from them. A plane is off by at most half for its rounding and 2^-8 for the rounding between rows and
// columns; a colour is a sum of up to 1 + 1.772 times that, and color.YCbCrToRGB, which rounds v + luma/255 down, is off by
// at most one.
func TestYCbCrResize(t *testing.T) {
	const bound = (0.5+1.0/256)*(1+1.772) + 1
	rng := rand.New(rand.NewPCG(1, 2))
	cases := 0
	for ratio, steps := range chromaSteps {
		for orientation := 1; orientation <= 8; orientation++ {
			for k, resize := range Resizes() {
				at := image.Pt(4*rng.IntN(2), 4*rng.IntN(2))
				im := randomYCbCr(rng, at, 5+rng.IntN(30), 5+rng.IntN(30), ratio)
				r := &pictureReader{h: 4 + rng.IntN(20), w: 4 + rng.IntN(20), c: 1 + 2*(k%2), resize: resize, background: color.NRGBA{10, 20, 30, 255}}
				t.Run(fmt.Sprintf("%v/%d/%s", ratio, orientation, resize), func(t *testing.T) { checkYCbCr(t, r, im, steps, orientation, bound) })
				cases++
			}
		}
	}
	if cases != 6*8*3 {
		t.Errorf("%d cases", cases)
	}
}

func checkYCbCr(t *testing.T, r *pictureReader, im *image.YCbCr, steps [2]int, orientation int, bound float64) {
	t.Helper()
	got := make([]byte, r.h*r.w*r.c)
	r.resizePlanes(planesOf(im), im.Bounds(), orientation, got)
	b := im.Bounds()
	h, w := b.Dy(), b.Dx()
	if orientation >= 5 {
		h, w, steps = w, h, [2]int{steps[1], steps[0]}
	}
	from, to := r.rectangles(image.Rect(0, 0, w, h))
	sy, sx := float64(from.Dy())/float64(to.Dy()), float64(from.Dx())/float64(to.Dx())
	part := storedRect(from, orientation, b.Dy(), b.Dx()) // samples that pixels of from share with others are whole
	for y := range r.h {
		for x := range r.w {
			want := []float64{10, 20, 30}
			if r.c == 1 {
				want = []float64{float64(luma(10, 20, 30))}
			}
			if image.Pt(x, y).In(to) {
				cy, cx := float64(from.Min.Y)+(float64(y-to.Min.Y)+0.5)*sy, float64(from.Min.X)+(float64(x-to.Min.X)+0.5)*sx
				want = wantYCbCr(im, part, orientation, steps, cy, cx, sy, sx)
				if r.c == 1 {
					want = want[3:]
				}
			}
			for c := range r.c {
				if off := math.Abs(float64(got[(y*r.w+x)*r.c+c]) - want[c]); !(off <= bound) {
					t.Fatalf("%v to %dx%d, pixel (%d, %d), channel %d: %d, want %v", im.Bounds(), r.h, r.w, y, x, c, got[(y*r.w+x)*r.c+c], want[c])
				}
			}
		}
	}
}

// wantYCbCr returns red, green, blue and luma at a place of the upright picture. A plane of samples
// is filtered in its own upright coordinates.
func wantYCbCr(im *image.YCbCr, part image.Rectangle, orientation int, steps [2]int, cy, cx, sy, sx float64) []float64 {
	b := im.Bounds()
	stored := chromaSteps[im.SubsampleRatio]
	plane := func(pix []byte, stride int, stored, steps [2]int) float64 {
		h, w := ceilDiv(b.Dy(), stored[0]), ceilDiv(b.Dx(), stored[1])
		up := [2]int{h, w}
		// The first upright sample may be the last stored one, which is not whole if the picture ends within it.
		lost := [2]float64{float64(h*stored[0]-b.Dy()) / float64(stored[0]), float64(w*stored[1]-b.Dx()) / float64(stored[1])}
		samples := image.Rect(part.Min.X/stored[1], part.Min.Y/stored[0], ceilDiv(part.Max.X, stored[1]), ceilDiv(part.Max.Y, stored[0]))
		if orientation >= 5 {
			up, lost = [2]int{w, h}, [2]float64{lost[1], lost[0]}
		}
		isFlipped := func(axis int) bool {
			y, x := storedAt(0, 0, orientation, h, w)
			if orientation >= 5 {
				y, x = x, y
			}
			return []int{y, x}[axis] != 0
		}
		if !isFlipped(0) {
			lost[0] = 0
		}
		if !isFlipped(1) {
			lost[1] = 0
		}
		sample := func(y, x int) float64 {
			py, px := storedAt(y, x, orientation, h, w)
			if !image.Pt(px, py).In(samples) {
				return math.NaN()
			}
			return float64(pix[py*stride+px])
		}
		limits := [4]int{up[0], up[1], 0, 0}
		for y := range up[0] {
			for x := range up[1] {
				if py, px := storedAt(y, x, orientation, h, w); image.Pt(px, py).In(samples) {
					limits = [4]int{min(limits[0], y), min(limits[1], x), max(limits[2], y+1), max(limits[3], x+1)}
				}
			}
		}
		return filtered(sample, limits, cy/float64(steps[0])+lost[0], cx/float64(steps[1])+lost[1], sy/float64(steps[0]), sx/float64(steps[1]))
	}
	one := [2]int{1, 1}
	y := plane(im.Y, im.YStride, one, one)
	cb, cr := plane(im.Cb, im.CStride, stored, steps)-128, plane(im.Cr, im.CStride, stored, steps)-128
	clamp := func(v float64) float64 { return min(max(v, 0), 255) }
	return []float64{clamp(y + 1.402*cr), clamp(y - 0.344136*cb - 0.714136*cr), clamp(y + 1.772*cb), y}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
