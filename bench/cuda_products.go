package bench

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"trainer/gpu"
	"trainer/nn/device"
)

// peakSizes are the square products whose faster one is taken for the peak of a precision. They are the
// vendor's library's, through this project's plan, on random numbers.
var peakSizes = []int{4096, 8192}

// peak returns the floating-point operations a second of the fastest large product, measured once. It is no
// case of its own: b is one that wants it.
func (a *accelerator) peak(b *testing.B, d device.Device, p gpu.Precision) float64 {
	b.Helper()
	if known := a.peaks[p]; known > 0 || a.dry {
		return known
	}
	for _, n := range peakSizes {
		b.Run("peak-"+strconv.Itoa(n), func(b *testing.B) {
			s := a.sample(b, d, product(b, d, p, device.MatMulSpec{M: n, N: n, K: n}))
			flops := 2 * float64(n) * float64(n) * float64(n)
			rate(b, s, flops/1e12, "TFLOP/s")
			if vendor := datasheet(d.Info().Description, p); vendor > 0 {
				b.ReportMetric(100*flops/s.median()/vendor, "%datasheet")
			}
			a.peaks[p] = max(a.peaks[p], flops/s.median())
		})
	}
	return a.peaks[p]
}

// flops reports TFLOP/s, and the percentage of the peak.
func (a *accelerator) flops(b *testing.B, s samples, each, peak float64) {
	if s == nil {
		return
	}
	rate(b, s, each/1e12, "TFLOP/s")
	if peak > 0 {
		b.ReportMetric(100*each/s.median()/peak, "%peak")
	}
}

// gemms are the dense layers of recipes with their batches, and square products. One of three is that of the
// forward pass, [batch, in] by [in, out]; the others are those of the gradients of weights and of input.
var gemms = []struct {
	from string
	spec device.MatMulSpec
}{
	{"mnist", device.MatMulSpec{M: 256, N: 256, K: 800}},
	{"mnist", device.MatMulSpec{M: 800, N: 256, K: 256, TransA: true}},
	{"mnist", device.MatMulSpec{M: 256, N: 800, K: 256, TransB: true}},
	{"cifar10-basic", device.MatMulSpec{M: 128, N: 128, K: 2048}},
	{"airbench94", device.MatMulSpec{M: 1024, N: 10, K: 256}},
	{"square", device.MatMulSpec{M: 1024, N: 1024, K: 1024}},
	{"square", device.MatMulSpec{M: 2048, N: 2048, K: 2048}},
	{"square", device.MatMulSpec{M: 4096, N: 4096, K: 4096}},
	{"square", device.MatMulSpec{M: 8192, N: 8192, K: 8192}},
}

// drySize is the largest size of a product in a dry run.
const drySize = 32

// runGEMM measures matrix products.
func (a *accelerator) runGEMM(b *testing.B) {
	a.eachPrecision(b, func(b *testing.B, d device.Device, p gpu.Precision) {
		peak := a.peak(b, d, p)
		for _, g := range gemms {
			s := g.spec
			name := g.from + "-" + human(s.M, s.N, s.K)
			if s.TransA {
				name += "-transA"
			}
			if s.TransB {
				name += "-transB"
			}
			if a.dry {
				s.M, s.N, s.K = min(s.M, drySize), min(s.N, drySize), min(s.K, drySize)
			}
			b.Run(name, func(b *testing.B) {
				a.flops(b, a.sample(b, d, product(b, d, p, s)), 2*float64(s.M)*float64(s.N)*float64(s.K), peak)
			})
		}
	})
}

// product returns the work of a matrix product in a precision. The gradient of weights (TransA) is kept in
// float32, as in training.
func product(b *testing.B, d device.Device, p gpu.Precision, s device.MatMulSpec) work {
	b.Helper()
	s.DType, s.Out = p.DType(), p.DType()
	if s.TransA {
		s.Out = device.Float32
	}
	x, w := [2]int{s.M, s.K}, [2]int{s.K, s.N}
	if s.TransA {
		x[0], x[1] = x[1], x[0]
	}
	if s.TransB {
		w[0], w[1] = w[1], w[0]
	}
	plan := must(d.NewMatMul(s))(b)
	c := must(RandomTensorOf(d, s.Out, s.M, s.N))(b)
	ta, tb := must(RandomTensorOf(d, s.DType, x[:]...))(b), must(RandomTensorOf(d, s.DType, w[:]...))(b)
	return kernel(func() { plan.Run(c, ta, tb, nil) })
}

// gpuConvolutions are the convolutions of the recipes, those of the airbench designs with their whole
// batch, and two of larger networks.
func gpuConvolutions() []convCase {
	cases := make([]convCase, 0, len(convCases)+3)
	for _, c := range convCases {
		if c.recipe == "cifar10" || c.recipe == "airbench94" {
			c.spec.N = 1024
		}
		cases = append(cases, c)
	}
	return append(cases,
		convCase{"airbench96", square(1024, 7, 512, 512, 3, 1, false)},
		convCase{"large", square(256, 56, 64, 64, 3, 1, false)},
		convCase{"large", square(256, 14, 512, 512, 3, 1, false)},
	)
}

// runConv measures the three passes of every convolution.
func (a *accelerator) runConv(b *testing.B) {
	a.eachPrecision(b, func(b *testing.B, d device.Device, p gpu.Precision) {
		peak := a.peak(b, d, p)
		for _, c := range gpuConvolutions() {
			s := c.spec
			if a.dry {
				s.N, s.InC, s.OutC = 1, min(s.InC, 8), min(s.OutC, 8)
			}
			s.DType = p.DType()
			name := fmt.Sprintf("%s-%s-to-%d-k%d", c.recipe, human(c.spec.N, s.H, s.W, c.spec.InC), c.spec.OutC, s.KH)
			b.Run(name, func(b *testing.B) { a.benchConv(b, d, s, peak) })
		}
	})
}

// benchConv measures the passes of one convolution, as children of b.
func (a *accelerator) benchConv(b *testing.B, d device.Device, s device.Conv2DSpec, peak float64) {
	plan := must(d.NewConv2D(s))(b)
	x := must(RandomTensorOf(d, s.DType, s.N, s.H, s.W, s.InC))(b)
	w := must(RandomTensorOf(d, s.DType, s.OutC, s.KH, s.KW, s.InC))(b)
	y := must(RandomTensorOf(d, s.DType, s.N, s.OutH(), s.OutW(), s.OutC))(b)
	for _, pass := range []struct {
		name string
		run  func()
	}{
		{"forward", func() { plan.Forward(y, x, w, nil) }},
		{"backward-data", func() { plan.BackwardData(x, y, w) }},
		{"backward-filter", func() { plan.BackwardFilter(w, nil, y, x) }},
	} {
		if s.NoBackwardData && strings.HasSuffix(pass.name, "data") {
			continue
		}
		b.Run(pass.name, func(b *testing.B) {
			a.flops(b, a.sample(b, d, kernel(pass.run)), float64(s.FLOPs(s.N)), peak)
		})
	}
}
