package devicetest

import (
	"math"
	"slices"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// reluFunction is what the fused forms apply.
func reluFunction() *device.Function { return nn.ReLU{}.Activation().Function }

// activationGrid returns a fine grid over [-12, 12], small and large numbers of both
// signs, and both zeros.
func activationGrid() []float32 {
	var grid []float32
	for x := -12.0; x <= 12; x += 1.0 / 64 {
		grid = append(grid, float32(x))
	}
	for _, x := range []float64{0, 1e-30, 1e-10, 1e-4, 3e-4, 1e-3, 15, 20, 50, 87, 88, 89, 100, 104, 1e4, 1e10} {
		grid = append(grid, float32(x), float32(math.Copysign(x, -1)))
	}
	return grid
}

// finite returns the numbers without those that are infinite.
func finite(v []float32) []float32 {
	return slices.DeleteFunc(slices.Clone(v), func(x float32) bool { return math.IsInf(float64(x), 0) })
}

func testActivation(t *testing.T, dev device.Device, opt Options) {
	for _, f := range nn.Functions() {
		s := device.ActivationSpec{Function: f, Alpha: 0.1, Len: 4096, DType: opt.storage}
		t.Run(f.Name, func(t *testing.T) {
			act := plan(dev.NewActivation(s))(t)
			t.Run("grid", func(t *testing.T) { runActivation(t, dev, opt, act, s, finite(opt.round(activationGrid()))) })
			for _, n := range []int{1, 7, 65, 4096} {
				x := opt.round(newSource("activation").between(n, -4, 4))
				t.Run(sizeName(n), func(t *testing.T) { runActivation(t, dev, opt, act, s, x) })
			}
			t.Run("special", func(t *testing.T) { runActivationSpecial(t, dev, opt, act, s) })
		})
	}
}

// runActivation checks Forward and Backward, the latter also in place.
func runActivation(t *testing.T, dev device.Device, opt Options, act device.Activation, s device.ActivationSpec, xData []float32) {
	n := len(xData)
	dyData := opt.round(newSource("activation/dy").values(n))
	r := newRig(t, dev, opt)
	x, dy, inPlace := r.input("x", xData, n), r.input("dy", dyData, n), r.inout("dy and dx", dyData, n)
	y, dx := r.output("y", n), r.output("dx", n)
	r.run(func() {
		act.Forward(y, x)
		act.Backward(dx, dy, x, y)
		act.Backward(inPlace, inPlace, x, y)
	})
	r.check(y, refActivationForward(s, widen(xData)))
	want := refActivationBackward(s, widen(dyData), widen(xData))
	r.check(dx, want)
	r.check(inPlace, want)
}

// runActivationSpecial checks NaN and the infinities, at each place of a vector.
// Where the formula in float64 is NaN, as x*Phi(x) at minus infinity is infinity times zero, a device may give NaN or
// the limit, so those are left out here.
func runActivationSpecial(t *testing.T, dev device.Device, opt Options, act device.Activation, s device.ActivationSpec) {
	const n = 37
	specials := []float32{float32(math.NaN())}
	for _, sign := range []int{-1, 1} {
		if limit := math.Inf(sign); !math.IsNaN(s.Function.Value(limit, float64(s.Alpha))) {
			specials = append(specials, float32(limit))
		}
	}
	for _, special := range specials {
		xData := opt.round(newSource("activation/special").values(n))
		for i := 0; i < n; i += 3 {
			xData[i] = special
		}
		r := newRig(t, dev, opt)
		x, y := r.input("x", xData, n), r.output("y", n)
		r.run(func() { act.Forward(y, x) })
		r.check(y, refActivationForward(s, widen(xData)))
	}
}
