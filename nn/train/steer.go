package train

import (
	"errors"
	"slices"

	"trainer/nn/optim"
)

// What a hook can do to a training in progress, besides Training.Stop. All of it happens between two steps, and none of it
// changes the bits of the weights except the learning rate, whose changes belong to the configuration from then on.

// ChangeRate multiplies the learning rates of all later steps by a factor, which replaces the one before: see
// optim.RateChange. A resumed or repeated training gets the same bits if its Config.RateChanges has the change, which
// Hooks.RateChanged is told. It panics if the factor is invalid, or if several ranks train: the others would not know of the
// change.
func (t *Training) ChangeRate(factor float64) {
	r := t.run
	if r.cfg.hasRanks() {
		panic("train: ChangeRate with several ranks")
	}
	changes := optim.WithRateChange(r.cfg.RateChanges, optim.RateChange{Step: r.stepper.step, Factor: factor})
	if err := optim.CheckRateChanges(changes); err != nil {
		panic("train: ChangeRate: " + err.Error())
	}
	r.cfg.RateChanges, r.stepper.cfg.RateChanges = changes, changes
	r.stepper.opt.SetRateChanges(changes)
	for _, h := range r.hooks {
		if h.RateChanged != nil {
			h.RateChanged(t, slices.Clone(changes))
		}
	}
}

// Save makes training write a checkpoint before the next step, if Config.Checkpoint names a folder.
func (t *Training) Save() { t.run.saveAsked = true }

// Pause makes training wait before the next step until wait returns, after the checkpoint and the evaluation that are due.
// The time does not count as training time.
func (t *Training) Pause(wait func()) { t.run.wait = wait }

// pause waits if a hook wants it. The device has finished all steps by then.
func (r *run) pause() error {
	wait := r.wait
	if wait == nil || r.over() {
		return nil
	}
	r.wait = nil
	if err := errors.Join(r.collect(), r.finishSave()); err != nil {
		return err
	}
	wait()
	return nil
}

// rateChangesBefore returns the setting for the changes of the learning rate that apply to the first steps; none if there
// are no changes, as in older checkpoints.
func (c *Config) rateChangesBefore(steps int) []condition {
	var before []optim.RateChange
	for _, change := range c.RateChanges {
		if change.Step < steps {
			before = append(before, change)
		}
	}
	if len(before) == 0 {
		return nil
	}
	return []condition{{"changes of the learning rate", describe(before)}}
}
