package cpu

import (
	"testing"

	"trainer/nn/device"
)

func TestAverage(t *testing.T) {
	for _, copyBack := range []bool{false, true} {
		o := newOperands(t)
		dst, src := o.floats([]float32{4, 0}), o.floats([]float32{8, 2})
		p := must(o.d.NewAverage(device.AverageSpec{Dst: []*device.Tensor{dst}, Src: []*device.Tensor{src}, CopyBack: copyBack}))
		p.Run(o.floats([]float32{0.75, 0.25}))
		wantFloats(t, "dst", dst, 0, 5, 0.5)
		if copyBack {
			wantFloats(t, "src", src, 0, 5, 0.5)
		} else {
			wantFloats(t, "src", src, 0, 8, 2)
		}
	}
}
