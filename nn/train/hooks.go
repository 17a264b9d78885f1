package train

import (
	"trainer/nn"
	"trainer/nn/optim"
)

// Hooks are functions that Run calls as training proceeds: for a display, a log, early stopping, or anything else that
// happens between steps. Those that are nil are left out. Run calls them from the goroutine that trains, in the order of
// Config.Hooks. They should return quickly, because on a device that works synchronously training waits for them.
//
// Hooks that decide something must decide the same in a resumed training: Start has the results of the epochs before it.
type Hooks struct {
	// Start is called first, before any step.
	Start func(*Training, Start)
	// Step is called after every step. The StepDone is reused for the next step, so copy what you need.
	Step func(*Training, *StepDone)
	// Log is called with the means of every Config.LogEvery steps, and at the end of each epoch with those of the steps
	// that are left. On a device.AsyncDownloader the call comes some steps later. The StepMetrics is reused.
	Log func(*Training, *StepMetrics)
	// Progress is called after every batch of an evaluation. The EvalProgress is reused.
	Progress func(*Training, *EvalProgress)
	// Evaluation is called after every evaluation, while the network still has the weights that were evaluated.
	Evaluation func(*Training, *EvaluationDone)
	// Epoch is called after every epoch and its evaluations.
	Epoch func(*Training, EpochMetrics)
	// Lag is called on rank 0 after an epoch in which another rank has computed for clearly longer than the rest.
	Lag func(*Training, Laggard)
	// RateChanged is called by Training.ChangeRate with all changes, before the first step that they apply to.
	RateChanged func(*Training, []optim.RateChange)
	// Save is called when a checkpoint is begun, which holds the steps so far. Another goroutine calls the function that it
	// returns, unless it is nil, before the checkpoint replaces the one before: what belongs to these steps can be brought to
	// the disk first. An error of the function is one of the checkpoint.
	Save func(*Training) (beforeWritten func() error)
	// Checkpoint is called after every checkpoint, some steps after Save.
	Checkpoint func(*Training, CheckpointWritten)
	// Finish is called last, also after an interruption or a diverged loss.
	Finish func(*Training, *Result)
}

// Training is a training in progress, for hooks. It must not be used after Run has returned.
type Training struct{ run *run }

// Stop ends training as if its last step had been done: after an evaluation of an epoch, with that epoch, otherwise after
// the current step. The weights that are kept are then evaluated. reason, which must not be empty, becomes Result.Stopped;
// the first one counts. Stop does nothing if there are no more steps.
func (t *Training) Stop(reason string) {
	r := t.run
	if reason == "" {
		panic("train: Stop without a reason")
	}
	if r.stopped == "" && !r.ended && r.stepper.step < r.stepper.total {
		r.stopped = reason
	}
}

// Network returns the network. Downloading its tensors waits for the steps that are queued.
func (t *Training) Network() *nn.Network { return t.run.stepper.net }

// Steps returns the number of steps done, or queued on an asynchronous device.
func (t *Training) Steps() int { return t.run.stepper.step }

// Best returns the best epoch so far, or nil if no epoch has been scored on a validation set.
func (t *Training) Best() *Best { return t.run.best.at }

// WithBest calls use while the network has the weights of the best epoch, and reports whether they are there: they are not
// before an epoch has been scored on a validation set.
func (t *Training) WithBest(use func() error) (bool, error) { return t.run.best.with(use) }
