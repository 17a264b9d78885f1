package optim

import (
	"math"

	"trainer/nn/setting"
)

// Plateau lowers the learning rate when the results on the validation set no longer improve, as PyTorch's
// ReduceLROnPlateau. After each evaluation, with best the best result so far:
//
//	improved     loss < best*(1 - Threshold)         or accuracy > best*(1 + Threshold)
//	bad          evaluations in a row without an improvement; 0 after an improvement and during a cooldown
//	bad > Patience:     factor = max(Gamma*factor, Min), bad = 0, and a cooldown of Cooldown evaluations begins
//
// The factor changes only between epochs, because the results arrive there. It is computed from all results so far,
// which checkpoints keep, so that the schedule has no state of its own. Epochs without an evaluation don't count.
type Plateau struct {
	Gamma     float64 // the factor by which the learning rate falls; 0 means 0.1
	Patience  int     // evaluations without an improvement that are accepted
	Threshold float64 // smallest relative improvement that counts; 0 means 1e-4
	Cooldown  int     // evaluations after a fall that don't count
	Min       float64 // the smallest factor
	Metric    Metric
}

// Metric is the result of an evaluation that a Plateau follows.
type Metric uint8

// The metrics.
const (
	ValidationLoss Metric = iota
	ValidationAccuracy
)

func plateauKind() ScheduleKind {
	return ScheduleKind{Name: "plateau", Doc: "falls by a factor when the validation set's results stop improving", New: func() Schedule { return Plateau{} }}
}

// Settings declares the keys of recipes.
func (s *Plateau) Settings(l *setting.List) {
	l.Float64(&s.Gamma, "gamma", 0.1, setting.BetweenZeroAndOne, "the factor")
	l.Int(&s.Patience, "patience", 0, setting.AtLeast(0), "evaluations without an improvement that are accepted").Require()
	l.Float64(&s.Threshold, "threshold", 1e-4, setting.BetweenZeroAndOne, "smallest relative improvement that counts")
	l.Int(&s.Cooldown, "cooldown", 0, setting.AtLeast(0), "evaluations after a fall that don't count")
	l.Float64(&s.Min, "min", 0, setting.ZeroToBelowOne, "the smallest factor")
	setting.Choice(l, &s.Metric, "metric", []setting.Option[Metric]{{Name: "loss", Value: ValidationLoss}, {Name: "accuracy", Value: ValidationAccuracy}}, "the result that counts")
}

// NeedsEvaluations returns true.
func (s Plateau) NeedsEvaluations() bool { return true }

// Factor returns the factor after the evaluations so far.
func (s Plateau) Factor(p Progress) float64 {
	gamma, threshold := s.Gamma, s.Threshold
	if gamma == 0 {
		gamma = 0.1
	}
	if threshold == 0 {
		threshold = 1e-4
	}
	factor, best, bad, cooldown := 1.0, math.Inf(1), 0, 0
	if s.Metric == ValidationAccuracy {
		best = math.Inf(-1)
	}
	for _, e := range p.Evaluations {
		switch {
		case s.Metric == ValidationLoss && e.Loss < best*(1-threshold):
			best, bad = e.Loss, 0
		case s.Metric == ValidationAccuracy && e.Accuracy > best*(1+threshold):
			best, bad = e.Accuracy, 0
		default:
			bad++
		}
		if cooldown > 0 {
			cooldown--
			bad = 0
		}
		if bad > s.Patience {
			factor, bad, cooldown = max(gamma*factor, s.Min), 0, s.Cooldown
		}
	}
	return factor
}
