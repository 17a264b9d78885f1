package train

import (
	"context"
	"errors"
	"time"

	"trainer/nn/optim"
)

// This file has the work between two steps, within an epoch and at its end.

// midEpoch takes the snapshot and writes the checkpoint that are due within an epoch.
func (r *run) midEpoch() error {
	if r.stepper.step%snapshotEvery == 0 {
		r.snapshot.take(r.stepper.step)
	}
	if err := r.collectStateIfDue(); err != nil {
		return err
	}
	if r.checkpointDue(0) && r.savable() {
		if err := r.collect(); err != nil { // of steps after which no checkpoint was due until a hook asked for one
			return err
		}
		return r.checkpoint()
	}
	return nil
}

// checkpointDue reports whether a checkpoint follows the last step. epoch is the number of the epoch that it ended, or 0.
func (r *run) checkpointDue(epoch int) bool {
	return (r.timeUp || r.saveAsked) && r.cfg.Checkpoint.Dir != "" || r.cfg.Checkpoint.due(r.stepper.step, epoch)
}

// endEpoch evaluates if that is due, and adds the epoch to the history.
func (r *run) endEpoch(ctx context.Context) error {
	s := r.stepper
	number := r.epochNumber()
	m := EpochMetrics{
		Epoch: number, Step: s.step,
		TrainLoss:       mean(r.epoch.Loss, r.epoch.Weight),
		TrainAccuracy:   mean(float64(r.epoch.Correct), float64(r.epoch.Count)),
		LR:              s.opt.LR(s.step - 1),
		ImagesPerSecond: perSecond(r.epoch.Images, r.epoch.Seconds),
		Seconds:         r.epoch.Seconds,
	}
	r.snapshot.take(s.step)
	if err := r.score(ctx, &m); err != nil || r.interrupted {
		return err
	}
	r.history = append(r.history, m)
	r.informSchedule(m)
	r.epoch, r.logged = totals{}, totals{}
	if err := r.statistics.begin(r.epoch); err != nil {
		return err
	}
	for _, h := range r.hooks {
		if h.Epoch != nil {
			h.Epoch(&r.training, m)
		}
	}
	if r.checkpointDue(number) && r.savable() {
		return r.checkpoint()
	}
	return nil
}

// informSchedule passes an epoch's results on the validation set, if it has any, to schedules that follow them. The history
// has all that such a schedule depends on, so that a resumed training computes the same learning rates from it.
func (r *run) informSchedule(m EpochMetrics) {
	if m.ValCount > 0 {
		r.stepper.opt.AddEvaluation(optim.Evaluation{Step: m.Step, Loss: m.ValLoss, Accuracy: m.ValAccuracy})
	}
}

// final reports whether the network's weights are those after the last step.
func (r *run) final() bool { return r.stepper.step == r.stepper.total || r.stopped != "" }

// score evaluates the weights if an evaluation is due, and writes the results to m. Epochs are scored on the validation set
// if there is one; the test set is then evaluated only with the weights that are kept.
func (r *run) score(ctx context.Context, m *EpochMetrics) error {
	s := r.stepper
	if !r.final() && !r.cfg.evaluates(m.Epoch) {
		return nil
	}
	r.swapIn()
	defer s.opt.SwapOut()
	r.evalSeconds, r.viewSeconds = 0, 0
	if r.validator != nil {
		if err := r.validate(ctx, m); err != nil || r.interrupted {
			return err
		}
	}
	kept := r.final() && (r.cfg.Weights != WeightsBest || m.Best)
	if r.evaluator != nil && (kept || r.validator == nil) {
		e, err := r.evaluate(ctx, r.evaluator, m.Epoch)
		if err != nil || r.interrupted {
			return err
		}
		m.Evaluated = true
		m.TestLoss, m.TestAccuracy, m.TestCorrect, m.TestCount = e.Loss, e.Accuracy, e.Correct, e.Count
	}
	m.EvalSeconds = r.evalSeconds
	if m.Best { // only now: an interrupted epoch is scored again
		if err := r.finishSave(); err != nil { // it has the best epoch so far
			return err
		}
		return r.best.take(bestOf(m))
	}
	return nil
}

// validate evaluates the validation set.
func (r *run) validate(ctx context.Context, m *EpochMetrics) error {
	e, err := r.measure(ctx, r.validator, m.Epoch)
	if err != nil || r.interrupted {
		return err
	}
	m.ValLoss, m.ValAccuracy, m.ValCorrect, m.ValCount = e.Loss, e.Accuracy, e.Correct, e.Count
	m.Best = e.Count > 0 && bestOf(m).betterThan(r.best.at, r.cfg.BestBy)
	r.tell(&EvaluationDone{Evaluation: e, Epoch: m.Epoch, Scores: true, Best: m.Best})
	return nil
}

// evaluate evaluates a set and tells the hooks. It sets interrupted if ctx is cancelled.
func (r *run) evaluate(ctx context.Context, on *Evaluator, epoch int) (*Evaluation, error) {
	e, err := r.measure(ctx, on, epoch)
	if err != nil || r.interrupted {
		return nil, err
	}
	r.tell(&EvaluationDone{Evaluation: e, Epoch: epoch, Test: on == r.evaluator, Scores: on == r.validator || r.validator == nil})
	return e, nil
}

func (r *run) tell(e *EvaluationDone) {
	for _, h := range r.hooks {
		if h.Evaluation != nil {
			h.Evaluation(&r.training, e)
		}
	}
}

// measure evaluates one set; it sets interrupted if ctx is cancelled. Only the final weights get test-time
// augmentation: earlier it would multiply the evaluation time by the number of views and add little to what the plain
// image shows.
func (r *run) measure(ctx context.Context, on *Evaluator, epoch int) (*Evaluation, error) {
	start := time.Now()
	views, final := plain, r.final() || r.ended
	if final {
		views = on.views.views
	}
	e, err := on.evaluate(ctx, views, final || r.cfg.KeepAnswers, r.evaluationProgress(on, epoch))
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			r.interrupted = true
			return nil, nil
		}
		return nil, err
	}
	if !finite(e.Loss) {
		return nil, r.diverged(e.Loss, r.stepper.step, r.stepper.step)
	}
	of := r.evaluated()
	if r.ended {
		of = r.kept
	} else if !of.averaged {
		r.snapshot.confirm(r.stepper.step)
	}
	if on == r.validator {
		r.lastVal = scored{e, of, final}
	} else {
		r.last = scored{e, of, final}
	}
	seconds := r.seconds(time.Since(start))
	r.evalSeconds += seconds
	r.viewSeconds += seconds / float64(len(views))
	return e, nil
}

// evaluationProgress returns a function that tells the hooks how many images are done, or nil if none wants to know.
func (r *run) evaluationProgress(on *Evaluator, epoch int) func(done int) {
	wanted := false
	for _, h := range r.hooks {
		wanted = wanted || h.Progress != nil
	}
	if !wanted {
		return nil
	}
	p := &r.progress.evaluation
	return func(done int) {
		*p = EvalProgress{Epoch: epoch, Done: done, Total: on.set.Len()}
		for i := range r.hooks {
			if h := r.hooks[i].Progress; h != nil {
				h(&r.training, p)
			}
		}
	}
}

// evaluateLast evaluates the weights that are kept where that hasn't been done, as when a checkpoint of a finished training
// is resumed, or when the best epoch wasn't the last one.
func (r *run) evaluateLast(ctx context.Context) error {
	epoch := (r.kept.step-1)/r.stepper.perEpoch + 1
	if r.validator != nil && r.keptAs != WeightsBest && r.ofKept(r.lastVal) == nil {
		if _, err := r.evaluate(ctx, r.validator, epoch); err != nil || r.interrupted {
			return err
		}
	}
	if r.evaluator != nil && (r.ofKept(r.last) == nil || !r.last.final) {
		_, err := r.evaluate(ctx, r.evaluator, epoch)
		return err
	}
	return nil
}
