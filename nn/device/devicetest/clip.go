package devicetest

import (
	"fmt"
	"testing"

	"trainer/nn/device"
)

func testClip(t *testing.T, dev device.Device, opt Options) {
	sizes := []int{1, 33, 1030, 7}
	for _, c := range []struct {
		name              string
		maxNorm, maxValue float32
		scale             float32
	}{
		{"norm", 1, 0, 1},
		{"norm-of-small-gradients", 1, 0, 1e-6},
		{"norm-of-large-gradients", 2, 0, 1e6},
		{"norm-not-reached", 1e3, 0, 1},
		{"value", 0, 0.25, 1},
		{"value-not-reached", 0, 2, 1},
		{"norm-then-value", 5, 0.125, 1},
		{"zero-gradients", 1, 0.5, 0},
		{"no-limit", 0, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := newSource("clip")
			r := newRig(t, dev, opt)
			s := device.ClipSpec{MaxNorm: c.maxNorm, MaxValue: c.maxValue}
			var grads [][]float64
			for i, n := range sizes {
				data := src.between(n, -c.scale, c.scale)
				grads = append(grads, widen(data))
				s.Grads = append(s.Grads, r.inout(fmt.Sprintf("grad %d", i), data, n))
			}
			clip := plan(dev.NewClip(s))(t)
			r.run(clip.Run)
			for i, want := range refClip(float64(c.maxNorm), float64(c.maxValue), grads) {
				r.check(s.Grads[i], want)
			}
		})
	}
}
