package optim

import (
	"errors"

	"trainer/nn/setting"
)

// WarmUp raises the learning rate linearly over the first steps (Goyal et al., "Accurate,
// Large Minibatch SGD", 2017, section 2.2), and multiplies the factor of the schedule that
// it wraps. With W steps of warm-up:
//
//	factor = min(1, (step+1)/W) * Then.Factor
type WarmUp struct {
	Steps    int      // 0 with Fraction
	Fraction float64  // fraction of training
	Then     Schedule // nil means Constant
}

// Settings declares the keys of recipes.
func (s *WarmUp) Settings(l *setting.List) {
	l.Int(&s.Steps, "warm-up-steps", 0, setting.AtLeast(1), "steps of warm-up")
	l.Float64(&s.Fraction, "warm-up", 0, setting.ZeroToOne, "share of training that warms up, instead of warm-up-steps")
}

// Check returns an error unless exactly one of Steps and Fraction is set, or if Then is invalid.
func (s *WarmUp) Check() error {
	if s.Steps > 0 && s.Fraction > 0 {
		return &setting.Error{Key: "warm-up-steps", Msg: "want only one of warm-up and warm-up-steps"}
	}
	if s.Steps == 0 && s.Fraction == 0 {
		return errors.New("want one of warm-up and warm-up-steps")
	}
	return setting.Check(s.Then)
}

// ChangesMomentum reports whether the wrapped schedule sets the momentum.
func (s WarmUp) ChangesMomentum() bool { return changesMomentum(s.Then) }

// Momentum returns the wrapped schedule's momentum, which has no warm-up.
func (s WarmUp) Momentum(p Progress) (float64, bool) { return momentum(s.Then, p) }

// NeedsEvaluations reports whether the wrapped schedule follows evaluations.
func (s WarmUp) NeedsEvaluations() bool { return needsEvaluations(s.Then) }

func (s WarmUp) completeParts() Schedule {
	if s.Then != nil {
		s.Then = complete(s.Then)
	}
	return s
}

// Factor returns the warm-up's factor times the wrapped schedule's.
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
