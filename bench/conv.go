package bench

import (
	"fmt"
	"testing"

	"trainer/nn/device"
)

// convCase is one convolution of a recipe.
type convCase struct {
	recipe string
	spec   device.Conv2DSpec
}

// square returns the spec of a convolution with stride 1.
func square(n, size, inC, outC, k, pad int, first bool) device.Conv2DSpec {
	return device.Conv2DSpec{
		N: n, H: size, W: size, InC: inC, OutC: outC, KH: k, KW: k, PadH: pad, PadW: pad,
		StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1, NoBackwardData: first,
	}
}

// convCases are the convolutions of the built-in recipes, and the wider ones of airbench94.
var convCases = []convCase{
	{"mnist-basic", square(64, 28, 1, 8, 3, 0, true)},
	{"mnist", square(256, 28, 1, 24, 5, 0, true)},
	{"mnist", square(256, 12, 24, 32, 3, 0, false)},
	{"cifar10-basic", square(128, 32, 3, 32, 3, 1, true)},
	{"cifar10-basic", square(128, 32, 32, 32, 3, 1, false)},
	{"cifar10-basic", square(128, 16, 32, 64, 3, 1, false)},
	{"cifar10-basic", square(128, 16, 64, 64, 3, 1, false)},
	{"cifar10-basic", square(128, 8, 64, 128, 3, 1, false)},
	{"cifar10-basic", square(128, 8, 128, 128, 3, 1, false)},
	{"cifar10", square(250, 32, 3, 24, 2, 0, true)},
	{"cifar10", square(250, 31, 24, 64, 3, 1, false)},
	{"cifar10", square(250, 15, 64, 64, 3, 1, false)},
	{"cifar10", square(250, 15, 64, 128, 3, 1, false)},
	{"cifar10", square(250, 7, 128, 128, 3, 1, false)},
	{"cifar10", square(250, 3, 128, 128, 3, 1, false)},
	{"airbench94", square(250, 15, 64, 256, 3, 1, false)},
	{"airbench94", square(250, 7, 256, 256, 3, 1, false)},
	{"airbench94", square(250, 3, 256, 256, 3, 1, false)},
}

// runConv measures the three passes of every convolution.
func runConv(b *testing.B) {
	for _, c := range convCases {
		s := c.spec
		name := fmt.Sprintf("%s-%s-to-%d-k%d", c.recipe, human(s.H, s.W, s.InC), s.OutC, s.KH)
		b.Run(name+"/forward", func(b *testing.B) {
			benchConv(b, s, func(p device.Conv2D, x, w, y *device.Tensor) { p.Forward(y, x, w, nil) })
		})
		if !s.NoBackwardData {
			b.Run(name+"/backward-data", func(b *testing.B) {
				benchConv(b, s, func(p device.Conv2D, x, w, y *device.Tensor) { p.BackwardData(x, y, w) })
			})
		}
		b.Run(name+"/backward-filter", func(b *testing.B) {
			benchConv(b, s, func(p device.Conv2D, x, w, y *device.Tensor) { p.BackwardFilter(w, nil, y, x) })
		})
	}
}

// benchConv measures one pass of a convolution.
func benchConv(b *testing.B, s device.Conv2DSpec, pass func(p device.Conv2D, x, w, y *device.Tensor)) {
	d := open(b)
	p := must(d.NewConv2D(s))(b)
	x := tensor(b, d, s.N, s.H, s.W, s.InC)
	w := tensor(b, d, s.OutC, s.KH, s.KW, s.InC)
	y := tensor(b, d, s.N, s.OutH(), s.OutW(), s.OutC)
	loop(b, d, func() { pass(p, x, w, y) })
	reportFLOPs(b, d, s.FLOPs(s.N))
}
