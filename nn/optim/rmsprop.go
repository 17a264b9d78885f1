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
// If it is centered, the running variance of the gradient takes the place of v (Graves, "Generating Sequences With
// Recurrent Neural Networks", 2013, equations 38 to 45; PyTorch's centered), with the running mean m:
//
//	variance = v - m^2              m = beta2*m + (1-beta2)*g
//
// In float32 this difference of two close numbers loses digits, and may be negative. It is computed in another form,
// equal to it as long as m and v begin at zero, in which every term is positive; d is the distance from the old mean:
//
//	d = g - m       m = m + (1-beta2)*d       variance = beta2*(variance + (1-beta2)*d^2)
//
// The fused update has no mean; centered, the update is composed.
//
// Code: nn/device/reference/optimizer.go (the formula in loops), cpu/optimizer.go, kernels/optimizer.cu. Test:
// nn/device/devicetest/optimizer.go.
type RMSProp struct {
	Momentum float64
	Beta2    float64 // 0 means 0.99
	Epsilon  float64 // 0 means 1e-8
	Centered bool    `json:",omitempty"` // divide by the running standard deviation
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
	s.Bool(&r.Centered, "centered", "divide by the running standard deviation (Graves 2013)")
}

// Build adds the fused update of all parameters, or, centered, composes the update of each.
func (r RMSProp) Build(u *Update) error {
	momentum := u.Momentum(r.Momentum)
	if r.Centered {
		r.buildCentered(u)
		u.EachStep(func(hyper []float32, _ int) {
			hyper[device.HyperMomentum], hyper[device.HyperNewMomentum] = float32(momentum()), 1
		})
		return nil
	}
	spec := device.OptimizerSpec{Kind: device.RMSProp, Epsilon: float32(r.Epsilon)}
	for p := range u.Params() {
		slot := u.Slot(p)
		slot.State1 = u.State("rmsprop.v", p)
		if r.Momentum != 0 || u.ChangesMomentum() {
			slot.State2 = u.State("rmsprop.u", p)
		}
		spec.Slots = append(spec.Slots, slot)
	}
	u.Fused(spec, func(hyper []float32, _ int) {
		device.SetBetas(hyper, momentum(), r.Beta2)
	})
	return nil
}

// buildCentered composes the update of each parameter.
func (r RMSProp) buildCentered(u *Update) {
	beta2, new := float32(r.Beta2), float32(1-r.Beta2)
	for p := range u.Params() {
		shape := p.Value.Shape()
		mean, variance := u.State("rmsprop.mean", p), u.State("rmsprop.variance", p)
		g, d := u.Gradient(p), u.Scratch(shape...)
		u.Map(d, device.MapSpec{Kind: device.MapAdd, B: device.AllAxes, Alpha: 1, Beta: -1}, g, mean)                   // d = g - m
		u.Map(mean, device.MapSpec{Kind: device.MapAffine, Alpha: new, Accumulate: true}, d, nil)                       // m = m + (1-beta2)*d
		u.Map(d, device.MapSpec{Kind: device.MapSquare, Alpha: new}, d, nil)                                            // d = (1-beta2)*d^2
		u.Map(variance, device.MapSpec{Kind: device.MapAdd, B: device.AllAxes, Alpha: beta2, Beta: beta2}, variance, d) // variance = beta2*(variance + d)
		u.Map(d, device.MapSpec{Kind: device.MapSqrt, Alpha: 1}, variance, nil)                                         // d = sqrt(variance)
		u.Map(d, device.MapSpec{Kind: device.MapDiv, B: device.AllAxes, Alpha: 1, Beta: float32(r.Epsilon)}, g, d)      // d = g/(d + epsilon)
		if r.Momentum != 0 || u.ChangesMomentum() {
			velocity := u.State("rmsprop.u", p)
			u.weightedSum(p, velocity, velocity, d) // u = momentum*u + d
			d = velocity
		}
		u.Descend(p, d)
	}
}

// Elementwise marks a rule that treats every element by itself.
func (RMSProp) Elementwise() {}
