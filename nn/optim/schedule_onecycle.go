package optim

import "fmt"

// OneCycle rises to the full learning rate and falls far below where it began (Smith and
// Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
// Rates", 2018), in two phases as PyTorch's OneCycleLR: with f0 = 1/Div, of T steps
//
//	step 0 to Start*T - 1:        from f0 to 1
//	from there to step T - 1:     from 1 to f0/FinalDiv
//
// each along half a cosine wave, or a line. The momentum does not cycle.
type OneCycle struct {
	Start    float64 // part of training that rises; 0 means 0.3
	Div      float64 // 0 means 25
	FinalDiv float64 // 0 means 10000
	Linear   bool
}

// Factor returns the point of the cycle.
func (c OneCycle) Factor(p Progress) float64 {
	c = c.withDefaults()
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

func (c OneCycle) withDefaults() OneCycle {
	if c.Start == 0 {
		c.Start = 0.3
	}
	if c.Div == 0 {
		c.Div = 25
	}
	if c.FinalDiv == 0 {
		c.FinalDiv = 1e4
	}
	return c
}

func (c OneCycle) check() error {
	switch c := c.withDefaults(); {
	case !(c.Start > 0 && c.Start <= 1):
		return fmt.Errorf("one-cycle rises for %v of training, need more than 0, and 1 at most", c.Start)
	case !(c.Div >= 1):
		return fmt.Errorf("one-cycle's div is %v, need 1 or more", c.Div)
	case !(c.FinalDiv > 0):
		return fmt.Errorf("one-cycle's final div is %v, need a positive number", c.FinalDiv)
	}
	return nil
}

// linear goes from a to b along a line as x goes from 0 to 1.
func linear(a, b, x float64) float64 { return a + (b-a)*x }
