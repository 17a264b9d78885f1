package devicetest

import (
	"fmt"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// sizeName names a sub-test after a number of elements.
func sizeName(n int) string { return fmt.Sprintf("%d-elements", n) }

func testWeightedSum(t *testing.T, dev device.Device, opt Options) {
	for _, f := range []struct{ alpha, beta float32 }{{1, 1}, {1, -1}, {0.3, 0.7}, {2, 0}, {-0.25, 3}} {
		for _, n := range []int{1, 7, 64, 1031} {
			t.Run(fmt.Sprintf("%v-%v/%s", f.alpha, f.beta, sizeName(n)), func(t *testing.T) {
				runWeightedSum(t, dev, opt, device.WeightedSumSpec{Len: 1031, Alpha: f.alpha, Beta: f.beta, DType: opt.storage}, n)
			})
		}
	}
}

// runWeightedSum checks every way in which the three operands may be the same tensor.
func runWeightedSum(t *testing.T, dev device.Device, opt Options, s device.WeightedSumSpec, n int) {
	sum := plan(dev.NewWeightedSum(s))(t)
	src := newSource("weighted sum")
	aData, bData := opt.round(src.values(n)), opt.round(src.values(n))
	r := newRig(t, dev, opt)
	a, b := r.input("a", aData, n), r.input("b", bData, n)
	beside, scaled := r.output("y", n), r.output("y of a alone", n)
	overA, overB := r.inout("y over a", aData, n), r.inout("y over b", bData, n)
	scaledOverA := r.inout("y of a alone over a", aData, n)
	overBoth := r.inout("y over a which is b", aData, n)
	r.run(func() {
		sum.Run(beside, a, b)
		sum.Run(scaled, a, nil)
		sum.Run(overA, overA, b)
		sum.Run(overB, a, overB)
		sum.Run(scaledOverA, scaledOverA, nil)
		sum.Run(overBoth, overBoth, overBoth)
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

func weightedSumOperation() Operation {
	return Operation{
		Name: "weighted sum", Constructor: "NewWeightedSum", Group: Elementwise, Types: allFloats, Test: testWeightedSum, Panics: panicsOfWeightedSum,
		Calls: weightedSumCalls,
	}
}

// weightedSumCalls are the weighted sum of two tensors, and the multiple of one tensor.
func weightedSumCalls(Size) []Call {
	prepare := func(o *Operands) (p device.WeightedSum, y, a *device.Tensor, err error) {
		n := o.elements()
		p, err = o.Device.NewWeightedSum(device.WeightedSumSpec{Len: n, Alpha: 0.3, Beta: 0.7, DType: o.DType})
		return p, o.zeros(n), o.uniform(-1, 1, n), err
	}
	return []Call{
		{"weighted sum", "Run", func(o *Operands) (Work, error) {
			p, y, a, err := prepare(o)
			if err != nil {
				return Work{}, err
			}
			b := o.uniform(-1, 1, a.Len())
			return Work{Run: func() { p.Run(y, a, b) }, Results: []*device.Tensor{y}, Bytes: bytesOf(y, a, b)}, nil
		}},
		{"scale", "Run", func(o *Operands) (Work, error) {
			p, y, a, err := prepare(o)
			if err != nil {
				return Work{}, err
			}
			return Work{Run: func() { p.Run(y, a, nil) }, Results: []*device.Tensor{y}, Bytes: bytesOf(y, a)}, nil
		}},
	}
}

func panicsOfWeightedSum(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(n int) *device.Tensor { return m.tensor(device.Float32, []int{n}) }
	sum := plan(dev.NewWeightedSum(device.WeightedSumSpec{Len: 8, Alpha: 1, Beta: 1}))(t)
	mustPanic(t, "operands of different lengths", func() { sum.Run(f32(8), f32(8), f32(7)) }, "7", "8")
}
