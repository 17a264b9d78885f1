package devicetest

import (
	"bytes"
	"fmt"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

func testAverage(t *testing.T, dev device.Device, opt Options) {
	for _, copyBack := range []bool{false, true} {
		for _, decay := range []float32{0, 0.5, 0.999, 1} {
			t.Run(fmt.Sprintf("copyback=%v/decay-%v", copyBack, decay), func(t *testing.T) {
				runAverage(t, dev, opt, copyBack, decay)
			})
		}
	}
}

func runAverage(t *testing.T, dev device.Device, opt Options, copyBack bool, at float32) {
	random := newSource("average")
	r := newRig(t, dev, opt)
	decay := r.input("decay", []float32{at}, 1)
	s := device.AverageSpec{CopyBack: copyBack}
	var want []reference.Sums
	for i, n := range []int{1, 31, 1030} {
		dst, src := random.values(n), random.values(n)
		s.Dst = append(s.Dst, r.inout(fmt.Sprintf("dst %d", i), dst, n))
		if copyBack {
			s.Src = append(s.Src, r.inout(fmt.Sprintf("src %d", i), src, n))
		} else {
			s.Src = append(s.Src, r.input(fmt.Sprintf("src %d", i), src, n))
		}
		want = append(want, reference.Average(float64(at), reference.Widen(dst), reference.Widen(src)))
	}
	average := plan(dev.NewAverage(s))(t)
	r.run(func() { average.Run(decay) })
	for i := range s.Dst {
		r.check(s.Dst[i], want[i])
		if copyBack && !bytes.Equal(r.bits(s.Dst[i]), r.bits(s.Src[i])) {
			t.Errorf("src %d is not a copy of dst", i)
		}
	}
}
