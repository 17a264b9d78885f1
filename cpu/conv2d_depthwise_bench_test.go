package cpu

import (
	"testing"
	"time"

	"trainer/nn/device"
)

// BenchmarkDepthwiseAndCopy compares a depthwise convolution of 128 channels with a copy of as many bytes: each iteration
// runs both, and the reported ratio is that of their shortest times, 1 for the speed of the copy.
func BenchmarkDepthwiseAndCopy(b *testing.B) {
	d, err := New()
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	const n, h, c = 8, 56, 128
	plan, err := d.NewConv2D(device.Conv2DSpec{
		N: n, H: h, W: h, InC: c, OutC: c, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilationH: 1, DilationW: 1, Groups: c,
	})
	if err != nil {
		b.Fatal(err)
	}
	// Ones, because pages that were never written are all the same page of zeros, which is in the cache.
	ones := func(shape ...int) *device.Tensor {
		t, err := d.NewTensor(device.Float32, shape...)
		if err != nil {
			b.Fatal(err)
		}
		for i := range floats(t) {
			floats(t)[i] = 1
		}
		return t
	}
	x, y, w, dw := ones(n, h, h, c), ones(n, h, h, c), ones(c, 3, 3, 1), ones(c, 3, 3, 1)
	for _, pass := range []struct {
		name string
		run  func()
	}{
		{"forward", func() { plan.Forward(y, x, w, nil) }},
		{"data", func() { plan.BackwardData(y, x, w) }},
		{"filter", func() { plan.BackwardFilter(dw, nil, x, y) }},
	} {
		b.Run(pass.name, func(b *testing.B) {
			copying, computing := time.Duration(1<<62), time.Duration(1<<62)
			for b.Loop() {
				copying = min(copying, elapsed(func() { d.Copy(y, x) }))
				computing = min(computing, elapsed(pass.run))
			}
			b.ReportMetric(float64(copying)/float64(computing), "of-copy")
		})
	}
}

func elapsed(run func()) time.Duration {
	start := time.Now()
	run()
	return time.Since(start)
}
