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
	if r.cfg.Checkpoint.due(r.stepper.step, 0) {
		return r.checkpoint()
	}
	return nil
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
	r.epoch = totals{}
	if err := r.statistics.begin(r.epoch); err != nil {
		return err
	}
	r.emit(EpochDone{m})
	if r.cfg.Checkpoint.due(s.step, number) {
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

// score evaluates the averaged weights, if an evaluation is due, and writes the results to m. Epochs are scored on the
// validation set if there is one; the test set is then evaluated only with the final weights.
func (r *run) score(ctx context.Context, m *EpochMetrics) error {
	s := r.stepper
	final := s.step == s.total
	if !final && !r.cfg.evaluates(m.Epoch) {
		return nil
	}
	s.opt.SwapIn()
	defer s.opt.SwapOut()
	r.evalSeconds, r.viewSeconds = 0, 0
	if r.validator != nil {
		e, err := r.evaluate(ctx, r.validator, m.Epoch)
		if err != nil || r.interrupted {
			return err
		}
		r.lastVal = e
		m.ValLoss, m.ValAccuracy, m.ValCorrect, m.ValCount = e.Loss, e.Accuracy, e.Correct, e.Count
	}
	if r.evaluator != nil && (final || r.validator == nil) {
		e, err := r.evaluate(ctx, r.evaluator, m.Epoch)
		if err != nil || r.interrupted {
			return err
		}
		r.last = e
		m.Evaluated = true
		m.TestLoss, m.TestAccuracy, m.TestCorrect, m.TestCount = e.Loss, e.Accuracy, e.Correct, e.Count
	}
	m.EvalSeconds = r.evalSeconds
	return nil
}

// evaluate evaluates one set; it sets interrupted if ctx is cancelled. Only the final weights get test-time
// augmentation: earlier it would multiply the evaluation time by the number of views and add little to what the plain
// image shows.
func (r *run) evaluate(ctx context.Context, on *Evaluator, epoch int) (*Evaluation, error) {
	start := time.Now()
	var progress func(done int)
	if len(r.cfg.Listeners) > 0 {
		progress = func(done int) {
			r.progress.evaluation = EvalProgress{Epoch: epoch, Done: done, Total: on.set.Len()}
			r.emit(&r.progress.evaluation)
		}
	}
	views, final := plain, r.stepper.step == r.stepper.total
	if final {
		views = on.views.views
	}
	e, err := on.evaluate(ctx, views, final, progress)
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
	if r.cfg.Optimizer.EMA == nil {
		r.snapshot.confirm(r.stepper.step)
	}
	seconds := r.seconds(time.Since(start))
	r.evalSeconds += seconds
	r.viewSeconds += seconds / float64(len(views))
	return e, nil
}

// evaluateLast evaluates the final weights where that hasn't been done, as when a checkpoint
// of a finished training is resumed.
func (r *run) evaluateLast(ctx context.Context) (err error) {
	if r.validator != nil && r.lastVal == nil {
		if r.lastVal, err = r.evaluate(ctx, r.validator, r.epochNumber()); err != nil || r.interrupted {
			return err
		}
	}
	if r.evaluator != nil && r.last == nil {
		r.last, err = r.evaluate(ctx, r.evaluator, r.epochNumber())
	}
	return err
}
