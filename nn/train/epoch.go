package train

import (
	"context"
	"errors"
	"time"
)

// What happens between two steps, within an epoch and at its end.

// midEpoch takes the snapshot and writes the checkpoint that are due between epochs' ends.
func (r *run) midEpoch() error {
	if r.stepper.step%snapshotEvery == 0 {
		r.snapshot.take(r.stepper.step)
	}
	if r.cfg.Checkpoint.due(r.stepper.step, 0) {
		return r.checkpoint()
	}
	return nil
}

// endEpoch evaluates where that is due, and adds the epoch to the history.
func (r *run) endEpoch(ctx context.Context) error {
	s := r.stepper
	number := r.epochNumber()
	m := EpochMetrics{
		Epoch: number, Step: s.step,
		TrainLoss:       mean(r.epoch.Loss, r.epoch.Weight),
		TrainAccuracy:   mean(float64(r.epoch.Correct), float64(r.epoch.Count)),
		LR:              s.opt.LR(s.step - 1),
		ImagesPerSecond: float64(r.epoch.Images) / r.epoch.Seconds,
		Seconds:         r.epoch.Seconds,
	}
	r.snapshot.take(s.step)
	if r.evaluator != nil && (s.step == s.total || r.cfg.evaluates(number)) {
		s.opt.SwapIn()
		err := r.evaluate(ctx, number)
		s.opt.SwapOut()
		if err != nil || r.interrupted {
			return err
		}
		m.Evaluated, m.EvalSeconds = true, r.evalSeconds
		m.TestLoss, m.TestAccuracy = r.last.Loss, r.last.Accuracy
		m.TestCorrect, m.TestCount = r.last.Correct, r.last.Count
	}
	r.history = append(r.history, m)
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

// evaluate sets last, or interrupted when ctx is cancelled. The views of an image are for the
// final weights: before, they would cost as much time as they have members, to tell what the
// image as it is tells too.
func (r *run) evaluate(ctx context.Context, epoch int) error {
	start := time.Now()
	var progress func(done int)
	if len(r.cfg.Listeners) > 0 {
		progress = func(done int) {
			r.progress.evaluation = EvalProgress{Epoch: epoch, Done: done, Total: r.cfg.Data.Test.Len()}
			r.emit(&r.progress.evaluation)
		}
	}
	views := plain
	if r.stepper.step == r.stepper.total {
		views = r.evaluator.views
	}
	e, err := r.evaluator.evaluate(ctx, views, progress)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			r.interrupted = true
			return nil
		}
		return err
	}
	if !finite(e.Loss) {
		return r.diverged(e.Loss, r.stepper.step, r.stepper.step)
	}
	if r.cfg.Optimizer.EMA == nil {
		r.snapshot.confirm(r.stepper.step)
	}
	r.last = e
	r.evalSeconds = time.Since(start).Seconds()
	r.viewSeconds = r.evalSeconds / float64(len(views))
	return nil
}

// evaluateLast evaluates the final weights where that hasn't been done, as when a checkpoint
// of a finished training is resumed.
func (r *run) evaluateLast(ctx context.Context) error {
	if r.evaluator == nil || r.last != nil {
		return nil
	}
	return r.evaluate(ctx, r.epochNumber())
}
