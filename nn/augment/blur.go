package augment

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// blurRadius is the largest distance of a pixel that blur includes.
const blurRadius = 7

// blur is a weighted mean of a pixel and its neighbours, over the rows and then over the columns:
//
//	z[i,j] = sum of w[|k|] x[i, j+k] for k from -7 to 7        y[i,j] = sum of w[|k|] z[i+k, j]
//
// with the image reflected at its border. Parameters: w[0] to w[7].
var blur = &device.ImageOp{
	Name: "blur", Params: 1 + blurRadius,
	Apply: func(y, x, _ device.Image, p []float64) {
		z := device.Image{H: x.H, W: x.W, C: x.C, Pix: make([]float64, len(x.Pix))}
		for i := range x.H {
			for j := range x.W {
				for c := range x.C {
					sum := 0.0
					for k := -blurRadius; k <= blurRadius; k++ {
						sum += p[max(k, -k)] * x.At(i, int(within(float64(j+k), x.W, borderReflect)), c)
					}
					z.Set(i, j, c, sum)
				}
			}
		}
		for i := range x.H {
			for j := range x.W {
				for c := range x.C {
					sum := 0.0
					for k := -blurRadius; k <= blurRadius; k++ {
						sum += p[max(k, -k)] * z.At(int(within(float64(i+k), x.H, borderReflect)), j, c)
					}
					y.Set(i, j, c, sum)
				}
			}
		}
	},
	// The weights add up to 1 except for their own rounding. There are two sums of 15 products.
	Error: func(device.Image, []float64) (float64, float64) { return 1 + 1e-5, 2 * (2 + 4) },
}

// Blur makes the image less sharp, by Gaussian weights of a standard deviation from MinSigma to MaxSigma pixels
// (torchvision's GaussianBlur):
//
//	w[k] is in proportion to exp(-k^2 / (2 sigma^2)), and all 15 add up to 1
type Blur struct{ MinSigma, MaxSigma float64 }

func blurKind() Kind {
	return Kind{Name: "blur", Doc: "Gaussian blur", New: func() Transform { return Blur{} }}
}

// Kind returns "blur".
func (Blur) Kind() string { return "blur" }

// Settings declares min-sigma and max-sigma.
func (t *Blur) Settings(s *setting.List) {
	s.Float64(&t.MinSigma, "min-sigma", 0.1, setting.Range(0.05, 2.5), "least standard deviation, in pixels")
	s.Float64(&t.MaxSigma, "max-sigma", 2, setting.Range(0.05, 2.5), "largest standard deviation, in pixels")
}

// Check returns an error if MinSigma is above MaxSigma.
func (t *Blur) Check() error { return ordered("sigma", t.MinSigma, t.MaxSigma) }

// Ops returns blur.
func (Blur) Ops() []*device.ImageOp { return []*device.ImageOp{blur} }

// negligible is the weight, relative to the middle weight, below which a pixel is left out: it would not change the
// result in float32.
const negligible = 0x1p-30

// Draw draws the standard deviation.
func (t Blur) Draw(r *Random, p Params) {
	sigma := r.Uniform(t.MinSigma, t.MaxSigma)
	var w [1 + blurRadius]float64
	total := 0.0
	for k := range w {
		if w[k] = math.Exp(-float64(k*k) / (2 * sigma * sigma)); w[k] < negligible {
			w[k] = 0
		}
		total += w[k]
		if k > 0 {
			total += w[k]
		}
	}
	for k := range w {
		w[k] /= total
	}
	p.Set(0, w[:]...)
}
