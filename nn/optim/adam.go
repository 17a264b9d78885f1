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
// With AMSGrad the largest v so far takes the place of v in the last line, so that steps can't become longer again
// (Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond", ICLR 2018, algorithm 2, with the bias correction of
// PyTorch):
//
//	vmax = max(vmax, v)
//
// The fused update has no vmax; with AMSGrad, the update is composed.
//
// Code: nn/device/reference/optimizer.go (the formula in loops), cpu/optimizer.go, kernels/optimizer.cu. Test:
// nn/device/devicetest/optimizer.go.
type Adam struct {
	Beta1   float64 // 0 means 0.9
	Beta2   float64 // 0 means 0.999
	Epsilon float64 // 0 means 1e-8
	AMSGrad bool    `json:",omitempty"` // divide by the root of the largest v so far
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
	s.Bool(&r.AMSGrad, "amsgrad", "divide by the root of the largest such mean so far (Reddi et al. 2018)")
}

// Build adds the fused update of all parameters, or with AMSGrad composes the update of each.
func (r Adam) Build(u *Update) error {
	beta1 := u.Momentum(r.Beta1)
	fill := func(hyper []float32, step int) {
		beta1 := beta1()
		device.SetBetas(hyper, beta1, r.Beta2)
		hyper[device.HyperCorrection1] = float32(correction(beta1, step))
		hyper[device.HyperCorrection2] = float32(correction(r.Beta2, step))
	}
	if r.AMSGrad {
		r.buildAMSGrad(u)
		u.EachStep(fill)
		return nil
	}
	spec := device.OptimizerSpec{Kind: device.Adam, Epsilon: float32(r.Epsilon)}
	for p := range u.Params() {
		slot := u.Slot(p)
		slot.State1, slot.State2 = u.State("adam.m", p), u.State("adam.v", p)
		spec.Slots = append(spec.Slots, slot)
	}
	u.Fused(spec, fill)
	return nil
}

// buildAMSGrad composes the update of each parameter.
func (r Adam) buildAMSGrad(u *Update) {
	for p := range u.Params() {
		shape := p.Value.Shape()
		m, v, vmax := u.State("adam.m", p), u.State("adam.v", p), u.State("adam.vmax", p)
		g, d, root := u.Gradient(p), u.Scratch(shape...), u.Scratch(shape...)
		u.weightedSum(p, m, m, g)                                                                                     // m = beta1*m + (1-beta1)*g
		u.Map(d, device.MapSpec{Kind: device.MapSquare, Alpha: float32(1 - r.Beta2)}, g, nil)                         // d = (1-beta2)*g^2
		u.Map(v, device.MapSpec{Kind: device.MapAdd, B: device.AllAxes, Alpha: float32(r.Beta2), Beta: 1}, v, d)      // v = beta2*v + d
		u.Map(vmax, device.MapSpec{Kind: device.MapMax, B: device.AllAxes, Alpha: 1, Beta: 1}, vmax, v)               // vmax = max(vmax, v)
		u.byColumn(p, root, device.HyperCorrection2, vmax, false)                                                     // root = vmax/(1-beta2^t)
		u.Map(root, device.MapSpec{Kind: device.MapSqrt, Alpha: 1}, root, nil)                                        // root = sqrt(root)
		u.byColumn(p, d, device.HyperCorrection1, m, false)                                                           // d = m/(1-beta1^t)
		u.Map(d, device.MapSpec{Kind: device.MapDiv, B: device.AllAxes, Alpha: 1, Beta: float32(r.Epsilon)}, d, root) // d = d/(root + epsilon)
		u.Descend(p, d)
	}
}

// correction is 1/(1-beta^t) for the step, which counts from 0.
func correction(beta float64, step int) float64 {
	return 1 / (1 - math.Pow(beta, float64(step+1)))
}

// Elementwise marks a rule that treats every element by itself.
func (Adam) Elementwise() {}
