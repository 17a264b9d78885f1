package optim

import (
	"math"
	"testing"
)

// length returns the Euclidean norm of x, whose elements have errors of at most e, and a bound of its error: that of the norm of
// e, and of a sum of squares and a root.
func length(x, e []float64) (norm, bound float64) {
	errors := 0.0
	for i, v := range x {
		norm += v * v
		errors += e[i] * e[i]
	}
	norm = math.Sqrt(norm)
	return norm, math.Sqrt(errors) + unit*float64(len(x)+2)*norm
}

// ratio returns scale*w/(d + decay*w), or 1 if w or d is 0, and a bound of its error.
func ratio(scale, w, ew, d, ed, decay float64) (float64, float64) {
	if w == 0 || d == 0 {
		return 1, 0
	}
	below := d + decay*w
	r := scale * w / below
	return r, r * (ew/w + (ed+decay*ew)/below + 6*unit)
}

// lars is algorithm 1 of the paper, with the learning rate outside the velocity.
func lars(momentum, trust float64, nesterov bool) func([]int) naive {
	return func(shape []int) naive {
		var v, vBound []float64
		return func(w, bound, g []float64, s naiveStep) {
			if v == nil {
				v, vBound = make([]float64, len(w)), make([]float64, len(w))
			}
			decay := s.decay
			if s.decoupled {
				decay = 0
			}
			r, er := 1.0, 0.0
			if len(shape) > 1 {
				lw, elw := length(w, bound)
				lg, elg := length(g, make([]float64, len(g)))
				r, er = ratio(trust, lw, elw, lg, elg, decay)
			}
			for i := range w {
				g, eg := s.gradient(w[i], bound[i], g[i])
				eg = r*eg + er*math.Abs(g) + unit*math.Abs(r*g)
				g *= r
				ev := momentum*vBound[i] + 3*unit*math.Abs(momentum*v[i]) + eg + unit*math.Abs(g)
				v[i] = momentum*v[i] + g
				vBound[i] = ev + unit*math.Abs(v[i])
				d, ed := v[i], vBound[i]
				if nesterov {
					d = g + momentum*v[i]
					ed = eg + momentum*vBound[i] + unit*(math.Abs(g)+3*math.Abs(momentum*v[i])+math.Abs(d))
				}
				w[i], bound[i] = s.descend(w[i], bound[i], d, ed)
			}
		}
	}
}

// lamb is algorithm 2 of the paper.
func lamb(beta1, beta2, epsilon float64) func([]int) naive {
	return func(shape []int) naive {
		var m, v, em, ev []float64
		return func(w, bound, g []float64, s naiveStep) {
			if m == nil {
				m, v, em, ev = make([]float64, len(w)), make([]float64, len(w)), make([]float64, len(w)), make([]float64, len(w))
			}
			d, ed := make([]float64, len(w)), make([]float64, len(w))
			t := float64(s.step + 1)
			for i := range w {
				em[i] = beta1*em[i] + unit*(3*math.Abs(beta1*m[i])+3*math.Abs((1-beta1)*g[i]))
				m[i] = beta1*m[i] + (1-beta1)*g[i]
				em[i] += unit * math.Abs(m[i])
				ev[i] = beta2*ev[i] + unit*(3*beta2*v[i]+3*(1-beta2)*g[i]*g[i])
				v[i] = beta2*v[i] + (1-beta2)*g[i]*g[i]
				ev[i] += unit * v[i]
				mean, square := m[i]/(1-math.Pow(beta1, t)), v[i]/(1-math.Pow(beta2, t))
				emean, esquare := em[i]/(1-math.Pow(beta1, t))+3*unit*math.Abs(mean), ev[i]/(1-math.Pow(beta2, t))+3*unit*square
				root := math.Sqrt(square)
				eroot := esquare/(2*root) + 2*unit*root
				d[i] = mean / (root + epsilon)
				ed[i] = emean/root + math.Abs(d[i])*eroot/root + 3*unit*math.Abs(d[i])
				ed[i] += s.decay*bound[i] + 3*unit*math.Abs(s.decay*w[i])
				d[i] += s.decay * w[i]
				ed[i] += unit * math.Abs(d[i])
			}
			r, er := 1.0, 0.0
			if len(shape) > 1 {
				lw, elw := length(w, bound)
				ld, eld := length(d, ed)
				r, er = ratio(1, lw, elw, ld, eld, 0)
			}
			plain := s
			plain.decoupled = false // the decay is in the direction
			for i := range w {
				w[i], bound[i] = plain.descend(w[i], bound[i], r*d[i], r*ed[i]+er*math.Abs(d[i])+unit*math.Abs(r*d[i]))
			}
		}
	}
}

func TestLARS(t *testing.T) {
	for name, cfg := range decays(Config{Rule: LARS{}, LR: 3}) {
		t.Run(name, func(t *testing.T) { follow(t, newRig(t), cfg, lars(0.9, 0.001, false)) })
	}
	t.Run("nesterov", func(t *testing.T) {
		cfg := Config{Rule: LARS{Momentum: 0.6, Trust: 0.02, Nesterov: true}, LR: 0.5, WeightDecay: 0.1}
		follow(t, newRig(t), cfg, lars(0.6, 0.02, true))
	})
	t.Run("skipped steps", func(t *testing.T) { skips(t, LARS{}) })
}

func TestLAMB(t *testing.T) {
	for name, cfg := range decays(Config{Rule: LAMB{}, LR: 0.02}) {
		t.Run(name, func(t *testing.T) { follow(t, newRig(t), cfg, lamb(0.9, 0.999, 1e-6)) })
	}
	t.Run("other settings", func(t *testing.T) {
		follow(t, newRig(t), Config{Rule: LAMB{Beta1: 0.5, Beta2: 0.9, Epsilon: 0.01}, LR: 0.02}, lamb(0.5, 0.9, 0.01))
	})
	t.Run("skipped steps", func(t *testing.T) { skips(t, LAMB{}) })
}

// TestTrustRatioOfZero: weights of zero move by plain steps, and a gradient of zero moves nothing.
func TestTrustRatioOfZero(t *testing.T) {
	for _, rule := range []Rule{LARS{}, LAMB{}} {
		r := composedRig(t)
		p := r.params[0]
		r.upload(p.Value, make([]float32, p.Value.Len()))
		r.upload(p.Grad, syntheticGradient(p, 0))
		still := r.params[1]
		before := r.download(still.Value)
		o := must(New(r.dev, r.params, nil, Config{Rule: rule, LR: 0.5}, nil, 1, 1))(t)
		if err := o.Step(0); err != nil {
			t.Fatal(err)
		}
		for i, w := range r.download(p.Value) {
			want := -0.5 * float64(syntheticGradient(p, 0)[i])
			if rule == (LAMB{}) { // whose first direction is the sign of the gradient
				want = math.Copysign(0.5, want)
			}
			if math.Abs(float64(w)-want) > 1e-5 {
				t.Errorf("%s: w[%d] is %v, want %v", rule.Kind(), i, w, want)
			}
		}
		for i, w := range r.download(still.Value) {
			if w != before[i] {
				t.Errorf("%s: a weight without a gradient moved from %v to %v", rule.Kind(), before[i], w)
			}
		}
	}
}
