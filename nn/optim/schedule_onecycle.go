package optim

import "trainer/nn/setting"

// OneCycle raises the learning rate to its full value and then lowers it far below the
// initial one (Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks
// Using Large Learning Rates", 2018), in two phases, as in PyTorch's OneCycleLR: with f0 =
// 1/Div, of T steps
//
//	step 0 to Start*T - 1:        from f0 to 1
//	from there to step T - 1:     from 1 to f0/FinalDiv
//
// each along half a cosine wave or a line. The momentum does not cycle.
type OneCycle struct {
	Start    float64 // fraction of training during which the rate rises
	Div      float64
	FinalDiv float64
	Linear   bool
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
}

// Factor returns the factor at this point of the cycle.
func (c OneCycle) Factor(p Progress) float64 {
	if c.Start == 0 || c.Div == 0 || c.FinalDiv == 0 {
		c = setting.Completed(c) // this allocates, but an Optimizer has completed it before the first step
	}
	anneal := cosine
	if c.Linear {
		anneal = linear
	}
	first := 1 / c.Div
	peak := c.Start*float64(p.Total) - 1
	last := float64(p.Total - 1)
	step := float64(p.Step)
	if step <= peak && peak > 0 {
		return anneal(first, 1, step/peak)
	}
	if last <= peak || last <= 0 {
		return 1
	}
	return anneal(1, first/c.FinalDiv, (step-max(peak, 0))/(last-max(peak, 0)))
}

// linear goes from a to b along a line as x goes from 0 to 1.
func linear(a, b, x float64) float64 { return a + (b-a)*x }
