package devicetest

import (
	"math"
	"slices"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/device/reference"
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

// finite returns the numbers that are not infinite.
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
	r.check(y, reference.ActivationForward(s, reference.Widen(xData)))
	want := reference.ActivationBackward(s, reference.Widen(dyData), reference.Widen(xData))
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
		r.check(y, reference.ActivationForward(s, reference.Widen(xData)))
	}
}

// LargestSlopes returns the largest |f'| and |f”|, the latter without kinks, at which f” is not there.
func LargestSlopes(s device.ActivationSpec) (first, second float64) {
	for _, v := range activationGrid() {
		x, alpha := float64(v), float64(s.Alpha)
		slope, h := s.Function.Slope, math.Abs(x)/1024
		if h == 0 || math.Abs(x) > 20 {
			continue
		}
		here := slope(x, alpha)
		left, right := (here-slope(x-h, alpha))/h, (slope(x+h, alpha)-here)/h
		first = math.Max(first, math.Abs(here))
		// At a kink the two differ by the jump over h. The smaller is that of the side without.
		second = math.Max(second, math.Min(math.Abs(left), math.Abs(right)))
	}
	return first, second
}

func activationOperation() Operation {
	return Operation{
		Name: "activation", Constructor: "NewActivation", Group: Elementwise, Types: allFloats, Test: testActivation, Panics: panicsOfActivation,
		Calls: activationCalls,
	}
}

// elements is the number of elements in the elementwise operations. For benchmarks it is the size of airbench94's
// largest activations, with batches of 250 and 1024.
func (o *Operands) elements() int { return o.pick(3*4096+1234, 250*31*31*64, 1024*31*31*64) }

// activationCalls are the two passes of each function.
func activationCalls(Size) []Call {
	var calls []Call
	for _, f := range nn.Functions() {
		prepare := func(o *Operands) (p device.Activation, x, y *device.Tensor, err error) {
			n := o.elements()
			if p, err = o.Device.NewActivation(device.ActivationSpec{Function: f, Alpha: 0.1, Len: n, DType: o.DType}); err != nil {
				return nil, nil, nil, err
			}
			return p, o.uniform(-4, 4, n), o.zeros(n), nil
		}
		calls = append(calls,
			Call{f.Name + "/forward", "Forward", func(o *Operands) (Work, error) {
				p, x, y, err := prepare(o)
				if err != nil {
					return Work{}, err
				}
				return Work{Run: func() { p.Forward(y, x) }, Results: []*device.Tensor{y}, Bytes: bytesOf(x, y)}, nil
			}},
			Call{f.Name + "/backward", "Backward", func(o *Operands) (Work, error) {
				p, x, y, err := prepare(o)
				if err != nil {
					return Work{}, err
				}
				p.Forward(y, x)
				dy, dx := o.uniform(-1, 1, x.Len()), o.zeros(x.Len())
				return Work{Run: func() { p.Backward(dx, dy, x, y) }, Results: []*device.Tensor{dx}, Bytes: bytesOf(x, dy, dx)}, nil
			}})
	}
	return calls
}

func panicsOfActivation(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(n int) *device.Tensor { return m.tensor(device.Float32, []int{n}) }
	act := plan(dev.NewActivation(device.ActivationSpec{Function: reluFunction(), Len: 8}))(t)
	mustPanic(t, "activation of different lengths", func() { act.Forward(f32(7), f32(8)) }, "7", "8")
	mustPanic(t, "activation of too many elements", func() { act.Forward(f32(9), f32(9)) }, "9", "8")
	mustPanic(t, "no activation", func() { _, _ = dev.NewActivation(device.ActivationSpec{Len: 8}) })
	if _, mixed := dev.(device.MixedPrecision); mixed {
		const f16 = device.Float16
		act := plan(dev.NewActivation(device.ActivationSpec{Function: reluFunction(), Len: 8, DType: f16}))(t)
		mustPanic(t, "an activation of float32", func() { act.Forward(m.tensor(f16, []int{8}), f32(8)) }, "float32[8]", "float16")
	}
}
