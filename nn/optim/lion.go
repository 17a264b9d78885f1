package optim

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// Lion steps in the direction of the sign of a mean of gradients, so that every weight moves by the learning rate (Chen
// et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, algorithm 2):
//
//	c = beta1*m + (1-beta1)*g
//	w = w - LR*(sign(c) + decay*w)
//	m = beta2*m + (1-beta2)*g
//
// m, the momentum, begins at zero. The weight decay is always decoupled. The paper's learning rates are three to ten
// times smaller than Adam's, and its weight decays larger by the same factor.
type Lion struct {
	Beta1 float64 // 0 means 0.9
	Beta2 float64 // 0 means 0.99
}

func lionKind() RuleKind {
	return RuleKind{Name: "lion", Doc: "steps by the sign of the momentum (Chen et al. 2023)", New: func() Rule { return Lion{} }}
}

// Kind returns "lion".
func (Lion) Kind() string { return "lion" }

// Settings declares the keys of recipes.
func (r *Lion) Settings(s *setting.List) {
	s.Float64(&r.Beta1, "beta1", 0.9, setting.BetweenZeroAndOne, "weight of the momentum in the direction")
	s.Float64(&r.Beta2, "beta2", 0.99, setting.BetweenZeroAndOne, "weight of the old momentum in the new one")
}

// Build composes the update of each parameter.
func (r Lion) Build(u *Update) error {
	beta1 := u.Momentum(r.Beta1)
	for p := range u.Params() {
		m := u.State("lion.m", p)
		g, d := u.Gradient(p), u.Scratch(p.Value.Shape()...)
		mean := func(beta float64) device.MapSpec { // beta*a + (1-beta)*b
			return device.MapSpec{Kind: device.MapAdd, B: device.AllAxes, Alpha: float32(beta), Beta: float32(1 - beta)}
		}
		if u.ChangesMomentum() {
			u.weightedSum(p, d, m, g)
		} else {
			u.Map(d, mean(r.Beta1), m, g)
		}
		u.Map(d, device.MapSpec{Kind: device.MapSign, Alpha: 1}, d, nil)
		u.Descend(p, d)
		u.Map(m, mean(r.Beta2), m, g)
	}
	u.EachStep(func(hyper []float32, _ int) {
		hyper[device.HyperMomentum], hyper[device.HyperNewMomentum] = float32(beta1()), float32(1-beta1())
	})
	return nil
}

func (Lion) decoupled() {}

// Elementwise marks a rule that treats every element by itself.
func (Lion) Elementwise() {}
