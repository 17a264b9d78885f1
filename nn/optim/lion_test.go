package optim

import (
	"math"
	"slices"
	"testing"
)

// lion is algorithm 2 of the paper. If rounding could change the sign of a direction, the test fails: the gradients
// must be chosen so that this doesn't happen.
func lion(t *testing.T, beta1, beta2 float64) func([]int) naive {
	return func([]int) naive {
		var m, mBound []float64
		return func(w, bound, g []float64, s naiveStep) {
			if m == nil {
				m, mBound = make([]float64, len(w)), make([]float64, len(w))
			}
			mean := func(i int, beta float64) (x, e float64) {
				x = beta*m[i] + (1-beta)*g[i]
				return x, beta*mBound[i] + unit*(2*math.Abs(beta*m[i])+2*math.Abs((1-beta)*g[i])+math.Abs(x))
			}
			for i := range w {
				c, e := mean(i, beta1)
				if math.Abs(c) <= e {
					t.Fatalf("step %d: the sign of %v is uncertain", s.step, c)
				}
				w[i], bound[i] = s.descend(w[i], bound[i], math.Copysign(1, c), 0)
				m[i], mBound[i] = mean(i, beta2)
			}
		}
	}
}

func TestLion(t *testing.T) {
	for name, cfg := range decays(Config{Rule: Lion{}, LR: 0.01}) {
		t.Run(name, func(t *testing.T) { follow(t, newRig(t), cfg, lion(t, 0.9, 0.99)) })
	}
	t.Run("other betas", func(t *testing.T) {
		follow(t, newRig(t), Config{Rule: Lion{Beta1: 0.5, Beta2: 0.7}, LR: 0.01}, lion(t, 0.5, 0.7))
	})
	t.Run("skipped steps", func(t *testing.T) { skips(t, Lion{}) })
}

// TestLionStandsStill has a gradient of zero: the sign of 0 is 0.
func TestLionStandsStill(t *testing.T) {
	r := newRig(t)
	o := must(New(r.dev, r.params, nil, Config{Rule: Lion{}, LR: 1}, nil, 1, 1))(t)
	before := r.bits(o)
	if err := o.Step(0); err != nil {
		t.Fatal(err)
	}
	if !sameBits(r.bits(o), before) {
		t.Error("a weight without a gradient moved")
	}
}

// TestLionMomentum has a gradient of 1: m is 1 - beta2^t.
func TestLionMomentum(t *testing.T) {
	const steps = 10
	r := newRig(t)
	o := must(New(r.dev, r.params, nil, Config{Rule: Lion{}, LR: 0.01}, nil, steps, 1))(t)
	for _, p := range r.params {
		if p.Grad != nil {
			r.upload(p.Grad, slices.Repeat([]float32{1}, p.Grad.Len()))
		}
	}
	for step := range steps {
		if err := o.Step(step); err != nil {
			t.Fatal(err)
		}
	}
	want := 1 - math.Pow(0.99, steps)
	for i, m := range r.download(o.Tensors()[0].Tensor) {
		if math.Abs(float64(m)-want) > 5*steps*unit*want {
			t.Errorf("m[%d] = %v, want %v", i, m, want)
		}
	}
}
