package devicetest

import (
	"fmt"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// clipCase is a limit on gradients between -scale and scale.
type clipCase struct {
	name              string
	maxNorm, maxValue float32
	scale             float32
}

func clipCases() []clipCase {
	return []clipCase{
		{"norm", 1, 0, 1},
		{"norm-of-small-gradients", 1, 0, 1e-6},
		{"norm-of-large-gradients", 2, 0, 1e6},
		{"norm-not-reached", 1e3, 0, 1},
		{"value", 0, 0.25, 1},
		{"value-not-reached", 0, 2, 1},
		{"norm-then-value", 5, 0.125, 1},
		{"zero-gradients", 1, 0.5, 0},
		{"no-limit", 0, 0, 1},
	}
}

func testClip(t *testing.T, dev device.Device, opt Options) {
	for _, c := range clipCases() {
		t.Run(c.name, func(t *testing.T) { runClip(t, dev, opt, c, nil) })
	}
}

// runClip limits gradients. scaling is the state of a LossScaling, or nil: with it gradients are those of the case
// divided by the state's inverse, a power of two, and so must be what becomes of them.
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
