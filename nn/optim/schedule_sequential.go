package optim

import (
	"fmt"

	"trainer/nn/setting"
)

// Sequential is several schedules one after the other, as PyTorch's SequentialLR: schedule i+1 takes over at milestone i.
// To each schedule its own part of training is all of it: a Cosine from epoch 2 to epoch 5 goes from 1 to Final within
// these three epochs, and the milestones of a Step count from the beginning of its part. The last part ends with training.
//
//	factor(t) = Schedules[i].Factor(t - begin_i, of end_i - begin_i steps)         begin_i <= t < end_i
//
// A part that training doesn't reach has no effect.
type Sequential struct {
	Schedules  []Schedule
	Milestones []float64 // in epochs, increasing; one fewer than Schedules
}

func sequentialKind() ScheduleKind {
	return ScheduleKind{Name: "sequential", Doc: "schedules one after the other", New: func() Schedule { return Sequential{} }}
}

// Settings declares the keys of recipes.
func (s *Sequential) Settings(l *setting.List) {
	l.Nested(&s.Schedules, "schedules", "", "the schedules, each a table with kind").Require()
	l.Float64s(&s.Milestones, "milestones", setting.Positive, "epochs at which the next schedule begins")
}

// Check returns an error if the milestones don't fit the schedules, or if a schedule is invalid.
func (s *Sequential) Check() error {
	if len(s.Schedules) == 0 {
		return &setting.Error{Key: "schedules", Msg: "is empty, want at least one schedule"}
	}
	if want := len(s.Schedules) - 1; len(s.Milestones) != want {
		return &setting.Error{Key: "milestones", Msg: fmt.Sprintf("has %d epochs for %d schedules, want %d: one between each two", len(s.Milestones), len(s.Schedules), want)}
	}
	for i, m := range s.Milestones {
		if i > 0 && m <= s.Milestones[i-1] {
			return &setting.Error{Key: "milestones", Msg: fmt.Sprintf("has %v after %v, want increasing epochs", m, s.Milestones[i-1])}
		}
	}
	for i, part := range s.Schedules {
		if err := setting.Check(part); err != nil {
			return fmt.Errorf("schedule %d: %w", i+1, err)
		}
	}
	return nil
}

// part returns the schedule of a step, and the position in that schedule's part of training.
func (s Sequential) part(p Progress) (Schedule, Progress) {
	i, begin, end := 0, 0, p.Total
	for ; i < len(s.Milestones); i++ {
		next := p.firstStep(s.Milestones[i])
		if p.Step < next {
			end = next
			break
		}
		begin = next
	}
	origin := p.origin + begin
	return s.Schedules[i], Progress{
		Step: p.Step - begin, Total: max(1, end-begin), StepsPerEpoch: p.StepsPerEpoch,
		Evaluations: p.after(origin), origin: origin,
	}
}

// Factor returns the factor of the schedule whose part the step is in.
func (s Sequential) Factor(p Progress) float64 {
	schedule, within := s.part(p)
	return schedule.Factor(within)
}

// ChangesMomentum reports whether one of the schedules sets the momentum.
func (s Sequential) ChangesMomentum() bool {
	for _, part := range s.Schedules {
		if changesMomentum(part) {
			return true
		}
	}
	return false
}

// Momentum returns the momentum of the schedule whose part the step is in.
func (s Sequential) Momentum(p Progress) (float64, bool) {
	schedule, within := s.part(p)
	return momentum(schedule, within)
}

// NeedsEvaluations reports whether one of the schedules follows evaluations.
func (s Sequential) NeedsEvaluations() bool {
	for _, part := range s.Schedules {
		if needsEvaluations(part) {
			return true
		}
	}
	return false
}

func (s Sequential) completeParts() Schedule {
	parts := make([]Schedule, len(s.Schedules))
	for i, part := range s.Schedules {
		parts[i] = complete(part)
	}
	s.Schedules = parts
	return s
}
