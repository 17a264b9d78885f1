package optim

import "trainer/nn/setting"

// Schedule multiplies the learning rate, step by step.
type Schedule interface {
	// Factor returns the multiplier of every group's learning rate at the step. It must
	// depend only on the Progress, so that a resumed training follows the same curve.
	Factor(p Progress) float64
}

// Progress is the position in a training.
type Progress struct {
	Step          int // from 0
	Total         int // steps in the whole training
	StepsPerEpoch int
}

// Fraction returns the fraction of training that is done: 0 at the first step, and less
// than 1 at the last step.
func (p Progress) Fraction() float64 { return float64(p.Step) / float64(p.Total) }

// Epoch returns the number of epochs that are done, including a fraction.
func (p Progress) Epoch() float64 { return float64(p.Step) / float64(p.StepsPerEpoch) }

// ScheduleKind is a kind of schedule that recipes can name. Its settings are those of the schedule that New returns.
type ScheduleKind = setting.Kind[Schedule]

// ScheduleKinds returns the kinds of schedules of this package. Each is declared in its schedule's file. WarmUp is not
// in the list: in recipes every schedule can have a warm-up.
func ScheduleKinds() []ScheduleKind {
	return []ScheduleKind{constantKind(), stepKind(), cosineKind(), oneCycleKind(), piecewiseLinearKind()}
}

// Constant leaves the learning rate unchanged.
type Constant struct{}

func constantKind() ScheduleKind {
	return ScheduleKind{Name: "constant", Doc: "the same learning rate throughout", New: func() Schedule { return Constant{} }}
}

// Factor returns 1.
func (Constant) Factor(Progress) float64 { return 1 }
