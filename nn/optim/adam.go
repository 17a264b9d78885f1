package optim

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// Adam is Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015,
// algorithm 1, with t counting steps from 1:
//
//	m = beta1*m + (1-beta1)*g
//	v = beta2*v + (1-beta2)*g^2
//	w = w - LR * m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + epsilon)
//
// m and v begin at zero; the divisions remove the resulting bias towards zero.
//
// Code: nn/device/reference/optimizer.go (the formula in loops), cpu/optimizer.go, kernels/optimizer.cu. Test: nn/device/devicetest/optimizer.go.
type Adam struct {
	Beta1   float64 // 0 means 0.9
	Beta2   float64 // 0 means 0.999
	Epsilon float64 // 0 means 1e-8
}

func adamKind() RuleKind {
	return RuleKind{Name: "adam", Doc: "steps of a size that adapts to each weight (Kingma and Ba 2015)", New: func() Rule { return Adam{} }}
}

// Kind returns "adam".
func (Adam) Kind() string { return "adam" }

// Settings declares the keys of recipes.
func (r *Adam) Settings(s *setting.List) {
	s.Float64(&r.Beta1, "beta1", 0.9, setting.BetweenZeroAndOne, "weight of the old mean of gradients")
	s.Float64(&r.Beta2, "beta2", 0.999, setting.BetweenZeroAndOne, "weight of the old mean of squared gradients")
	s.Float64(&r.Epsilon, "epsilon", 1e-8, setting.Positive, "added to the root of that mean")
}

// Build adds the fused update of all parameters.
func (r Adam) Build(u *Update) error {
	spec := device.OptimizerSpec{Kind: device.Adam, Epsilon: float32(r.Epsilon)}
	for p := range u.Params() {
		slot := u.Slot(p)
		slot.State1, slot.State2 = u.State("adam.m", p), u.State("adam.v", p)
		spec.Slots = append(spec.Slots, slot)
	}
	u.Fused(spec, func(hyper []float32, step int) {
		device.SetBetas(hyper, r.Beta1, r.Beta2)
		hyper[device.HyperCorrection1] = float32(correction(r.Beta1, step))
		hyper[device.HyperCorrection2] = float32(correction(r.Beta2, step))
	})
	return nil
}

// correction is 1/(1-beta^t) for the step, which counts from 0.
func correction(beta float64, step int) float64 {
	return 1 / (1 - math.Pow(beta, float64(step+1)))
}
