package optim

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/device"
)

// rig is a few parameters on a device, with the gradients of a fixed quadratic:
// grad[i] = curvature[i]*(w[i] - target[i]), computed on the host before each step.
type rig struct {
	t             testing.TB
	dev           device.Device
	params, state []*nn.Param
}

func newRig(t testing.TB) *rig {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	r := &rig{t: t, dev: dev}
	r.params = []*nn.Param{
		r.param("conv1.weight", nn.Weight, 3, 2, 2, 1), r.param("conv1.bias", nn.Bias, 3),
		r.param("norm1.gain", nn.Gain, 5), r.param("dense1.weight", nn.Weight, 7, 3),
	}
	frozen := r.param("whiten.weight", nn.Weight, 4)
	frozen.Grad = nil
	r.params = append(r.params, frozen)
	mean := r.param("norm1.running-mean", "", 5)
	mean.Grad = nil
	r.state = []*nn.Param{mean}
	return r
}

func (r *rig) param(name string, role nn.Role, shape ...int) *nn.Param {
	p := &nn.Param{Name: name, Role: role}
	for _, at := range []**device.Tensor{&p.Value, &p.Grad} {
		tensor, err := r.dev.NewTensor(device.Float32, shape...)
		if err != nil {
			r.t.Fatal(err)
		}
		*at = tensor
	}
	values := make([]float32, p.Value.Len())
	for i := range values {
		values[i] = float32(math.Sin(float64(i + len(name))))
	}
	r.upload(p.Value, values)
	return p
}

func (r *rig) upload(t *device.Tensor, values []float32) {
	r.t.Helper()
	if err := r.dev.Upload(t, device.Bytes(values)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) download(t *device.Tensor) []float32 {
	r.t.Helper()
	values := make([]float32, t.Len())
	if err := r.dev.Download(device.Bytes(values), t); err != nil {
		r.t.Fatal(err)
	}
	return values
}

func gradient(w float64, i int) float64 { return (0.5 + 0.1*float64(i)) * (w - 0.3) }

// setGradients computes the gradients from the values.
func (r *rig) setGradients() {
	for _, p := range r.params {
		if p.Grad == nil {
			continue
		}
		values := r.download(p.Value)
		for i, w := range values {
			values[i] = float32(gradient(float64(w), i))
		}
		r.upload(p.Grad, values)
	}
}

func scale(x float64) *float64 { return &x }

// testGroups: conv1.bias learns fast and doesn't decay, norm1.gain stops after epoch 1.
func testGroups() []Group {
	return []Group{
		{Match: "conv*", Role: nn.Bias, LRScale: scale(3), DecayScale: scale(0)},
		{Role: nn.Gain, UntilEpoch: 1},
	}
}

// reference runs the update rules in float64, one weight at a time, as given in the papers.
// update returns the new weight from w, the gradient, the state a, b and the learning rate.
func reference(r *rig, c Config, steps, perEpoch int, schedule Schedule) [][]float64 {
	var all [][]float64
	for _, p := range r.params {
		var out []float64
		lrScale, decay, until := 1.0, c.WeightDecay, math.Inf(1)
		switch {
		case len(c.Groups) == 0:
		case p.Name == "conv1.bias":
			lrScale, decay = 3, 0
		case p.Name == "norm1.gain":
			until = 1
		}
		for i, v := range r.download(p.Value) {
			w, a, b := float64(v), 0.0, 0.0
			for step := 0; step < steps && p.Grad != nil && float64(step)/float64(perEpoch) < until; step++ {
				lr := c.LR * lrScale * schedule.Factor(Progress{Step: step, Total: steps, StepsPerEpoch: perEpoch})
				g := gradient(w, i)
				if c.Decoupled || c.Algorithm == "adamw" {
					w -= lr * decay * w
				} else {
					g += decay * w
				}
				switch c.Algorithm {
				case "sgd":
					a = c.Momentum*a + g
					d := a
					if c.Nesterov {
						d = g + c.Momentum*a
					}
					w -= lr * d
				case "adam", "adamw":
					t := float64(step + 1)
					a = 0.9*a + 0.1*g
					b = 0.999*b + 0.001*g*g
					w -= lr * (a / (1 - math.Pow(0.9, t))) / (math.Sqrt(b/(1-math.Pow(0.999, t))) + 1e-8)
				case "rmsprop":
					a = 0.99*a + 0.01*g*g
					b = c.Momentum*b + g/(math.Sqrt(a)+1e-8)
					w -= lr * b
				}
			}
			out = append(out, w)
		}
		all = append(all, out)
	}
	return all
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
	}{
		{"sgd", Config{Algorithm: "sgd", LR: 0.1}},
		{"sgd, decay", Config{Algorithm: "sgd", LR: 0.1, WeightDecay: 0.2}},
		{"sgd, decoupled decay", Config{Algorithm: "sgd", LR: 0.1, WeightDecay: 0.2, Decoupled: true}},
		{"sgd, momentum", Config{Algorithm: "sgd", LR: 0.1, Momentum: 0.8, WeightDecay: 0.1}},
		{"sgd, nesterov", Config{Algorithm: "sgd", LR: 0.1, Momentum: 0.8, Nesterov: true, WeightDecay: 0.1}},
		{"adam", Config{Algorithm: "adam", LR: 0.02}},
		{"adam, decay", Config{Algorithm: "adam", LR: 0.02, WeightDecay: 0.3}},
		{"adamw", Config{Algorithm: "adamw", LR: 0.02, WeightDecay: 0.3}},
		{"rmsprop", Config{Algorithm: "rmsprop", LR: 0.01}},
		{"rmsprop, momentum", Config{Algorithm: "rmsprop", LR: 0.01, Momentum: 0.7, WeightDecay: 0.1}},
	} {
		for _, groups := range [][]Group{nil, testGroups()} {
			name := c.name
			if groups != nil {
				name += ", groups"
			}
			t.Run(name, func(t *testing.T) {
				const steps, perEpoch = 9, 4
				r := newRig(t)
				cfg := c.cfg
				cfg.Groups = groups
				schedule := Cosine{Final: 0.1}
				want := reference(r, cfg, steps, perEpoch, schedule)
				o, err := New(r.dev, r.params, r.state, cfg, schedule, steps, perEpoch)
				if err != nil {
					t.Fatal(err)
				}
				for step := range steps {
					r.setGradients()
					if err := o.Step(step); err != nil {
						t.Fatal(err)
					}
				}
				for k, p := range r.params {
					for i, got := range r.download(p.Value) {
						if math.Abs(float64(got)-want[k][i]) > 3e-6 {
							t.Fatalf("%s[%d] = %v, want %v", p.Name, i, got, want[k][i])
						}
					}
				}
			})
		}
	}
}

// TestGroupsHaveRules updates the filters with Adam, and the other weights with SGD with a momentum of their own: each
// parameter changes as it does if its rule applies to all parameters.
func TestGroupsHaveRules(t *testing.T) {
	const steps = 5
	train := func(cfg Config) map[string][]float32 {
		r := newRig(t)
		o, err := New(r.dev, r.params, r.state, cfg, Cosine{}, steps, 2)
		if err != nil {
			t.Fatal(err)
		}
		for step := range steps {
			r.setGradients()
			if err := o.Step(step); err != nil {
				t.Fatal(err)
			}
		}
		all := map[string][]float32{}
		for _, p := range r.params {
			all[p.Name] = r.download(p.Value)
		}
		for _, n := range o.Tensors() {
			all[n.Name] = r.download(n.Tensor)
		}
		return all
	}
	filters := Config{Rule: Adam{Beta1: 0.8}, LR: 0.02, WeightDecay: 0.1, Decoupled: true}
	dense := Config{Rule: SGD{Momentum: 0.5, Nesterov: true}, LR: 0.03}
	rest := Config{Rule: SGD{Momentum: 0.9}, LR: 0.1, WeightDecay: 0.2}
	mixed := rest
	mixed.Groups = []Group{
		{Match: "conv*.weight", Rule: &Adam{Beta1: 0.8}, LR: 0.02, WeightDecay: 0.1, Decoupled: true},
		{Role: nn.Weight, Rule: dense.Rule, LR: 0.03},
	}
	got := train(mixed)
	for _, c := range []struct {
		cfg   Config
		names []string
	}{
		{filters, []string{"conv1.weight", "adam.m.conv1.weight", "adam.v.conv1.weight"}},
		{dense, []string{"dense1.weight", "sgd.velocity.dense1.weight"}},
		{rest, []string{"conv1.bias", "norm1.gain", "sgd.velocity.conv1.bias", "sgd.velocity.norm1.gain"}},
	} {
		want := train(c.cfg)
		for _, name := range c.names {
			if !slices.Equal(got[name], want[name]) || want[name] == nil {
				t.Errorf("%s is %v, want %v", name, got[name], want[name])
			}
		}
	}
	if n := len(got); n != 5+2+1+2 {
		t.Errorf("%d tensors, want the 5 parameters, Adam's 2, SGD's 1 and 2", n)
	}
}

// TestGroupsHaveSchedules gives the filters a schedule of their own: every parameter changes as it does if its schedule
// is that of all parameters, also the momentum.
func TestGroupsHaveSchedules(t *testing.T) {
	const steps = 6
	train := func(cfg Config, schedule Schedule) map[string][]float32 {
		r := newRig(t)
		o := must(New(r.dev, r.params, r.state, cfg, schedule, steps, 2))(t)
		if o.NeedsEvaluations() != (len(cfg.Groups) > 0) {
			t.Errorf("needs evaluations: %v", o.NeedsEvaluations())
		}
		for step := range steps {
			r.setGradients()
			if step > 0 && step%2 == 0 {
				o.AddEvaluation(Evaluation{Step: step, Loss: 1})
			}
			if err := o.Step(step); err != nil {
				t.Fatal(err)
			}
		}
		all := map[string][]float32{}
		for _, p := range r.params {
			all[p.Name] = r.download(p.Value)
		}
		return all
	}
	cfg := Config{Rule: SGD{Momentum: 0.5}, LR: 0.1}
	cycle, steep := OneCycle{BaseMomentum: 0.2, MaxMomentum: 0.7}, Step{Gamma: 0.5, Every: 0.5}
	mixed := cfg
	mixed.Groups = []Group{
		{Match: "conv*", Schedule: cycle}, {Role: nn.Gain, Schedule: steep, LRScale: scale(1)}, {Match: "dense*", Schedule: Plateau{Gamma: 0.5}},
	}
	got, cycled, dropped := train(mixed, Constant{}), train(cfg, cycle), train(cfg, steep)
	for name, want := range map[string][]float32{
		"conv1.weight": cycled["conv1.weight"], "conv1.bias": cycled["conv1.bias"], "norm1.gain": dropped["norm1.gain"],
	} {
		if !slices.Equal(got[name], want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if constant := train(cfg, Constant{}); slices.Equal(got["dense1.weight"], constant["dense1.weight"]) {
		t.Error("the plateau had no effect")
	}
}

// TestUntilFractionOfAnEpoch freezes a group after 0.1 epochs of 30 steps, which in floating point are a little more
// than 3 steps.
func TestUntilFractionOfAnEpoch(t *testing.T) {
	r := newRig(t)
	o := must(New(r.dev, r.params, nil, Config{Algorithm: "sgd", LR: 0.1, Groups: []Group{{Match: "*", UntilEpoch: 0.1}}}, nil, 60, 30))(t)
	for step := range 5 {
		r.setGradients()
		before := r.bits(o)
		if err := o.Step(step); err != nil {
			t.Fatal(err)
		}
		if moved := !sameBits(r.bits(o), before); moved != (step < 3) {
			t.Errorf("step %d: moved %v", step, moved)
		}
	}
}

// TestBetasNearOne takes ten steps with gradients that don't depend on the weights, and holds the weights to the papers'
// formulas in float64: by 1e-6 of the way that they went, also where float32 would have few digits of 1-beta, or none.
func TestBetasNearOne(t *testing.T) {
	const steps, lr, epsilon = 10, 0.01, 1e-8
	for _, algorithm := range []string{"adam", "adamw", "rmsprop"} {
		for _, beta2 := range []float64{0.9, 0.999, 0.99999, 0.9999999, 0.99999999} {
			r := newRig(t)
			p := r.params[0]
			cfg := Config{Algorithm: algorithm, LR: lr, Beta2: beta2}
			o, err := New(r.dev, []*nn.Param{p}, nil, cfg, nil, steps, 1)
			if err != nil {
				t.Fatal(err)
			}
			start := r.download(p.Value)
			want, m, v := make([]float64, len(start)), make([]float64, len(start)), make([]float64, len(start))
			way := make([]float64, len(start))
			for step := range steps {
				g := make([]float32, len(start))
				for i := range g {
					g[i] = float32(1 + math.Sin(float64(i+3*step))/2)
					g64 := float64(g[i])
					m[i] = 0.9*m[i] + (1-0.9)*g64
					v[i] = beta2*v[i] + (1-beta2)*g64*g64
					update := g64 / (math.Sqrt(v[i]) + epsilon)
					if algorithm != "rmsprop" {
						t := float64(step + 1)
						update = m[i] / (1 - math.Pow(0.9, t)) / (math.Sqrt(v[i]/(1-math.Pow(beta2, t))) + epsilon)
					}
					want[i] -= lr * update
					way[i] += lr * update
				}
				r.upload(p.Grad, g)
				if err := o.Step(step); err != nil {
					t.Fatal(err)
				}
			}
			for i, got := range r.download(p.Value) {
				const unit = 1.0 / (1 << 24)
				rounding := steps * unit * (math.Abs(float64(start[i])) + way[i]) // of the weight itself, in each step
				if d := math.Abs(float64(got) - float64(start[i]) - want[i]); !(d <= 1e-6*way[i]+rounding) {
					t.Errorf("%s, beta2 %v: weight %d went %v, want %v: %.2g of the way off", algorithm, beta2, i,
						float64(got)-float64(start[i]), want[i], d/way[i])
					break
				}
			}
		}
	}
}

func TestClip(t *testing.T) {
	r := newRig(t)
	o, err := New(r.dev, r.params, nil, Config{Algorithm: "sgd", LR: 1, Clip: Clip{MaxNorm: 0.5, MaxValue: 0.1}}, nil, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	r.setGradients()
	norm := 0.0
	var before [][]float32
	for _, p := range r.params[:4] {
		before = append(before, r.download(p.Value))
		for _, g := range r.download(p.Grad) {
			norm += float64(g) * float64(g)
		}
	}
	norm = math.Sqrt(norm)
	if norm < 1 {
		t.Fatalf("the gradients' norm is %v, too small for the test", norm)
	}
	if err := o.Step(0); err != nil {
		t.Fatal(err)
	}
	for k, p := range r.params[:4] {
		for i, got := range r.download(p.Value) {
			g := gradient(float64(before[k][i]), i) * 0.5 / norm
			want := float64(before[k][i]) - max(-0.1, min(0.1, g))
			if math.Abs(float64(got)-want) > 1e-6 {
				t.Fatalf("%s[%d] = %v, want %v", p.Name, i, got, want)
			}
		}
	}
}

// TestClipIsOverAllGroups limits gradients whose parameters have three rules: the norm is over all of them together.
func TestClipIsOverAllGroups(t *testing.T) {
	r := newRig(t)
	o, err := New(r.dev, r.params, nil, Config{
		Rule: SGD{}, LR: 1, Clip: Clip{MaxNorm: 0.5},
		Groups: []Group{{Role: nn.Weight, Rule: Lion{}, LR: 0.1}, {Role: nn.Bias, Rule: Adam{}, LR: 0.1}},
	}, nil, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	r.setGradients()
	squares := 0.0
	var before [][]float32
	for _, p := range r.params[:4] {
		before = append(before, r.download(p.Grad))
		for _, g := range before[len(before)-1] {
			squares += float64(g) * float64(g)
		}
	}
	if err := o.Step(0); err != nil {
		t.Fatal(err)
	}
	for k, p := range r.params[:4] {
		for i, got := range r.download(p.Grad) {
			if want := float64(before[k][i]) * 0.5 / math.Sqrt(squares); math.Abs(float64(got)-want) > 1e-6 {
				t.Fatalf("gradient of %s[%d] = %v, want %v", p.Name, i, got, want)
			}
		}
	}
}

func TestLookaheadDecay(t *testing.T) {
	constant := &Lookahead{Every: 3, Decay: 0.5}
	airbench := &Lookahead{Every: 5, Base: 0.95, Power: 3}
	for _, c := range []struct {
		l           *Lookahead
		step, total int
		decay       float64
		due         bool
	}{
		{constant, 0, 10, 0, false},
		{constant, 2, 10, 0.5, true},
		{constant, 9, 10, 1, true},
		{constant, 8, 9, 0.5, true},
		{airbench, 3, 100, 0, false},
		{airbench, 4, 100, math.Pow(0.95, 5) * 0.05 * 0.05 * 0.05, true},
		{airbench, 49, 100, math.Pow(0.95, 5) / 8, true},
		{airbench, 100, 101, 1, true},
	} {
		decay, due := c.l.decay(c.step, c.total)
		if due != c.due || due && math.Abs(decay-c.decay) > 1e-15 {
			t.Errorf("%+v: step %d of %d: %v, %v, want %v, %v", *c.l, c.step, c.total, decay, due, c.decay, c.due)
		}
	}
}

// TestAverages moves the weights by hand and compares Lookahead and EMA with their formulas.
func TestAverages(t *testing.T) {
	const steps = 7
	r := newRig(t)
	o, err := New(r.dev, r.params, r.state, Config{
		Algorithm: "sgd", LR: 0.1, Lookahead: &Lookahead{Every: 3, Decay: 0.25}, EMA: &EMA{Decay: 0.9},
	}, nil, steps, 3)
	if err != nil {
		t.Fatal(err)
	}
	watched := []*nn.Param{r.params[0], r.state[0]}
	var w, slow, ema [2]float64
	for k, p := range watched {
		w[k] = float64(r.download(p.Value)[1])
		slow[k], ema[k] = w[k], w[k]
	}
	for step := range steps {
		r.setGradients()
		for k, p := range watched {
			values := r.download(p.Value)
			values[1] += 0.1 // what batch normalisation does to state
			r.upload(p.Value, values)
			w[k] = float64(values[1])
			if p.Grad != nil {
				w[k] -= 0.1 * float64(r.download(p.Grad)[1])
			}
			switch t := step + 1; {
			case t%3 == 0:
				slow[k] = 0.25*slow[k] + 0.75*w[k]
				w[k] = slow[k]
			case t == steps:
				w[k] = slow[k]
			}
			ema[k] = 0.9*ema[k] + 0.1*w[k]
		}
		if err := o.Step(step); err != nil {
			t.Fatal(err)
		}
		for k, p := range watched {
			if got := float64(r.download(p.Value)[1]); math.Abs(got-w[k]) > 1e-6 {
				t.Fatalf("step %d: %s = %v, want %v", step, p.Name, got, w[k])
			}
		}
	}
	before := r.download(r.params[0].Value)
	o.SwapIn()
	o.SwapIn() // the second does nothing
	for k, p := range watched {
		if got := float64(r.download(p.Value)[1]); math.Abs(got-ema[k]) > 1e-6 {
			t.Errorf("average of %s = %v, want %v", p.Name, got, ema[k])
		}
	}
	o.SwapOut()
	if after := r.download(r.params[0].Value); !slices.Equal(before, after) {
		t.Error("SwapOut did not bring the weights back")
	}
}

// TestEMADecayNearOne has a decay that float32 rounds to 1: the average moves all the same.
func TestEMADecayNearOne(t *testing.T) {
	r := newRig(t)
	p := r.params[0]
	o, err := New(r.dev, []*nn.Param{p}, nil, Config{Algorithm: "sgd", LR: 1, EMA: &EMA{Decay: 0.99999999}}, nil, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	r.upload(p.Value, make([]float32, p.Value.Len()))
	g := make([]float32, p.Value.Len())
	for i := range g {
		g[i] = -1e6
	}
	r.upload(p.Grad, g)
	average := o.Tensors()[0].Tensor
	r.upload(average, make([]float32, len(g)))
	if err := o.Step(0); err != nil {
		t.Fatal(err)
	}
	for i, got := range r.download(average) {
		if math.Abs(float64(got)-0.01) > 1e-8 {
			t.Fatalf("average %d is %v, want 0.01", i, got)
		}
	}
}

func TestTensorNames(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want []string
	}{
		{Config{Algorithm: "sgd", LR: 1}, nil},
		{Config{Algorithm: "sgd", LR: 1, Momentum: 0.9}, []string{"sgd.velocity."}},
		{Config{Algorithm: "adamw", LR: 1}, []string{"adam.m.", "adam.v."}},
		{Config{Algorithm: "rmsprop", LR: 1, Momentum: 0.9}, []string{"rmsprop.v.", "rmsprop.u."}},
	} {
		r := newRig(t)
		c.cfg.EMA = &EMA{Decay: 0.5}
		o, err := New(r.dev, r.params, r.state, c.cfg, nil, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, n := range o.Tensors() {
			got = append(got, n.Name)
		}
		for _, p := range []string{"conv1.weight", "conv1.bias", "norm1.gain", "dense1.weight"} {
			for _, prefix := range c.want {
				want = append(want, prefix+p)
			}
		}
		for _, p := range []string{"conv1.weight", "conv1.bias", "norm1.gain", "dense1.weight", "norm1.running-mean"} {
			want = append(want, "ema."+p)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: tensors %v, want %v", c.cfg.Algorithm, got, want)
		}
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	r := newRig(t)
	o, err := New(r.dev, r.params, r.state, Config{
		Algorithm: "adam", LR: 0.1, Groups: testGroups(), Clip: Clip{MaxNorm: 1, MaxValue: 1},
		Lookahead: &Lookahead{Every: 2, Decay: 0.5}, EMA: &EMA{Decay: 0.9},
	}, WarmUp{Steps: 5, Then: OneCycle{}}, 1000, 10)
	if err != nil {
		t.Fatal(err)
	}
	step := 0
	allocs := testing.AllocsPerRun(50, func() {
		if err := o.Step(step); err != nil {
			t.Fatal(err)
		}
		o.SwapIn()
		o.SwapOut()
		step++
	})
	if allocs != 0 {
		t.Errorf("%v allocations a step", allocs)
	}
}

func TestNewRefuses(t *testing.T) {
	sgd := func(edit func(*Config)) Config {
		c := Config{Algorithm: "sgd", LR: 0.1}
		edit(&c)
		return c
	}
	for _, c := range []struct {
		name     string
		cfg      Config
		schedule Schedule
		says     string
	}{
		{"algorithm", Config{Algorithm: "sdg", LR: 1}, nil, `unknown algorithm "sdg" (valid: sgd, adam, adamw, rmsprop`},
		{"no algorithm", Config{LR: 1}, nil, "valid: sgd"},
		{"rate", Config{Algorithm: "adam"}, nil, "learning rate is 0"},
		{"NaN rate", Config{Algorithm: "adam", LR: math.NaN()}, nil, "learning rate is NaN"},
		{"momentum", sgd(func(c *Config) { c.Momentum = 1 }), nil, "sgd: momentum: want a number from 0 to below 1, got 1"},
		{"adam's momentum", Config{Algorithm: "adam", LR: 1, Momentum: 0.9}, nil, "adam has no setting momentum"},
		{"nesterov", sgd(func(c *Config) { c.Nesterov = true }), nil, "nesterov needs a momentum"},
		{"rmsprop's nesterov", Config{Algorithm: "rmsprop", LR: 1, Nesterov: true}, nil, "rmsprop has no setting nesterov"},
		{"beta", Config{Algorithm: "adam", LR: 1, Beta2: 1}, nil, "adam: beta2: want a number between 0 and 1, got 1"},
		{"decay", sgd(func(c *Config) { c.WeightDecay = -1 }), nil, "weight decay is -1"},
		{"clip", sgd(func(c *Config) { c.Clip.MaxNorm = -1 }), nil, "max-norm is -1"},
		{"lookahead", sgd(func(c *Config) { c.Lookahead = &Lookahead{} }), nil, "every is 0"},
		{"lookahead twice", sgd(func(c *Config) { c.Lookahead = &Lookahead{Every: 1, Decay: 0.5, Base: 0.5} }), nil, "one of decay"},
		{"ema", sgd(func(c *Config) { c.EMA = &EMA{Decay: 1} }), nil, "decay is 1"},
		{"no match", sgd(func(c *Config) { c.Groups = []Group{{Match: "norm*.bias"}} }), nil,
			`group "norm*.bias" has no parameters, or those before it have them all (trained parameters: conv1.weight, conv1.bias, norm1.gain, dense1.weight)`},
		{"shadowed", sgd(func(c *Config) { c.Groups = []Group{{Match: "conv1.*"}, {Match: "conv1.bias"}} }), nil, `group "conv1.bias" has no`},
		{"group without a rate", sgd(func(c *Config) { c.Groups = []Group{{Match: "conv*", Rule: Adam{}}} }), nil, `group "conv*": learning rate is 0`},
		{"group with a rate only", sgd(func(c *Config) { c.Groups = []Group{{Match: "conv*", LR: 1}} }), nil, `group "conv*": it has a learning rate`},
		{"group's rule", sgd(func(c *Config) { c.Groups = []Group{{Match: "conv*", Rule: Adam{Beta1: 2}, LR: 1}} }), nil,
			`group "conv*": adam: beta1 is 2, needs a number between 0 and 1`},
		{"rule and algorithm", Config{Rule: Adam{}, Algorithm: "sgd", LR: 1}, nil, "the rule is adam, and there are settings beside it"},
		{"rule and a setting", Config{Rule: SGD{}, Momentum: 0.9, LR: 1}, nil, "put them into the rule"},
		{"pattern", sgd(func(c *Config) { c.Groups = []Group{{Match: "[x"}} }), nil, "syntax error in pattern"},
		{"dampening", Config{Rule: SGD{Dampening: 0.5}, LR: 1}, nil, "sgd: dampening needs a momentum above 0"},
		{"dampening and nesterov", Config{Rule: SGD{Momentum: 0.9, Nesterov: true, Dampening: 0.5}, LR: 1}, nil, "dampening excludes nesterov"},
		{"momentum of adagrad", Config{Rule: AdaGrad{}, LR: 1}, WarmUp{Steps: 2, Then: OneCycle{BaseMomentum: 0.8, MaxMomentum: 0.9}},
			"the schedule changes the momentum, and adagrad has none"},
		{"group's schedule", sgd(func(c *Config) { c.Groups = []Group{{Match: "conv*", Schedule: Step{}}} }), nil, `group "conv*": schedule: gamma is 0`},
		{"schedule", sgd(func(*Config) {}), WarmUp{}, "schedule: want one of warm-up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			_, err := New(r.dev, r.params, r.state, c.cfg, c.schedule, 10, 5)
			var wrong *ConfigError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want a ConfigError with %q", err, c.says)
			}
		})
	}
}
