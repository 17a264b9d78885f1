package optim

import (
	"math"
	"slices"

	"trainer/nn/setting"
)

// Schedule multiplies the learning rate, step by step. A schedule may also set the momentum (MomentumSchedule) or follow
// the results of evaluations (EvaluationSchedule).
type Schedule interface {
	// Factor returns the multiplier of the learning rate at the step. It must depend only on the Progress, so that a
	// resumed training follows the same curve.
	Factor(p Progress) float64
}

// MomentumSchedule is a Schedule that can also set the momentum: of the rules that have one, or the first beta of those
// that have betas.
type MomentumSchedule interface {
	Schedule
	// ChangesMomentum reports whether it sets the momentum at any step.
	ChangesMomentum() bool
	// Momentum returns the momentum at the step, and false if the rule's own momentum holds then.
	Momentum(p Progress) (momentum float64, set bool)
}

// EvaluationSchedule is a Schedule that can follow Progress.Evaluations.
type EvaluationSchedule interface {
	Schedule
	// NeedsEvaluations reports whether it does.
	NeedsEvaluations() bool
}

// Progress is the position in a training.
type Progress struct {
	Step          int // from 0
	Total         int // steps in the whole training
	StepsPerEpoch int
	// Evaluations are the results on the validation set before the step, oldest first.
	Evaluations []Evaluation

	origin int // the step of training at which Step is 0, for a schedule within a Sequential
}

// Evaluation is the result of an evaluation on the validation set.
type Evaluation struct {
	Step           int // steps of training before it
	Loss, Accuracy float64
}

// Fraction returns the fraction of training that is done: 0 at the first step, and less
// than 1 at the last step.
func (p Progress) Fraction() float64 { return float64(p.Step) / float64(p.Total) }

// Epoch returns the number of epochs that are done, including a fraction.
func (p Progress) Epoch() float64 { return float64(p.Step) / float64(p.StepsPerEpoch) }

// rounding is the fraction of a step by which a time that was given in epochs may miss the step that it stands for: 0.1
// epochs of 30 steps are 3.0000000000000004 in floating point, and mean 3.
const rounding = 1e-6

// Reached reports whether a number of epochs, or a fraction of one, is done.
func (p Progress) Reached(epoch float64) bool {
	return float64(p.Step) >= epoch*float64(p.StepsPerEpoch)-rounding
}

// firstStep returns the first step at which Reached(epoch) is true, or a step that no training reaches.
func (p Progress) firstStep(epoch float64) int {
	const never = 1 << 53
	return int(min(math.Ceil(epoch*float64(p.StepsPerEpoch)-rounding), never))
}

// periods returns how many periods of a number of epochs are done, and the steps since the last of them.
func (p Progress) periods(epochs float64) (done, steps float64) {
	period := epochs * float64(p.StepsPerEpoch)
	done = math.Floor((float64(p.Step) + rounding) / period)
	return done, max(0, float64(p.Step)-done*period)
}

// after returns the evaluations that follow a step of training.
func (p Progress) after(step int) []Evaluation {
	i := slices.IndexFunc(p.Evaluations, func(e Evaluation) bool { return e.Step > step })
	if i < 0 {
		return nil
	}
	return p.Evaluations[i:]
}

// momentum returns the momentum that a schedule sets at a step, and false if it sets none.
func momentum(s Schedule, p Progress) (float64, bool) {
	if m, ok := s.(MomentumSchedule); ok {
		return m.Momentum(p)
	}
	return 0, false
}

// changesMomentum reports whether a schedule, which may be nil, sets the momentum.
func changesMomentum(s Schedule) bool {
	m, ok := s.(MomentumSchedule)
	return ok && m.ChangesMomentum()
}

// needsEvaluations reports whether a schedule, which may be nil, follows evaluations.
func needsEvaluations(s Schedule) bool {
	e, ok := s.(EvaluationSchedule)
	return ok && e.NeedsEvaluations()
}

// complete returns the schedule with defaults in place of zeros, also in the schedules that it contains.
func complete(s Schedule) Schedule {
	s = setting.Completed(s)
	if c, ok := s.(interface{ completeParts() Schedule }); ok {
		return c.completeParts()
	}
	return s
}

// ScheduleKind is a kind of schedule that recipes can name. Its settings are those of the schedule that New returns.
type ScheduleKind = setting.Kind[Schedule]

// ScheduleKinds returns the kinds of schedules of this package. Each is declared in its schedule's file. WarmUp is not
// in the list: in recipes every schedule can have a warm-up.
func ScheduleKinds() []ScheduleKind {
	return []ScheduleKind{
		constantKind(),
		stepKind(),
		cosineKind(),
		cosineRestartsKind(),
		oneCycleKind(),
		piecewiseLinearKind(),
		polynomialKind(),
		plateauKind(),
		sequentialKind(),
	}
}

// Constant leaves the learning rate unchanged.
type Constant struct{}

func constantKind() ScheduleKind {
	return ScheduleKind{Name: "constant", Doc: "the same learning rate throughout", New: func() Schedule { return Constant{} }}
}

// Factor returns 1.
func (Constant) Factor(Progress) float64 { return 1 }
