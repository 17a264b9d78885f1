package optim

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// SGD is stochastic gradient descent, with g the gradient (plus the coupled weight decay):
//
//	v = momentum*v + g
//	w = w - LR*v                    or, with Nesterov, w - LR*(g + momentum*v)
//
// v, the velocity, begins at zero; without momentum no velocity is kept. Momentum is due to
// Polyak (1964). Nesterov's form is as in Sutskever et al., "On the importance of
// initialization and momentum in deep learning", ICML 2013, written as in PyTorch: LR is
// not part of v.
//
// Code: nn/device/reference/optimizer.go (the formula in loops), cpu/optimizer.go, kernels/optimizer.cu. Test: nn/device/devicetest/optimizer.go.
type SGD struct {
	Momentum float64
	Nesterov bool
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
}

// Check returns an error if Nesterov is set without momentum.
func (r *SGD) Check() error { return checkNesterov(r.Momentum, r.Nesterov) }

func checkNesterov(momentum float64, nesterov bool) error {
	if nesterov && momentum == 0 {
		return &setting.Error{Key: "nesterov", Msg: "needs a momentum above 0"}
	}
	return nil
}

// Build adds the fused update of all parameters.
func (r SGD) Build(u *Update) error {
	spec := device.OptimizerSpec{Kind: device.SGD, Nesterov: r.Nesterov}
	for p := range u.Params() {
		slot := u.Slot(p)
		if r.Momentum != 0 {
			slot.State1 = u.State("sgd.velocity", p)
		}
		spec.Slots = append(spec.Slots, slot)
	}
	u.Fused(spec, func(hyper []float32, _ int) { hyper[device.HyperMomentum] = float32(r.Momentum) })
	return nil
}
