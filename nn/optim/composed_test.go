package optim

import (
	"math"
	"slices"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// unit is the unit roundoff of float32.
const unit = 1.0 / (1 << 24)

// naive is a rule in float64, for one parameter: it changes the weights w and the bounds of their errors, to first
// order in unit, by a step of gradient g. The bounds are running error bounds (Higham, "Accuracy and Stability of
// Numerical Algorithms", 2002, section 3.3): each operation adds unit times its result to the errors of its operands.
// The scalars on the device (learning rate, coefficients) are rounded too.
type naive func(w, bound, g []float64, s naiveStep)

type naiveStep struct {
	step      int // from 0
	lr        float64
	decay     float64
	decoupled bool
}

// gradient returns the gradient with the coupled decay, and its bound.
func (s naiveStep) gradient(w, bound, g float64) (float64, float64) {
	if s.decoupled || s.decay == 0 {
		return g, 0
	}
	return g + s.decay*w, s.decay*bound + unit*(3*math.Abs(s.decay*w)+math.Abs(g))
}

// descend returns the weight after a step in direction d, whose error is at most e, and its bound.
func (s naiveStep) descend(w, bound, d, e float64) (float64, float64) {
	if s.decoupled {
		w -= s.lr * s.decay * w
		bound += unit * (4*math.Abs(s.lr*s.decay*w) + math.Abs(w))
	}
	w -= s.lr * d
	return w, bound + s.lr*e + unit*(4*math.Abs(s.lr*d)+math.Abs(w))
}

// syntheticGradient returns a gradient that doesn't depend on the weights: numbers of -1 to 1, none near 0.
func syntheticGradient(p *nn.Param, step int) []float32 {
	g := make([]float32, p.Value.Len())
	for i := range g {
		x := math.Sin(float64(3*len(p.Name)+i)*1.7 + 0.9*float64(step))
		g[i] = float32(math.Copysign(0.1+0.9*math.Abs(x), x))
	}
	return g
}

// follow takes ten steps of a rule and checks every weight against its naive version.
func follow(t *testing.T, r *rig, cfg Config, rule func(shape []int) naive) {
	t.Helper()
	const steps = 10
	schedule := Cosine{Final: 0.1}
	o, err := New(r.dev, r.params, r.state, cfg, schedule, steps, 4)
	if err != nil {
		t.Fatal(err)
	}
	type weights struct{ w, bound []float64 }
	var want []weights
	var rules []naive
	for _, p := range r.params {
		values := widen(r.download(p.Value))
		want = append(want, weights{values, make([]float64, len(values))})
		rules = append(rules, rule(p.Value.Shape()))
	}
	decoupled := cfg.Decoupled || AlwaysDecoupled(cfg.Rule)
	for step := range steps {
		lr := cfg.LR * schedule.Factor(Progress{Step: step, Total: steps, StepsPerEpoch: 4})
		for k, p := range r.params {
			if p.Grad == nil {
				continue
			}
			g := syntheticGradient(p, step)
			r.upload(p.Grad, g)
			rules[k](want[k].w, want[k].bound, widen(g), naiveStep{step, lr, cfg.WeightDecay, decoupled})
		}
		if err := o.Step(step); err != nil {
			t.Fatal(err)
		}
		for k, p := range r.params {
			for i, got := range r.download(p.Value) {
				if w := want[k]; !(math.Abs(float64(got)-w.w[i]) <= w.bound[i]) {
					t.Fatalf("step %d: %s[%d] = %v, want %v within %.2g", step, p.Name, i, got, w.w[i], w.bound[i])
				}
			}
		}
	}
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// decays are the ways in which weight decay enters a rule.
func decays(cfg Config) map[string]Config {
	coupled, decoupled := cfg, cfg
	coupled.WeightDecay, decoupled.WeightDecay, decoupled.Decoupled = 0.1, 0.1, true
	return map[string]Config{"no decay": cfg, "coupled decay": coupled, "decoupled decay": decoupled}
}

// composedRig has parameters that every composed rule accepts.
func composedRig(t testing.TB) *rig {
	r := newRig(t)
	r.params = []*nn.Param{r.params[0], r.params[3]}
	return r
}

// bits returns the bits of the weights and of the optimiser's state.
func (r *rig) bits(o *Optimizer) map[string][]float32 {
	all := map[string][]float32{}
	for _, p := range r.params {
		all[p.Name] = r.download(p.Value)
	}
	for _, n := range o.Tensors() {
		all[n.Name] = r.download(n.Tensor)
	}
	return all
}

func sameBits(a, b map[string][]float32) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		if !slices.Equal(a[name], b[name]) {
			return false
		}
	}
	return true
}

// skips trains under a loss scaling: gradients multiplied by the scale, a power of 2, give the same bits as unscaled
// gradients. A step whose gradients are NaN, and which the state says to skip, changes nothing; nor does a step after
// the group's last epoch.
func skips(t *testing.T, rule Rule) {
	t.Helper()
	const steps = 4
	cfg := Config{Rule: rule, LR: 0.02, WeightDecay: 0.1}
	for range 2 {
		cfg.Decoupled = !cfg.Decoupled
		until := cfg
		until.Groups = []Group{{Match: "*", UntilEpoch: 3}} // steps 0, 1 and 2
		plain, scaled := composedRig(t), newScaledRig(t)
		o := must(New(plain.dev, plain.params, nil, cfg, nil, steps, 1))(t)
		s := must(New(scaled.dev, scaled.params, nil, until, nil, steps, 1))(t)
		for at := range 3 {
			if scaled.step(s, at, math.NaN(), 1) {
				t.Fatalf("the skipped step %d changed something", at)
			}
			for _, p := range plain.params {
				plain.upload(p.Grad, syntheticGradient(p, at))
			}
			if err := o.Step(at); err != nil {
				t.Fatal(err)
			}
			if !scaled.step(s, at, lossScale, 0) {
				t.Fatalf("step %d changed nothing", at)
			}
			if got, want := scaled.bits(s), plain.bits(o); !sameBits(got, want) {
				t.Fatalf("step %d: %v with a loss scaling, want %v", at, got, want)
			}
		}
		if scaled.step(s, 3, lossScale, 0) {
			t.Error("the step after the last epoch changed something")
		}
	}
}

// lossScale is the scale of a scaledRig's gradients.
const lossScale = 1024

// scaledRig is a rig whose gradients are multiplied by a loss scaling.
type scaledRig struct {
	*rig
	state *device.Tensor
}

func newScaledRig(t testing.TB) *scaledRig {
	r := composedRig(t)
	s := &scaledRig{r, r.param("scaling", "", device.ScalingLen).Value}
	for _, p := range r.params {
		p.Scaling = s.state
	}
	return s
}

// step takes a step with the gradients times a factor, and returns whether it changed anything.
func (r *scaledRig) step(o *Optimizer, at int, factor float64, skip float32) bool {
	r.t.Helper()
	before := r.bits(o)
	r.upload(r.state, []float32{lossScale, 1.0 / lossScale, skip, 0})
	for _, p := range r.params {
		g := syntheticGradient(p, at)
		for i := range g {
			g[i] *= float32(factor)
		}
		r.upload(p.Grad, g)
	}
	if err := o.Step(at); err != nil {
		r.t.Fatal(err)
	}
	return !sameBits(r.bits(o), before)
}

func must[T any](x T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

// variants are rules with a setting for which their update is composed.
func variants() []Rule {
	return []Rule{
		SGD{Momentum: 0.9, Dampening: 0.5}, Adam{AMSGrad: true}, AdamW{AMSGrad: true},
		RMSProp{Centered: true}, RMSProp{Centered: true, Momentum: 0.5},
	}
}

// TestVariantsSkip skips steps of composed variants.
func TestVariantsSkip(t *testing.T) {
	for _, rule := range variants() {
		skips(t, rule)
	}
}

// fixedMomentum is a schedule that sets the momentum, always to the same value.
type fixedMomentum struct {
	Constant
	momentum float64
}

func (fixedMomentum) ChangesMomentum() bool               { return true }
func (s fixedMomentum) Momentum(Progress) (float64, bool) { return s.momentum, true }

// TestScheduledMomentum sets the momentum by a schedule: every rule does what it does with that momentum of its own, up
// to the rounding of the two products of a weighted sum.
func TestScheduledMomentum(t *testing.T) {
	for _, c := range []struct{ scheduled, own Rule }{
		{SGD{}, SGD{Momentum: 0.7}},
		{SGD{Momentum: 0.1, Nesterov: true}, SGD{Momentum: 0.7, Nesterov: true}},
		{Adam{}, Adam{Beta1: 0.7}},
		{AdamW{AMSGrad: true}, AdamW{AMSGrad: true, Beta1: 0.7}},
		{RMSProp{}, RMSProp{Momentum: 0.7}},
		{RMSProp{Centered: true}, RMSProp{Centered: true, Momentum: 0.7}},
		{Lion{}, Lion{Beta1: 0.7}},
		{Muon{}, Muon{Momentum: 0.7}},
		{Muon{Momentum: 0.1, Nesterov: true}, Muon{Momentum: 0.7, Nesterov: true}},
	} {
		train := func(rule Rule, schedule Schedule) map[string][]float32 {
			r := composedRig(t)
			o := must(New(r.dev, r.params, nil, Config{Rule: rule, LR: 0.01}, schedule, 5, 1))(t)
			for step := range 5 {
				for _, p := range r.params {
					r.upload(p.Grad, syntheticGradient(p, step))
				}
				if err := o.Step(step); err != nil {
					t.Fatal(err)
				}
			}
			return r.bits(o)
		}
		got, want, without := train(c.scheduled, fixedMomentum{momentum: 0.7}), train(c.own, nil), train(c.scheduled, nil)
		changed := false
		for name, w := range want {
			for i := range w {
				if math.Abs(float64(got[name][i]-w[i])) > 1e-5 {
					t.Errorf("%#v: %s[%d] is %v, want %v", c.scheduled, name, i, got[name][i], w[i])
					break
				}
				changed = changed || len(without[name]) == 0 || math.Abs(float64(without[name][i]-w[i])) > 1e-3
			}
		}
		if !changed {
			t.Errorf("%#v: the momentum makes no difference", c.scheduled)
		}
	}
}

// TestRulesAllocateNothing checks that steps of every rule allocate nothing, under schedules that set the momentum and
// follow evaluations.
func TestRulesAllocateNothing(t *testing.T) {
	rules := variants()
	for _, kind := range RuleKinds() {
		rules = append(rules, kind.New())
	}
	cycle := Sequential{
		Schedules:  []Schedule{WarmUp{Steps: 3, Then: OneCycle{BaseMomentum: 0.8, MaxMomentum: 0.9}}, Plateau{}, CosineRestarts{First: 0.5, Growth: 2}},
		Milestones: []float64{0.5, 1},
	}
	for _, rule := range rules {
		var schedule Schedule = cycle
		switch rule.(type) {
		case AdaGrad: // it has no momentum
			schedule = Sequential{Schedules: []Schedule{Cosine{}, Plateau{}}, Milestones: []float64{0.5}}
		}
		r := composedRig(t)
		r.setGradients()
		o := must(New(r.dev, r.params, nil, Config{Rule: rule, LR: 1e-3, WeightDecay: 0.1}, schedule, 1000, 10))(t)
		o.AddEvaluation(Evaluation{Step: 5, Loss: 1})
		step := 0
		if allocs := testing.AllocsPerRun(20, func() {
			if err := o.Step(step); err != nil {
				t.Fatal(err)
			}
			step++
		}); allocs != 0 {
			t.Errorf("%#v: %v allocations per step", rule, allocs)
		}
	}
}
