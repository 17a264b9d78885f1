package devicetest

import (
	"fmt"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// sizeName names a sub-test after a number of elements.
func sizeName(n int) string { return fmt.Sprintf("%d-elements", n) }

func testCombine(t *testing.T, dev device.Device, opt Options) {
	for _, f := range []struct{ alpha, beta float32 }{{1, 1}, {1, -1}, {0.3, 0.7}, {2, 0}, {-0.25, 3}} {
		for _, n := range []int{1, 7, 64, 1031} {
			t.Run(fmt.Sprintf("%v-%v/%s", f.alpha, f.beta, sizeName(n)), func(t *testing.T) {
				runCombine(t, dev, opt, device.WeightedSumSpec{Len: 1031, Alpha: f.alpha, Beta: f.beta, DType: opt.storage}, n)
			})
		}
	}
}

// runCombine checks every way in which the three operands may be the same.
func runCombine(t *testing.T, dev device.Device, opt Options, s device.WeightedSumSpec, n int) {
	combine := plan(dev.NewWeightedSum(s))(t)
	src := newSource("combine")
	aData, bData := opt.round(src.values(n)), opt.round(src.values(n))
	r := newRig(t, dev, opt)
	a, b := r.input("a", aData, n), r.input("b", bData, n)
	beside, scaled := r.output("y", n), r.output("y of a alone", n)
	overA, overB := r.inout("y over a", aData, n), r.inout("y over b", bData, n)
	scaledOverA := r.inout("y of a alone over a", aData, n)
	overBoth := r.inout("y over a which is b", aData, n)
	r.run(func() {
		combine.Run(beside, a, b)
		combine.Run(scaled, a, nil)
		combine.Run(overA, overA, b)
		combine.Run(overB, a, overB)
		combine.Run(scaledOverA, scaledOverA, nil)
		combine.Run(overBoth, overBoth, overBoth)
	})
	alpha, beta := float64(s.Alpha), float64(s.Beta)
	want := reference.WeightedSum(alpha, beta, reference.Widen(aData), reference.Widen(bData))
	for _, y := range []*device.Tensor{beside, overA, overB} {
		r.check(y, want)
	}
	wantScaled := reference.WeightedSum(alpha, beta, reference.Widen(aData), nil)
	r.check(scaled, wantScaled)
	r.check(scaledOverA, wantScaled)
	r.check(overBoth, reference.WeightedSum(alpha, beta, reference.Widen(aData), reference.Widen(aData)))
}
