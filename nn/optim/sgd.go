package optim

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// SGD is stochastic gradient descent, with g the gradient (plus the coupled weight decay):
//
//	v = momentum*v + (1-dampening)*g
//	w = w - LR*v                    or, with Nesterov, w - LR*(g + momentum*v)
//
// v, the velocity, begins at zero; without momentum no velocity is kept. Momentum is due to
// Polyak (1964). Nesterov's form is as in Sutskever et al., "On the importance of
// initialization and momentum in deep learning", ICML 2013, written as in PyTorch: LR is
// not part of v. Dampening is PyTorch's too: it doesn't apply to the first step, in which v = g, and excludes
// Nesterov's form. With a dampening as large as the momentum, v is a moving average of gradients.
//
// The fused update has no dampening; with it, the update is composed.
//
// Code: nn/device/reference/optimizer.go (the formula in loops), cpu/optimizer.go, kernels/optimizer.cu. Test:
// nn/device/devicetest/optimizer.go.
type SGD struct {
	Momentum  float64
	Nesterov  bool
	Dampening float64 `json:",omitempty"` // what is missing to 1 in the weight of a new gradient in the velocity
}

func sgdKind() RuleKind {
	return RuleKind{Name: "sgd", Doc: "stochastic gradient descent, with momentum", New: func() Rule { return SGD{} }}
}

// Kind returns "sgd".
func (SGD) Kind() string { return "sgd" }

// Settings declares the keys of recipes.
func (r *SGD) Settings(s *setting.List) {
	s.Float64(&r.Momentum, "momentum", 0, setting.ZeroToBelowOne, "weight of the old velocity")
	s.Bool(&r.Nesterov, "nesterov", "step by the gradient and the velocity after it")
	s.Float64(&r.Dampening, "dampening", 0, setting.ZeroToOne, "1 minus the weight of a new gradient in the velocity")
}

// Check returns an error if Nesterov or Dampening is set without momentum, or both are set.
func (r *SGD) Check() error {
	switch {
	case r.Dampening != 0 && r.Momentum == 0:
		return &setting.Error{Key: "dampening", Msg: "needs a momentum above 0"}
	case r.Dampening != 0 && r.Nesterov:
		return &setting.Error{Key: "dampening", Msg: "excludes nesterov"}
	}
	return checkNesterov(r.Momentum, r.Nesterov)
}

func checkNesterov(momentum float64, nesterov bool) error {
	if nesterov && momentum == 0 {
		return &setting.Error{Key: "nesterov", Msg: "needs a momentum above 0"}
	}
	return nil
}

// Build adds the fused update of all parameters, or with Dampening composes the update of each.
func (r SGD) Build(u *Update) error {
	if r.Dampening != 0 {
		r.buildDampened(u)
		return nil
	}
	momentum := u.Momentum(r.Momentum)
	spec := device.OptimizerSpec{Kind: device.SGD, Nesterov: r.Nesterov}
	for p := range u.Params() {
		slot := u.Slot(p)
		if r.Momentum != 0 || u.ChangesMomentum() {
			slot.State1 = u.State("sgd.velocity", p)
		}
		spec.Slots = append(spec.Slots, slot)
	}
	u.Fused(spec, func(hyper []float32, _ int) { hyper[device.HyperMomentum] = float32(momentum()) })
	return nil
}

// buildDampened composes the update of each parameter, with the two weights of the velocity as hyperparameters.
func (r SGD) buildDampened(u *Update) {
	momentum := u.Momentum(r.Momentum)
	for p := range u.Params() {
		v := u.State("sgd.velocity", p)
		g := u.Gradient(p)
		u.weightedSum(p, v, v, g) // v = momentum*v + (1-dampening)*g
		u.Descend(p, v)
	}
	u.EachStep(func(hyper []float32, step int) {
		hyper[device.HyperMomentum], hyper[device.HyperNewMomentum] = float32(momentum()), float32(1-r.Dampening)
		if step == 0 {
			hyper[device.HyperNewMomentum] = 1
		}
	})
}

// Elementwise marks a rule that treats every element by itself.
func (SGD) Elementwise() {}
