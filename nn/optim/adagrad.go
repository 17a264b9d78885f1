package optim

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// AdaGrad divides the gradient by the root of the sum of all its squares so far (Duchi, Hazan and Singer, "Adaptive
// Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12, 2011, the diagonal form of figure 1),
// with the settings of PyTorch's Adagrad; t counts steps from 1:
//
//	s = s + g^2
//	w = w - LR/(1 + LRDecay*(t-1)) * g/(sqrt(s) + epsilon)
//
// s begins at InitialSum.
type AdaGrad struct {
	LRDecay    float64
	InitialSum float64
	Epsilon    float64 // 0 means 1e-10
}

func adaGradKind() RuleKind {
	return RuleKind{Name: "adagrad", Doc: "gradient divided by the root of the sum of its squares (Duchi, Hazan and Singer 2011)", New: func() Rule { return AdaGrad{} }}
}

// Kind returns "adagrad".
func (AdaGrad) Kind() string { return "adagrad" }

// Settings declares the keys of recipes.
func (r *AdaGrad) Settings(s *setting.List) {
	s.Float64(&r.LRDecay, "lr-decay", 0, setting.NotNegative, "decay of the learning rate per step")
	s.Float64(&r.InitialSum, "initial-sum", 0, setting.NotNegative, "what the sum of squares begins at")
	s.Float64(&r.Epsilon, "epsilon", 1e-10, setting.Positive, "added to the root of the sum")
}

// Build composes the update of each parameter.
func (r AdaGrad) Build(u *Update) error {
	for p := range u.Params() {
		s := u.State("adagrad.sum", p)
		u.Fill(s, float32(r.InitialSum))
		g, d := u.Gradient(p), u.Scratch(p.Value.Shape()...)
		u.Map(s, device.MapSpec{Kind: device.MapSquare, Alpha: 1, Accumulate: true}, g, nil)                       // s = s + g^2
		u.Map(d, device.MapSpec{Kind: device.MapSqrt, Alpha: 1}, s, nil)                                           // d = sqrt(s)
		u.Map(d, device.MapSpec{Kind: device.MapDiv, B: device.AllAxes, Alpha: 1, Beta: float32(r.Epsilon)}, g, d) // d = g/(d + epsilon)
		u.Descend(p, d)
	}
	u.EachStep(func(hyper []float32, step int) {
		hyper[device.HyperLR] = float32(float64(hyper[device.HyperLR]) / (1 + r.LRDecay*float64(step)))
	})
	return nil
}

// Elementwise marks a rule that treats every element by itself.
func (AdaGrad) Elementwise() {}
