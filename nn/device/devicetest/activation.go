package devicetest

import (
	"math"
	"slices"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

func activationKinds() []device.ActivationKind {
	return []device.ActivationKind{
		device.ReLU, device.LeakyReLU, device.GELU, device.GELUTanh, device.Sigmoid, device.Tanh, device.SiLU,
	}
}

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
	for _, kind := range activationKinds() {
		s := device.ActivationSpec{Kind: kind, Len: 4096, DType: opt.storage}
		if kind == device.LeakyReLU {
			s.Alpha = 0.1
		}
		t.Run(kind.String(), func(t *testing.T) {
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
// At minus infinity the formulas x*Phi(x) and x/(1+exp(-x)) are infinity times zero: NaN
// or the limit are both allowed, so those are left out here.
func runActivationSpecial(t *testing.T, dev device.Device, opt Options, act device.Activation, s device.ActivationSpec) {
	const n = 37
	specials := []float32{float32(math.NaN()), float32(math.Inf(1))}
	switch s.Kind {
	case device.ReLU, device.LeakyReLU, device.Sigmoid, device.Tanh:
		specials = append(specials, float32(math.Inf(-1)))
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
	for _, kind := range activationKinds() {
		prepare := func(o *Operands) (p device.Activation, x, y *device.Tensor, err error) {
			n := o.elements()
			if p, err = o.Device.NewActivation(device.ActivationSpec{Kind: kind, Alpha: 0.1, Len: n, DType: o.DType}); err != nil {
				return nil, nil, nil, err
			}
			return p, o.uniform(-4, 4, n), o.zeros(n), nil
		}
		calls = append(calls,
			Call{kind.String() + "/forward", "Forward", func(o *Operands) (Work, error) {
				p, x, y, err := prepare(o)
				if err != nil {
					return Work{}, err
				}
				return Work{Run: func() { p.Forward(y, x) }, Results: []*device.Tensor{y}, Bytes: bytesOf(x, y)}, nil
			}},
			Call{kind.String() + "/backward", "Backward", func(o *Operands) (Work, error) {
				p, x, y, err := prepare(o)
				if err != nil {
					return Work{}, err
				}
				p.Forward(y, x)
				dy := o.uniform(-1, 1, x.Len())
				return Work{
					Run: func() { p.Backward(dy, dy, x, y) }, Results: []*device.Tensor{dy}, Updated: []*device.Tensor{dy}, Bytes: bytesOf(x, dy, dy),
				}, nil
			}})
	}
	return calls
}

func panicsOfActivation(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(n int) *device.Tensor { return m.tensor(device.Float32, []int{n}) }
	act := plan(dev.NewActivation(device.ActivationSpec{Kind: device.ReLU, Len: 8}))(t)
	mustPanic(t, "activation of different lengths", func() { act.Forward(f32(7), f32(8)) }, "7", "8")
	mustPanic(t, "activation of too many elements", func() { act.Forward(f32(9), f32(9)) }, "9", "8")
	mustPanic(t, "no activation", func() { _, _ = dev.NewActivation(device.ActivationSpec{Len: 8}) })
	if _, mixed := dev.(device.MixedPrecision); mixed {
		const f16 = device.Float16
		act := plan(dev.NewActivation(device.ActivationSpec{Kind: device.ReLU, Len: 8, DType: f16}))(t)
		mustPanic(t, "an activation of float32", func() { act.Forward(m.tensor(f16, []int{8}), f32(8)) }, "float32[8]", "float16")
	}
}
