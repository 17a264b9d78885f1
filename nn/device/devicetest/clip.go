package devicetest

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// clipCase is a limit on gradients between -scale and scale.
type clipCase struct {
	name              string
	maxNorm, maxValue float32
	scale             float32
	special           float32 // one of the gradients, unless it is 0
}

func clipCases() []clipCase {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	return []clipCase{
		{"norm", 1, 0, 1, 0},
		{"norm-of-small-gradients", 1, 0, 1e-6, 0},
		{"norm-of-large-gradients", 2, 0, 1e6, 0},
		{"norm-whose-squares-overflow", 1, 0, 1e30, 0},
		{"norm-not-reached", 1e3, 0, 1, 0},
		{"norm-of-NaN", 1e3, 0, 1, nan},
		{"norm-of-infinity", 1, 0, 1, -inf},
		{"value", 0, 0.25, 1, 0},
		{"value-not-reached", 0, 2, 1, 0},
		{"value-of-NaN", 0, 0.25, 1, nan},
		{"value-of-infinity", 0, 0.25, 1, -inf},
		{"norm-then-value", 5, 0.125, 1, 0},
		{"zero-gradients", 1, 0.5, 0, 0},
		{"no-limit", 0, 0, 1, 0},
	}
}

func testClip(t *testing.T, dev device.Device, opt Options) {
	for _, c := range clipCases() {
		t.Run(c.name, func(t *testing.T) { runClip(t, dev, opt, c, nil) })
	}
}

// runClip limits gradients. scaling is the state of a LossScaling, or nil. If it is given, the gradients are those of
// the case divided by the state's inverse, a power of two, and the results must be divided in the same way.
func runClip(t *testing.T, dev device.Device, opt Options, c clipCase, scaling []float32) {
	sizes := []int{1, 33, 1030, 7}
	src := newSource("clip")
	r := newRig(t, dev, opt)
	s := device.ClipSpec{MaxNorm: c.maxNorm, MaxValue: c.maxValue}
	factor := float32(1)
	if scaling != nil {
		s.Scaling = r.inputFloat32("scaling", scaling, device.ScalingLen)
		factor = 1 / scaling[device.ScalingInverse]
	}
	var grads [][]float64
	for i, n := range sizes {
		data := src.between(n, -c.scale, c.scale)
		if c.special != 0 && i == 2 {
			data[n/2] = c.special
		}
		grads = append(grads, reference.Widen(data))
		for j := range data {
			data[j] *= factor
		}
		s.Grads = append(s.Grads, r.inoutFloat32(fmt.Sprintf("grad %d", i), data, n))
	}
	clip := plan(dev.NewClip(s))(t)
	r.run(clip.Run)
	for i, want := range reference.Clip(float64(c.maxNorm), float64(c.maxValue), grads) {
		r.check(s.Grads[i], want.Times(float64(factor)))
	}
}

func clipOperation() Operation {
	return Operation{
		Name: "clip", Constructor: "NewClip", Group: Elementwise, Types: float32Only, Test: testClip, Panics: panicsOfClip,
		Calls: clipCalls,
	}
}

// clipCalls have limits that are reached, and one limit far above the gradients, with which nothing has to be written.
func clipCalls(Size) []Call {
	call := func(name string, maxNorm, maxValue float32, times int64) Call {
		return Call{name, "Run", func(o *Operands) (Work, error) {
			s := device.ClipSpec{MaxNorm: maxNorm, MaxValue: maxValue}
			for _, n := range o.weightSizes() {
				s.Grads = append(s.Grads, o.uniformFloat32(-1, 1, n))
			}
			p, err := o.Device.NewClip(s)
			if err != nil {
				return Work{}, err
			}
			return Work{Run: p.Run, Results: s.Grads, Updated: s.Grads, Bytes: times * bytesOf(s.Grads...)}, nil
		}}
	}
	return []Call{call("clip-norm", 1e9, 0, 1), call("clip-both", 2, 0.01, 3)}
}

func panicsOfClip(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	mustPanic(t, "a limit on gradients of bytes", func() {
		_, _ = dev.NewClip(device.ClipSpec{MaxNorm: 1, Grads: []*device.Tensor{m.tensor(device.Uint8, []int{8})}})
	}, "uint8[8]", "float32")
}
