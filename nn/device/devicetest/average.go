package devicetest

import (
	"bytes"
	"fmt"
	"slices"
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
	weights := []float32{at, 1 - at}
	operand := r.input("weights", weights, 2)
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
		want = append(want, reference.Average(reference.Widen(weights), reference.Widen(dst), reference.Widen(src)))
	}
	average := plan(dev.NewAverage(s))(t)
	r.run(func() { average.Run(operand) })
	for i := range s.Dst {
		r.check(s.Dst[i], want[i])
		if copyBack && !bytes.Equal(r.bits(s.Dst[i]), r.bits(s.Src[i])) {
			t.Errorf("src %d is not a copy of dst", i)
		}
	}
}

func averageOperation() Operation {
	return Operation{
		Name: "average", Constructor: "NewAverage", Group: Elementwise, Types: float32Only, Test: testAverage, Panics: panicsOfAverage,
		Calls: averageCalls,
	}
}

func averageCalls(Size) []Call {
	call := func(name string, copyBack bool) Call {
		return Call{name, "Run", func(o *Operands) (Work, error) {
			s := device.AverageSpec{CopyBack: copyBack}
			for _, n := range o.weightSizes() {
				s.Dst, s.Src = append(s.Dst, o.uniformFloat32(-1, 1, n)), append(s.Src, o.uniformFloat32(-1, 1, n))
			}
			p, err := o.Device.NewAverage(s)
			if err != nil {
				return Work{}, err
			}
			weights := o.uniformFloat32(0.9, 1, 2)
			w := Work{Run: func() { p.Run(weights) }, Updated: s.Dst, Bytes: 2*bytesOf(s.Dst...) + bytesOf(s.Src...)}
			if copyBack {
				w.Updated = slices.Concat(s.Dst, s.Src)
				w.Bytes += bytesOf(s.Src...)
			}
			w.Results = w.Updated
			return w, nil
		}}
	}
	return []Call{call("average", false), call("average-copyback", true)}
}

func panicsOfAverage(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(n int) *device.Tensor { return m.tensor(device.Float32, []int{n}) }
	mustPanic(t, "averages of different numbers", func() {
		_, _ = dev.NewAverage(device.AverageSpec{Dst: []*device.Tensor{f32(8)}})
	})
	mustPanic(t, "an average of another size", func() {
		_, _ = dev.NewAverage(device.AverageSpec{Dst: []*device.Tensor{f32(8)}, Src: []*device.Tensor{f32(7)}})
	}, "7", "8")
}
