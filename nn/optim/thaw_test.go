package optim

import (
	"fmt"
	"slices"
	"testing"
)

// Parameters that thaw don't change before their epoch, averages and states included; then every rule begins as if training
// did, with the same bits.
func TestThawing(t *testing.T) {
	rules := variants()
	for _, k := range RuleKinds() {
		rules = append(rules, k.New())
	}
	for _, rule := range rules {
		for _, decoupled := range []bool{false, true} {
			cfg := Config{Rule: rule, LR: 0.02, WeightDecay: 0.1, Decoupled: decoupled, EMA: &EMA{Decay: 0.9}, Clip: Clip{MaxNorm: 0.5}}
			frozen, plain := composedRig(t), composedRig(t)
			for _, p := range frozen.params {
				p.Thaws = true
			}
			thaws := cfg
			thaws.ThawEpoch = 2
			o := must(New(frozen.dev, frozen.params, nil, thaws, nil, 4, 1))(t)
			s := must(New(plain.dev, plain.params, nil, cfg, nil, 4, 1))(t)
			first := frozen.bits(o)
			for at := range 2 {
				if err := o.Step(at); err != nil { // with gradients of 0
					t.Fatal(err)
				}
				if !sameBits(frozen.bits(o), first) {
					t.Fatalf("%s: step %d changed frozen parameters", rule.Kind(), at)
				}
			}
			for at := range 2 {
				for i, p := range plain.params {
					g := syntheticGradient(p, at)
					plain.upload(p.Grad, g)
					frozen.upload(frozen.params[i].Grad, g)
				}
				if err := o.Step(at + 2); err != nil {
					t.Fatal(err)
				}
				if err := s.Step(at); err != nil {
					t.Fatal(err)
				}
				if got, want := frozen.bits(o), plain.bits(s); !sameBits(got, want) {
					t.Fatalf("%s, decoupled %v: step %d after thawing gives %v, want %v", rule.Kind(), decoupled, at, got, want)
				}
			}
		}
	}
}

// Others in the same group train meanwhile.
func TestThawingKeepsTheGroups(t *testing.T) {
	r := newRig(t)
	r.params[1].Thaws = true // conv1.bias
	cfg := Config{Algorithm: "sgd", LR: 0.1, ThawEpoch: 1, Groups: []Group{{Match: "conv*", LRScale: scale(3)}, {Match: "whiten*"}}}
	o := must(New(r.dev, r.params, r.state, cfg, nil, 4, 2))(t)
	for at := range 3 {
		before := r.download(r.params[1].Value)
		weight := r.download(r.params[0].Value)
		r.setGradients()
		g := r.download(r.params[1].Grad)
		if at < 2 {
			r.dev.Zero(r.params[1].Grad)
		}
		if err := o.Step(at); err != nil {
			t.Fatal(err)
		}
		for i := range before {
			if at == 2 {
				before[i] -= float32(0.1*3) * g[i]
			}
		}
		if got := r.download(r.params[1].Value); fmt.Sprint(got) != fmt.Sprint(before) {
			t.Errorf("step %d: the bias is %v, want %v", at, got, before)
		}
		if slices.Equal(weight, r.download(r.params[0].Value)) {
			t.Errorf("step %d didn't change the weight", at)
		}
	}
}
