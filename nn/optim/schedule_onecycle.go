package optim

import (
	"errors"

	"trainer/nn/setting"
)

// OneCycle raises the learning rate to its full value and then lowers it far below the
// initial one (Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks
// Using Large Learning Rates", 2018), in two phases, as in PyTorch's OneCycleLR: with f0 =
// 1/Div, of T steps
//
//	step 0 to Start*T - 1:        from f0 to 1
//	from there to step T - 1:     from 1 to f0/FinalDiv
//
// each along half a cosine wave or a line. If Start*T is less than a step, the peak comes before step 0, which is then
// on the way down; a training of one step has only the end, f0/FinalDiv.
//
// With BaseMomentum and MaxMomentum the momentum moves against the rate, along the same curves: from MaxMomentum to
// BaseMomentum while the rate rises, and back while it falls (Smith, "A disciplined approach to neural network
// hyper-parameters: Part 1", 2018, section 4.3). PyTorch's defaults are 0.85 and 0.95. Without them the momentum stays
// the rule's own.
type OneCycle struct {
	Start    float64 // fraction of training during which the rate rises
	Div      float64
	FinalDiv float64
	Linear   bool

	BaseMomentum float64 `json:",omitempty"` // momentum at the peak of the rate; 0: it doesn't change
	MaxMomentum  float64 `json:",omitempty"` // momentum at both ends
}

func oneCycleKind() ScheduleKind {
	return ScheduleKind{Name: "one-cycle", Doc: "rises and falls far below the start (Smith and Topin 2018)", New: func() Schedule { return OneCycle{} }}
}

// Settings declares the keys of recipes.
func (c *OneCycle) Settings(s *setting.List) {
	s.Float64(&c.Start, "start", 0.3, setting.AboveZeroToOne, "share of training that rises")
	s.Float64(&c.Div, "div", 25, setting.AtLeast(1), "peak divided by the first factor")
	s.Float64(&c.FinalDiv, "final-div", 1e4, setting.Positive, "first factor divided by the last")
	s.Bool(&c.Linear, "linear", "lines instead of cosine waves")
	s.Float64(&c.BaseMomentum, "base-momentum", 0, setting.BetweenZeroAndOne, "momentum, or beta1, at the peak, if it is to change")
	s.Float64(&c.MaxMomentum, "max-momentum", 0, setting.BetweenZeroAndOne, "momentum, or beta1, at both ends")
}

// Check returns an error unless both ends of the momentum are set, in order, or neither.
func (c *OneCycle) Check() error {
	if (c.BaseMomentum == 0) != (c.MaxMomentum == 0) {
		return errors.New("want both of base-momentum and max-momentum, such as 0.85 and 0.95, or neither")
	}
	if c.BaseMomentum > c.MaxMomentum {
		return &setting.Error{Key: "base-momentum", Msg: "is above max-momentum"}
	}
	return nil
}

// Factor returns the factor at this point of the cycle.
func (c OneCycle) Factor(p Progress) float64 {
	if c.Start == 0 || c.Div == 0 || c.FinalDiv == 0 {
		c = setting.Completed(c) // this allocates, but an Optimizer has completed it before the first step
	}
	first := 1 / c.Div
	return c.along(p, first, 1, first/c.FinalDiv)
}

// ChangesMomentum reports whether the momentum has ends.
func (c OneCycle) ChangesMomentum() bool { return c.MaxMomentum != 0 }

// Momentum returns the momentum at this point of the cycle.
func (c OneCycle) Momentum(p Progress) (float64, bool) {
	if !c.ChangesMomentum() {
		return 0, false
	}
	if c.Start == 0 {
		c = setting.Completed(c)
	}
	return c.along(p, c.MaxMomentum, c.BaseMomentum, c.MaxMomentum), true
}

// along goes from first to middle in the first phase, and from there to last in the second.
func (c OneCycle) along(p Progress, first, middle, last float64) float64 {
	anneal := cosine
	if c.Linear {
		anneal = linear
	}
	step, peak, end := float64(p.Step), c.Start*float64(p.Total)-1, float64(p.Total-1)
	if step <= peak && peak > 0 {
		return anneal(first, middle, step/peak)
	}
	if end <= peak { // a training of one step that has nothing after the peak
		return middle
	}
	return anneal(middle, last, (step-peak)/(end-peak))
}

// linear goes from a to b along a line as x goes from 0 to 1.
func linear(a, b, x float64) float64 { return a + (b-a)*x }
