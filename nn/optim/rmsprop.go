package optim

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// RMSProp divides the gradient by its running root mean square (Hinton, "Neural Networks for
// Machine Learning", lecture 6e, 2012):
//
//	v = beta2*v + (1-beta2)*g^2
//	w = w - LR * g/(sqrt(v) + epsilon)
//
// and with momentum
//
//	u = momentum*u + g/(sqrt(v) + epsilon)
//	w = w - LR*u
//
// Code: nn/device/reference/optimizer.go (the formula in loops), cpu/optimizer.go, kernels/optimizer.cu. Test: nn/device/devicetest/optimizer.go.
type RMSProp struct {
	Momentum float64
	Beta2    float64 // 0 means 0.99
	Epsilon  float64 // 0 means 1e-8
}

func rmsPropKind() RuleKind {
	return RuleKind{Name: "rmsprop", Doc: "gradient divided by a running root mean square (Hinton 2012)", New: func() Rule { return RMSProp{} }}
}

// Kind returns "rmsprop".
func (RMSProp) Kind() string { return "rmsprop" }

// Settings declares the keys of recipes.
func (r *RMSProp) Settings(s *setting.List) {
	s.Float64(&r.Momentum, "momentum", 0, setting.ZeroToBelowOne, "weight of the old direction")
	s.Float64(&r.Beta2, "beta2", 0.99, setting.BetweenZeroAndOne, "weight of the old mean of squared gradients")
	s.Float64(&r.Epsilon, "epsilon", 1e-8, setting.Positive, "added to the root of that mean")
}

// Build adds the fused update of all parameters.
func (r RMSProp) Build(u *Update) error {
	spec := device.OptimizerSpec{Kind: device.RMSProp, Epsilon: float32(r.Epsilon)}
	for p := range u.Params() {
		slot := u.Slot(p)
		slot.State1 = u.State("rmsprop.v", p)
		if r.Momentum != 0 {
			slot.State2 = u.State("rmsprop.u", p)
		}
		spec.Slots = append(spec.Slots, slot)
	}
	u.Fused(spec, func(hyper []float32, _ int) {
		device.SetBetas(hyper, r.Momentum, r.Beta2)
	})
	return nil
}
