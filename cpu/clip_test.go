package cpu

import (
	"math"
	"testing"

	"trainer/nn/device"
)

// Together, the gradients (3, 0) and (4) have the norm 5.
func TestClip(t *testing.T) {
	for _, c := range []struct {
		name              string
		maxNorm, maxValue float32
		want              []float32
	}{
		{"norm", 1, 0, []float32{0.6, 0, 0.8}},
		{"norm not reached", 5, 0, []float32{3, 0, 4}},
		{"value", 0, 3.5, []float32{3, 0, 3.5}},
		{"norm, then value", 2.5, 1.75, []float32{1.5, 0, 1.75}},
		{"none", 0, 0, []float32{3, 0, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOperands(t)
			a, b := o.floats([]float32{3, 0}), o.floats([]float32{4})
			must(o.d.NewClip(device.ClipSpec{Grads: []*device.Tensor{a, b}, MaxNorm: c.maxNorm, MaxValue: c.maxValue})).Run()
			wantFloats(t, "a", a, 1e-6, c.want[:2]...)
			wantFloats(t, "b", b, 1e-6, c.want[2])
		})
	}
}

// NaN and infinity stay visible: clipping must not hide that a step diverged.
func TestClipNonFinite(t *testing.T) {
	o := newOperands(t)
	g := o.floats([]float32{nan, 1, -1})
	must(o.d.NewClip(device.ClipSpec{Grads: []*device.Tensor{g}, MaxNorm: 1})).Run()
	wantFloats(t, "by norm", g, 0, nan, nan, nan)
	h := o.floats([]float32{nan, float32(math.Inf(1)), -9})
	must(o.d.NewClip(device.ClipSpec{Grads: []*device.Tensor{h}, MaxValue: 2})).Run()
	wantFloats(t, "by value", h, 0, nan, 2, -2)
}
