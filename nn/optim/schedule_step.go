package optim

import (
	"errors"
	"math"

	"trainer/nn/setting"
)

// Step multiplies the learning rate by Gamma at each milestone, or after every Every epochs:
//
//	factor = Gamma^(milestones that are past)         or Gamma^floor(epoch/Every)
//
// Milestones and Every may be fractions of an epoch. The factor changes at the first step that is not before them, with
// room for the rounding of the fraction: of 10 steps per epoch, Every = 0.2 drops at steps 2, 4, 6 and so on.
type Step struct {
	Gamma      float64
	Milestones []float64 // in epochs
	Every      float64   // in epochs; 0 with Milestones
}

func stepKind() ScheduleKind {
	return ScheduleKind{Name: "step", Doc: "falls by a factor at milestones, or every so many epochs", New: func() Schedule { return Step{} }}
}

// Settings declares the keys of recipes.
func (s *Step) Settings(l *setting.List) {
	l.Float64(&s.Gamma, "gamma", 0, setting.Positive, "the factor").Require()
	l.Float64s(&s.Milestones, "milestones", setting.NotNegative, "epochs at which it applies")
	l.Float64(&s.Every, "every", 0, setting.Positive, "epochs from one to the next, instead of milestones")
}

// Check returns an error unless exactly one of Milestones and Every is set.
func (s *Step) Check() error {
	if (s.Every > 0) == (len(s.Milestones) > 0) {
		return errors.New("want one of milestones and every, in epochs")
	}
	return nil
}

// Factor returns Gamma to the power of the number of past milestones.
func (s Step) Factor(p Progress) float64 {
	if s.Every > 0 {
		done, _ := p.periods(s.Every)
		return math.Pow(s.Gamma, done)
	}
	factor := 1.0
	for _, m := range s.Milestones {
		if p.Reached(m) {
			factor *= s.Gamma
		}
	}
	return factor
}
