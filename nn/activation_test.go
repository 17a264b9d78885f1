package nn_test

import (
	"math"
	"testing"

	"trainer/nn"
)

// The slope of every activation is that of its value: the difference over h on each side is off by h f”/2 and by
// rounding, which in float64 leaves 1e-6 of the slope's size, and at a kink the slope is that of one of the sides.
func TestActivationSlopes(t *testing.T) {
	const h, tolerance = 1e-7, 4e-7
	names := map[string]bool{}
	for _, f := range nn.Functions() {
		if names[f.Name] {
			t.Errorf("two activations are named %s", f.Name)
		}
		names[f.Name] = true
		for _, alpha := range []float64{0.1, 1} {
			for x := -12.0; x <= 12; x += 1.0 / 64 {
				here, got := f.Value(x, alpha), f.Slope(x, alpha)
				left, right := (here-f.Value(x-h, alpha))/h, (f.Value(x+h, alpha)-here)/h
				if math.Abs(got-left) > tolerance && math.Abs(got-right) > tolerance {
					t.Errorf("%s has the slope %v at %v, the differences are %v and %v", f, got, x, left, right)
					break
				}
			}
		}
		if y := f.Value(math.NaN(), 0.1); !math.IsNaN(y) {
			t.Errorf("%s of NaN is %v", f, y)
		}
		// Far out, neither overflows before the result does.
		for _, x := range []float64{-1e4, 1e4} {
			if y, slope := f.Value(x, 0.1), f.Slope(x, 0.1); math.IsNaN(y+slope) || math.Abs(y) > 1e4 || math.Abs(slope) > 2 {
				t.Errorf("%s at %v is %v, its slope %v", f, x, y, slope)
			}
		}
	}
}

// Values computed by hand, to 8 digits.
func TestActivationValues(t *testing.T) {
	for _, c := range []struct {
		layer    nn.ActivationLayer
		alpha, x float64
		want     float64
	}{
		{nn.ReLU{}, 0, -2, 0}, {nn.ReLU{}, 0, 3, 3},
		{nn.LeakyReLU{}, 0.25, -2, -0.5}, {nn.LeakyReLU{}, 0.25, 3, 3},
		{nn.GELU{}, 0, 1, 0.84134475}, {nn.GELU{}, 0, -1, -0.15865525},
		{nn.GELU{Tanh: true}, 0, 1, 0.84119199}, {nn.GELU{Tanh: true}, 0, -1, -0.15880801},
		{nn.Sigmoid{}, 0, math.Log(3), 0.75}, {nn.Sigmoid{}, 0, -math.Log(3), 0.25},
		{nn.Tanh{}, 0, math.Log(2), 0.6}, {nn.Tanh{}, 0, -math.Log(2), -0.6},
		{nn.SiLU{}, 0, math.Log(3), 0.75 * math.Log(3)},
		{nn.HardSwish{}, 0, -3, 0}, {nn.HardSwish{}, 0, -1.5, -0.375}, {nn.HardSwish{}, 0, 1, 2.0 / 3}, {nn.HardSwish{}, 0, 4, 4},
		{nn.ELU{}, 1, math.Log(0.25), -0.75}, {nn.ELU{}, 0.5, math.Log(0.25), -0.375}, {nn.ELU{}, 1, 3, 3},
		{nn.Softplus{}, 0, math.Log(3), math.Log(4)}, {nn.Softplus{}, 0, 0, math.Ln2}, {nn.Softplus{}, 0, 800, 800},
		{nn.Mish{}, 0, 0, 0}, {nn.Mish{}, 0, math.Log(3), math.Log(3) * 15 / 17}, {nn.Mish{}, 0, 800, 800},
	} {
		if f := c.layer.Activation().Function; math.Abs(f.Value(c.x, c.alpha)-c.want) > 1e-8 {
			t.Errorf("%s(%v) = %v, want %v", f, c.x, f.Value(c.x, c.alpha), c.want)
		}
	}
}
