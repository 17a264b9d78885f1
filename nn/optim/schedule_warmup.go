package optim

import "fmt"

// WarmUp rises along a line to the full learning rate over the first steps (Goyal et al.,
// "Accurate, Large Minibatch SGD", 2017, section 2.2), and multiplies the schedule that it
// wraps. With W steps of warm-up:
//
//	factor = min(1, (step+1)/W) * Then.Factor
type WarmUp struct {
	Steps    int      // 0 with Fraction
	Fraction float64  // part of training
	Then     Schedule // nil means Constant
}

// Factor returns the warm-up's factor times that of the wrapped schedule.
func (s WarmUp) Factor(p Progress) float64 {
	w := float64(s.Steps)
	if s.Steps == 0 {
		w = s.Fraction * float64(p.Total)
	}
	factor := 1.0
	if t := float64(p.Step + 1); t < w {
		factor = t / w
	}
	if s.Then == nil {
		return factor
	}
	return factor * s.Then.Factor(p)
}

func (s WarmUp) check() error {
	switch {
	case s.Steps < 0 || !(s.Fraction >= 0 && s.Fraction <= 1):
		return fmt.Errorf("warm-up over %d steps, %v of training: need 0 or more, and 0 to 1", s.Steps, s.Fraction)
	case (s.Steps > 0) == (s.Fraction > 0):
		return fmt.Errorf("warm-up needs a number of steps or a part of training, and not both")
	}
	if c, ok := s.Then.(checker); ok {
		return c.check()
	}
	return nil
}
