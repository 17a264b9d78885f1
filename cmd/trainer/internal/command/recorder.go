package command

import (
	"errors"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn"
	"trainer/nn/optim"
	"trainer/nn/train"
)

// recorder writes metrics and the best weights to a run's folder, and remembers the last checkpoint.
type recorder struct {
	folder    *report.Folder
	resumed   bool
	configure func() error // writes the configuration
	// changeRates makes changes of the learning rate part of the configuration.
	changeRates func([]optim.RateChange) error
	writeBest   func(*nn.Network) error // writes the network as the best model
	saved       int                     // step of the checkpoint in the folder; negative if there is none
	err         error                   // the first
}

func (r *recorder) hooks() train.Hooks {
	return train.Hooks{
		Start: func(t *train.Training, e train.Start) { r.keep(r.start(t, e)) },
		RateChanged: func(_ *train.Training, all []optim.RateChange) {
			// Before the first step that they apply to, so that a run that is killed later is resumed with them.
			r.keep(errors.Join(r.changeRates(all), r.configure()))
		},
		Log: func(_ *train.Training, m *train.StepMetrics) { r.keep(r.folder.AddSteps(m)) },
		Evaluation: func(t *train.Training, e *train.EvaluationDone) {
			if e.Best {
				r.keep(r.writeBest(t.Network()))
			}
		},
		Epoch:      func(_ *train.Training, m train.EpochMetrics) { r.keep(r.folder.AddMetrics(m)) },
		Save:       func(*train.Training) func() error { return r.folder.SyncLines() },
		Checkpoint: func(_ *train.Training, c train.CheckpointWritten) { r.saved = c.Step },
	}
}

// start makes the files those of the steps before a checkpoint. When a run is resumed, its configuration is replaced only
// now: until training has begun, the old one is valid.
func (r *recorder) start(t *train.Training, e train.Start) error {
	var err error
	if r.resumed {
		r.saved = e.Step
		_, bestErr := t.WithBest(func() error { return r.writeBest(t.Network()) })
		err = errors.Join(r.configure(), bestErr)
	}
	return errors.Join(err, r.folder.RestoreMetrics(e.History), r.folder.RestoreSteps(e.Step))
}

// keep keeps the first error.
func (r *recorder) keep(err error) {
	if r.err == nil {
		r.err = err
	}
}
