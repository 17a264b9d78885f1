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

// complete returns the schedule with defaults in place of zeros.
func complete(s Schedule) Schedule {
	if w, ok := s.(WarmUp); ok && w.Then != nil {
		w.Then = complete(w.Then)
		return w
	}
	return setting.Completed(s)
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
