package optim

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// LAMB is Adam with steps whose length follows that of each layer's weights, for large batches (You et al., "Large Batch
// Optimization for Deep Learning: Training BERT in 76 Minutes", ICLR 2020, algorithm 2, with phi(x) = x); t counts steps from 1:
//
//	m = beta1*m + (1-beta1)*g
//	v = beta2*v + (1-beta2)*g^2
//	d = m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + epsilon) + decay*w
//	w = w - LR * |w|/|d| * d                       the ratio is 1 if |w| or |d| is 0
//
// m and v begin at zero. Parameters of one dimension have the ratio 1. The weight decay is always decoupled from m and v, and is
// part of the direction.
type LAMB struct {
	Beta1   float64 // 0 means 0.9
	Beta2   float64 // 0 means 0.999
	Epsilon float64 // 0 means 1e-6
}

func lambKind() RuleKind {
	return RuleKind{Name: "lamb", Doc: "Adam with steps in proportion to each layer's weights, for large batches (You et al. 2020)", New: func() Rule { return LAMB{} }}
}

// Kind returns "lamb".
func (LAMB) Kind() string { return "lamb" }

// Settings declares the keys of recipes.
func (r *LAMB) Settings(s *setting.List) {
	s.Float64(&r.Beta1, "beta1", 0.9, setting.BetweenZeroAndOne, "weight of the old mean of gradients")
	s.Float64(&r.Beta2, "beta2", 0.999, setting.BetweenZeroAndOne, "weight of the old mean of squared gradients")
	s.Float64(&r.Epsilon, "epsilon", 1e-6, setting.Positive, "added to the root of that mean")
}

// Build composes the update of each parameter.
func (r LAMB) Build(u *Update) error {
	beta1 := u.Momentum(r.Beta1)
	u.EachStep(func(hyper []float32, step int) {
		beta1 := beta1()
		device.SetBetas(hyper, beta1, r.Beta2)
		hyper[device.HyperCorrection1] = float32(correction(beta1, step))
		hyper[device.HyperCorrection2] = float32(correction(r.Beta2, step))
	})
	one := u.constant(1)
	for p := range u.Params() {
		d := r.direction(u, p)
		if adapts(p) {
			u.Map(d, device.MapSpec{Kind: device.MapMul, B: device.NoAxes, Alpha: 1}, d, u.trustRatio(p, d, one, 1, 0))
		}
		u.step(p, d)
	}
	return nil
}

// direction returns Adam's direction plus decay*w.
func (r LAMB) direction(u *Update, p Param) *device.Tensor {
	m, v := u.State("lamb.m", p), u.State("lamb.v", p)
	g, d, root := u.lossGradient(p), u.Scratch(p.Value.Shape()...), u.Scratch(p.Value.Shape()...)
	u.weightedSum(p, m, m, g)                                                                                     // m = beta1*m + (1-beta1)*g
	u.Map(d, device.MapSpec{Kind: device.MapSquare, Alpha: float32(1 - r.Beta2)}, g, nil)                         // d = (1-beta2)*g^2
	u.Map(v, device.MapSpec{Kind: device.MapAdd, B: device.AllAxes, Alpha: float32(r.Beta2), Beta: 1}, v, d)      // v = beta2*v + d
	u.byColumn(p, root, device.HyperCorrection2, v, false)                                                        // root = v/(1-beta2^t)
	u.Map(root, device.MapSpec{Kind: device.MapSqrt, Alpha: 1}, root, nil)                                        // root = sqrt(root)
	u.byColumn(p, d, device.HyperCorrection1, m, false)                                                           // d = m/(1-beta1^t)
	u.Map(d, device.MapSpec{Kind: device.MapDiv, B: device.AllAxes, Alpha: 1, Beta: float32(r.Epsilon)}, d, root) // d = d/(root + epsilon)
	if p.decay != 0 {
		u.Map(d, device.MapSpec{Kind: device.MapAffine, Alpha: float32(p.decay), Accumulate: true}, p.Value, nil) // d = d + decay*w
	}
	return d
}

func (LAMB) decoupled() {}
