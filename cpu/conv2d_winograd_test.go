package cpu

import (
	"math"
	"strings"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// maxImageChannels is the number of channels of an image with red, green, blue and opacity.
const maxImageChannels = 4

// A layer that reads images, whose pixels may differ by orders of magnitude, never uses Winograd's method, in any pass that
// reads them: the errors of its outputs are proportional to their own windows.
func TestImagesAreNotTransformed(t *testing.T) {
	d := newDevice(t)
	for channels := 1; channels <= maxImageChannels; channels++ {
		for _, out := range []int{16, 64, 512} {
			for _, k := range []int{3, 5} {
				s := device.Conv2DSpec{
					N: 64, H: 32, W: 32, InC: channels, OutC: out, KH: k, KW: k, StrideH: 1, StrideW: 1, PadH: k / 2, PadW: k / 2,
					DilationH: 1, DilationW: 1, Groups: 1,
				}
				p := must(d.NewConv2D(s)).(*conv2D)
				if p.forward.winograd != nil || p.filter.winograd != nil {
					t.Errorf("%d channels to %d by %d x %d taps: Winograd's method", channels, out, k, k)
				}
			}
		}
	}
}

// outlier is a convolution of pixels of about 1, of which one is very large.
type outlier struct {
	spec device.Conv2DSpec
	at   int // row and column of the outlier
}

func newOutlier(inC int) outlier {
	return outlier{device.Conv2DSpec{
		N: 4, H: 20, W: 20, InC: inC, OutC: 64, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilationH: 1, DilationW: 1, Groups: 1,
	}, 9}
}

// sees reports whether the window of an output contains the outlier of the first image.
func (c outlier) sees(i, j int) bool { return max(i-c.at, c.at-i, j-c.at, c.at-j) <= 1 }

// run returns the convolution of the first image if channel 0 of the outlier is v, and a function that computes it in
// float64.
func (c outlier) run(t *testing.T, d *Device, v float32) (algorithm string, got []float32, want func() reference.Sums) {
	o := &operands{t: t, d: d}
	s := c.spec
	x, w, y := o.uniform(-1, 1, s.N, s.H, s.W, s.InC), o.uniform(-1, 1, s.OutC, 3, 3, s.InC), o.zeros(s.N, s.H, s.W, s.OutC)
	floats(x)[(c.at*s.W+c.at)*s.InC] = v
	p := must(d.NewConv2D(s))
	p.Forward(y, x, w, nil)
	image := s.H * s.W
	return p.Algorithm(), floats(y)[:image*s.OutC], func() reference.Sums {
		return reference.Conv2DForward(s, 1, reference.Widen(floats(x)[:image*s.InC]), reference.Widen(floats(w)), nil)
	}
}

// The errors of Winograd's method spread over a tile, as its description says, and those of the direct sum do not.
func TestOutliersSpreadOverTiles(t *testing.T) {
	d := newDevice(t, WithThreads(2))
	for _, c := range []struct {
		inC         int
		method      string
		least, most float64 // largest error of outputs that do not see an outlier of 1e4
		infinite    bool    // outputs that do not see an infinite outlier may be NaN
	}{
		{64, "Winograd", 1e-4, 4e-2, true},
		{4, "direct", 0, 1e-5, false},
	} {
		o := newOutlier(c.inC)
		algorithm, got, want := o.run(t, d, 1e4)
		if !strings.HasPrefix(algorithm, c.method) {
			t.Fatalf("%d channels: %s, want %s", c.inC, algorithm, c.method)
		}
		exact, worst := want().Value, 0.0
		o.eachUnseen(func(i int) { worst = math.Max(worst, math.Abs(float64(got[i])-exact[i])) })
		if worst < c.least || worst > c.most {
			t.Errorf("%s: outputs that do not see the outlier are off by %.2g, documented are %.2g to %.2g", algorithm, worst, c.least, c.most)
		}
		_, got, _ = o.run(t, d, float32(math.Inf(1)))
		spread := false
		o.eachUnseen(func(i int) { spread = spread || math.IsNaN(float64(got[i])) })
		if spread != c.infinite {
			t.Errorf("%s: an infinite pixel makes outputs that do not see it NaN: %v, documented is %v", algorithm, spread, c.infinite)
		}
	}
}

// eachUnseen visits the elements of the first image's output whose windows do not contain the outlier.
func (c outlier) eachUnseen(visit func(i int)) {
	s := c.spec
	for i := range s.H {
		for j := range s.W {
			for o := range s.OutC {
				if !c.sees(i, j) {
					visit((i*s.W+j)*s.OutC + o)
				}
			}
		}
	}
}
