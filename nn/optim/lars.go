package optim

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// LARS is momentum with a learning rate of its own for each layer, for large batches (You, Gitman and Ginsburg, "Large Batch
// Training of Convolutional Networks", arXiv:1708.03888, 2017, algorithm 1):
//
//	ratio = trust |w| / (|g| + decay |w|)          1 if |w| or |g| is 0
//	v = momentum*v + ratio*(g + decay*w)
//	w = w - LR*v                                   or, with Nesterov, w - LR*(ratio*(g + decay*w) + momentum*v)
//
// v begins at zero. The paper has the learning rate in the line of v; here it is outside, as in this package's other rules, so that
// a change of the rate acts on the whole step (Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 3). Parameters of one
// dimension have the ratio 1. With a decoupled weight decay, decay is 0 in the first two lines.
//
// The learning rate is larger than that of plain momentum, because trust is small: the paper trains ResNet-50 in batches of
// 32,768 with a rate of up to 29 that warms up over 5 epochs (schedule key warm-up) and falls to 0 as a polynomial of power 2.
type LARS struct {
	Momentum float64 // 0 means 0.9
	Trust    float64 // 0 means 0.001
	Nesterov bool
}

func larsKind() RuleKind {
	return RuleKind{Name: "lars", Doc: "momentum with steps in proportion to each layer's weights, for large batches (You et al. 2017)", New: func() Rule { return LARS{} }}
}

// Kind returns "lars".
func (LARS) Kind() string { return "lars" }

// Settings declares the keys of recipes.
func (r *LARS) Settings(s *setting.List) {
	s.Float64(&r.Momentum, "momentum", 0.9, setting.BetweenZeroAndOne, "weight of the old velocity")
	s.Float64(&r.Trust, "trust", 0.001, setting.Positive, "length of a layer's step relative to its weights, at a learning rate of 1")
	s.Bool(&r.Nesterov, "nesterov", "step by the gradient and the velocity after it")
}

// Build composes the update of each parameter.
func (r LARS) Build(u *Update) error {
	momentum := u.Momentum(r.Momentum)
	u.EachStep(func(hyper []float32, _ int) {
		hyper[device.HyperMomentum], hyper[device.HyperNewMomentum] = float32(momentum()), 1
	})
	one := u.constant(1)
	for p := range u.Params() {
		v := u.State("lars.velocity", p)
		g := r.scaledGradient(u, p, one)
		u.weightedSum(p, v, v, g) // v = momentum*v + g
		d := v
		if r.Nesterov {
			d = u.Scratch(p.Value.Shape()...)
			u.weightedSum(p, d, v, g)
		}
		u.Descend(p, d)
	}
	return nil
}

// scaledGradient returns ratio*(g + decay*w).
func (r LARS) scaledGradient(u *Update, p Param, one *device.Tensor) *device.Tensor {
	g := u.Gradient(p)
	if !adapts(p) {
		return g
	}
	decay := p.decay
	if u.decoupled {
		decay = 0
	}
	ratio := u.trustRatio(p, u.lossGradient(p), one, r.Trust, decay)
	d := u.Scratch(p.Value.Shape()...)
	u.Map(d, device.MapSpec{Kind: device.MapMul, B: device.NoAxes, Alpha: 1}, g, ratio)
	return d
}
