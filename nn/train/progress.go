package train

import (
	"math"
	"time"
)

// progress is what displays show. Between two arrivals of statistics the numbers stay the same, even across the end of
// an epoch: only known values are shown.
type progress struct {
	step           int  // the last step whose statistics have arrived
	arrived        bool // statistics have arrived since the last count
	loss, accuracy float64
	rate           float64 // images per second

	stepDone   StepDone
	logged     StepMetrics
	evaluation EvalProgress
}

// observe requests the statistics that are due after a step, and takes those that have arrived. It waits for all of
// them at the end of an epoch and before a checkpoint, and after the first step, so that there is something to show.
func (r *run) observe() error {
	if err := r.pollSave(); err != nil {
		return err
	}
	s := r.stepper
	every := r.cfg.Checkpoint.Every
	r.timeUp = every > 0 && time.Since(r.savedAt) >= every
	if s.step == r.firstStep+1 || r.atEnd() || r.checkpointDue(0) {
		return r.collect()
	}
	if s.step%r.cfg.MetricsEvery == 0 || r.logsAt(s.step) {
		if err := r.request(); err != nil {
			return err
		}
	}
	for r.statistics.ready() {
		if err := r.take(); err != nil {
			return err
		}
	}
	return nil
}

// request requests the epoch's statistics so far.
func (r *run) request() error {
	if r.statistics.full() {
		if err := r.take(); err != nil {
			return err
		}
	}
	r.statistics.request(r.stepper.step)
	return nil
}

// collect waits for the statistics of all steps.
func (r *run) collect() error {
	if r.statistics.requested < r.stepper.step {
		if err := r.request(); err != nil {
			return err
		}
	}
	for r.statistics.pending > 0 {
		if err := r.take(); err != nil {
			return err
		}
	}
	return nil
}

// take waits for the oldest requested statistics, which become the epoch's totals so far.
func (r *run) take() error {
	s, err := r.statistics.take()
	if err != nil {
		return err
	}
	if !finite(s.loss) {
		return r.diverged(s.loss, s.first, s.last)
	}
	r.snapshot.confirm(s.last - 1)
	r.epoch.Loss, r.epoch.Weight, r.epoch.Correct, r.epoch.Count = s.loss, s.weight, s.correct, s.count
	r.progress.step, r.progress.arrived = s.last, true
	if r.logsAt(s.last) {
		r.log(s.last)
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// count adds the time of a step. The speed is computed over the steps whose statistics have arrived, because other
// steps may only be queued.
func (r *run) count(d time.Duration) {
	r.epoch.Seconds += r.seconds(d)
	r.trainSeconds += r.seconds(d)
	p := &r.progress
	if !p.arrived {
		return
	}
	p.arrived = false
	p.loss, p.accuracy = mean(r.epoch.Loss, r.epoch.Weight), mean(float64(r.epoch.Correct), float64(r.epoch.Count))
	p.rate = perSecond(r.epoch.Count, r.epoch.Seconds)
}

// emitStep tells the hooks of a step.
func (r *run) emitStep() {
	if !r.stepHooks {
		return
	}
	s, p := r.stepper, &r.progress
	p.stepDone = StepDone{
		Step: s.step, Total: s.total, Epoch: r.epochNumber(),
		Loss: p.loss, Accuracy: p.accuracy,
		LR:              s.opt.LR(s.step - 1),
		ImagesPerSecond: p.rate,
		GFLOPS:          3 * float64(s.now.net.FLOPs()) * p.rate / 1e9,
		ETA:             r.timeLeft(),
	}
	for i := range r.hooks {
		if h := r.hooks[i].Step; h != nil {
			h(&r.training, &p.stepDone)
		}
	}
}

// viewsLeft returns the number of views in all remaining evaluations, counting each image separately.
func (r *run) viewsLeft() int {
	if r.evaluator == nil && r.validator == nil {
		return 0
	}
	left := 1
	if r.evaluator != nil {
		left = len(r.evaluator.views.views)
	}
	last := (r.stepper.total-1)/r.stepper.perEpoch + 1
	for epoch := r.epochNumber(); epoch < last; epoch++ {
		if r.cfg.evaluates(epoch) {
			left++
		}
	}
	return left
}
