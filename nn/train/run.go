package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
)

// Result is what training gave.
type Result struct {
	Summary
	Steps           int     // steps done, those before a resumed checkpoint included
	Epochs          float64 // the same in epochs
	TrainSeconds    float64 // of steps; evaluation and checkpoints don't count
	TotalSeconds    float64 // since Run was called
	ImagesPerSecond float64 // of training

	FinalLoss    float64 // mean over the last epoch's examples
	TestLoss     float64
	TestAccuracy float64 // 0 to 1, of the last evaluation
	TestCorrect  int
	TestCount    int     // 0 without an evaluation
	Confusion    [][]int // [class][answer] of the last evaluation; nil without

	PeakMemory  int64 // bytes of the process; 0 when unknown
	Interrupted bool  // the context was cancelled
	History     []EpochMetrics

	// Network holds the weights that were evaluated last: with EMA the averaged ones. After
	// a diverged loss it holds the last good weights.
	Network *nn.Network
}

// Run trains. When ctx is cancelled it finishes the step under way, writes a checkpoint if
// there are any, and returns a Result with Interrupted set, and no error. A loss that is not
// finite is a *DivergedError. Once training has begun there is a Result beside every error, so
// that what was trained can be saved.
//
// Settings that can't be are a *ConfigError, *optim.ConfigError or *nn.LayerError; a
// checkpoint that doesn't fit is a *MismatchError, a broken one ErrDamaged.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	r := &run{cfg: cfg, began: time.Now()}
	defer r.close()
	if err := r.open(); err != nil {
		return nil, err
	}
	r.emit(Start{Summary: r.stepper.Summary(), Step: r.stepper.step})
	err := r.train(ctx)
	var diverged *DivergedError
	if !errors.As(err, &diverged) {
		r.stepper.opt.SwapIn()
	}
	if err == nil && !r.interrupted {
		err = r.evaluateLast(ctx)
	}
	result := r.result()
	r.emit(Finished{Result: result})
	return result, err
}

// run is one call of Run.
type run struct {
	cfg       Config
	stepper   *Stepper
	loader    *data.Loader
	evaluator *Evaluator // nil without a test set
	snapshot  *snapshot

	began        time.Time
	epoch        totals  // of the epoch under way
	trainSeconds float64 // all epochs
	trainImages  int
	evalSeconds  float64 // of the last evaluation
	viewSeconds  float64 // the same, of one view
	history      []EpochMetrics
	last         *Evaluation
	interrupted  bool
	saved        int // steps at the last checkpoint; -1 before the first

	stepDone StepDone
	progress EvalProgress
}

// snapshotEvery is the number of steps from one snapshot to the next within an epoch.
const snapshotEvery = 100

func (r *run) open() (err error) {
	if r.stepper, err = NewStepper(r.cfg); err != nil {
		return err
	}
	r.cfg = r.stepper.cfg
	if r.cfg.StatsEvery == 0 {
		r.cfg.StatsEvery = 1
		if _, records := r.cfg.Device.(device.Capturer); records {
			r.cfg.StatsEvery = 50
		}
	}
	r.loader, err = data.NewLoader(data.LoaderConfig{
		Set: r.cfg.Data.Train, Batch: r.cfg.Batch, Seed: r.cfg.Seed, Shuffle: true, DropLast: r.cfg.DropLast,
	})
	if err != nil {
		return err
	}
	if r.cfg.Data.Test != nil && r.cfg.Data.Test.Len() > 0 {
		a := r.cfg.Augment
		r.evaluator, err = NewEvaluator(r.stepper.net, r.cfg.Data.Test, a.Mean, a.Std, r.cfg.Views)
		if err != nil {
			return err
		}
	}
	if r.cfg.Checkpoint.Dir != "" {
		if err := checkFolder(r.cfg.Checkpoint.Dir); err != nil {
			return err
		}
	}
	r.saved = -1
	if r.cfg.Resume != "" {
		if err := r.resume(); err != nil {
			return err
		}
	}
	r.snapshot, err = newSnapshot(r.stepper.net, r.stepper.step)
	return err
}

func (r *run) resume() error {
	p, err := readCheckpoint(r.cfg.Resume, r.stepper)
	if err != nil {
		return err
	}
	r.epoch, r.history = p.Totals, p.History
	r.trainSeconds, r.trainImages = p.TrainSeconds, p.TrainImages
	return nil
}

func (r *run) close() {
	if r.loader != nil {
		r.loader.Close()
	}
	if r.evaluator != nil {
		r.evaluator.Close()
	}
	if r.stepper != nil {
		_ = r.stepper.Close() // nothing is lost with a recorded step
	}
}

func (r *run) emit(e Event) {
	for _, l := range r.cfg.Listeners {
		l.OnEvent(e)
	}
}

// train runs the epochs that are left, and sees to the checkpoint at the end.
func (r *run) train(ctx context.Context) error {
	s := r.stepper
	// An interruption may have come after an epoch's last step, before its evaluation.
	if s.step > 0 && r.atEnd() && len(r.history) < r.epochNumber() {
		if err := r.endEpoch(ctx); err != nil {
			return err
		}
	}
	for s.step < s.total && !r.interrupted {
		r.loader.Start(s.step/s.perEpoch, s.step%s.perEpoch)
		if err := r.trainEpoch(ctx); err != nil {
			return err
		}
	}
	if r.cfg.Checkpoint.Dir != "" && r.saved != s.step {
		return r.checkpoint()
	}
	return nil
}

// atEnd reports whether the steps done end an epoch, the last of which may be short.
func (r *run) atEnd() bool {
	return r.stepper.step%r.stepper.perEpoch == 0 || r.stepper.step == r.stepper.total
}

// epochNumber returns the epoch of the last step, from 1.
func (r *run) epochNumber() int { return (r.stepper.step-1)/r.stepper.perEpoch + 1 }

// trainEpoch trains to the end of the epoch, or of training, and evaluates.
func (r *run) trainEpoch(ctx context.Context) error {
	s := r.stepper
	for ended := false; !ended; {
		if ctx.Err() != nil {
			r.interrupted = true
			return r.fetch()
		}
		start := time.Now()
		if err := r.step(); err != nil {
			return err
		}
		ended = r.atEnd()
		if ended || s.step%r.cfg.StatsEvery == 0 {
			if err := r.fetch(); err != nil {
				return err
			}
		}
		r.count(time.Since(start))
		r.emitStep()
		if ended {
			if err := r.endEpoch(ctx); err != nil || r.interrupted {
				return err
			}
		} else if err := r.midEpoch(); err != nil {
			return err
		}
	}
	return nil
}

// step trains on the next batch.
func (r *run) step() error {
	b, err := r.loader.Next()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("step %d: %w", r.stepper.step, err)
	}
	r.epoch.Images += b.N
	r.trainImages += b.N
	err = r.stepper.Step(b)
	r.loader.Release(b)
	return err
}

// fetch adds what the device has summed to the epoch's totals.
func (r *run) fetch() error {
	loss, correct, count, err := r.stepper.Collect()
	if err != nil || count == 0 && loss == 0 {
		return err
	}
	if !finite(loss) {
		return r.diverged(loss)
	}
	r.snapshot.confirm()
	r.epoch.Loss += loss
	r.epoch.Correct += correct
	r.epoch.Count += count
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// diverged gives the network its last good weights and returns a *DivergedError. The order
// matters: by now the bad gradients are in the weights, and with good weights the first
// thing that isn't finite is the layer where it began.
func (r *run) diverged(loss float64) error {
	r.stepper.opt.SwapOut()
	if err := r.snapshot.restore(); err != nil {
		return err
	}
	where, err := r.stepper.net.FirstNonFinite()
	if err != nil {
		return err
	}
	return &DivergedError{Step: r.stepper.step, Epoch: r.epochNumber(), Loss: loss, Where: where, GoodStep: r.snapshot.goodStep}
}

func (r *run) count(d time.Duration) {
	r.epoch.Seconds += d.Seconds()
	r.trainSeconds += d.Seconds()
}

func (r *run) emitStep() {
	if len(r.cfg.Listeners) == 0 {
		return
	}
	s, e := r.stepper, &r.stepDone
	rate := float64(r.epoch.Images) / r.epoch.Seconds
	*e = StepDone{
		Step: s.step, Total: s.total, Epoch: r.epochNumber(),
		Loss:            r.epoch.Loss / float64(max(1, r.epoch.Count)),
		Accuracy:        float64(r.epoch.Correct) / float64(max(1, r.epoch.Count)),
		LR:              s.opt.LR(s.step - 1),
		ImagesPerSecond: rate,
		GFLOPS:          3 * float64(s.net.FLOPs()) * rate / 1e9,
	}
	seconds := float64((s.total-s.step)*r.cfg.Batch)/rate + float64(r.viewsLeft())*r.viewSeconds
	e.ETA = time.Duration(seconds * float64(time.Second))
	r.emit(e)
}

// viewsLeft returns how often the test set will be looked at.
func (r *run) viewsLeft() int {
	if r.evaluator == nil {
		return 0
	}
	left := len(r.evaluator.views)
	last := (r.stepper.total-1)/r.stepper.perEpoch + 1
	for epoch := r.epochNumber(); epoch < last; epoch++ {
		if r.cfg.evaluates(epoch) {
			left++
		}
	}
	return left
}

// midEpoch takes the snapshot and writes the checkpoint that are due between epochs' ends.
func (r *run) midEpoch() error {
	if r.stepper.step%snapshotEvery == 0 {
		if err := r.snapshot.take(r.stepper.step); err != nil {
			return err
		}
	}
	if !r.cfg.Checkpoint.due(r.stepper.step, 0) {
		return nil
	}
	if err := r.fetch(); err != nil {
		return err
	}
	return r.checkpoint()
}

// endEpoch evaluates where that is due, and adds the epoch to the history.
func (r *run) endEpoch(ctx context.Context) error {
	s := r.stepper
	number := r.epochNumber()
	m := EpochMetrics{
		Epoch: number, Step: s.step,
		TrainLoss:       r.epoch.Loss / float64(r.epoch.Count),
		TrainAccuracy:   float64(r.epoch.Correct) / float64(r.epoch.Count),
		LR:              s.opt.LR(s.step - 1),
		ImagesPerSecond: float64(r.epoch.Images) / r.epoch.Seconds,
		Seconds:         r.epoch.Seconds,
	}
	if err := r.snapshot.take(s.step); err != nil {
		return err
	}
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
			r.progress = EvalProgress{Epoch: epoch, Done: done, Total: r.cfg.Data.Test.Len()}
			r.emit(&r.progress)
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
		return r.diverged(e.Loss)
	}
	if r.cfg.Optimizer.EMA == nil {
		r.snapshot.confirm()
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

func (r *run) checkpoint() error {
	path, err := writeCheckpoint(r.cfg.Checkpoint.Dir, r.stepper, position{
		Step: r.stepper.step, Totals: r.epoch, TrainSeconds: r.trainSeconds, TrainImages: r.trainImages, History: r.history,
	})
	if err != nil {
		return err
	}
	r.saved = r.stepper.step
	r.emit(CheckpointWritten{Path: path, Step: r.saved})
	return nil
}

func (r *run) result() *Result {
	s := r.stepper
	result := &Result{
		Summary: s.Summary(), Steps: s.step, Epochs: float64(s.step) / float64(s.perEpoch),
		TrainSeconds: r.trainSeconds, TotalSeconds: time.Since(r.began).Seconds(),
		Interrupted: r.interrupted, History: r.history, Network: s.net,
	}
	result.PeakMemory, _ = PeakMemory()
	if r.trainSeconds > 0 {
		result.ImagesPerSecond = float64(r.trainImages) / r.trainSeconds
	}
	if r.epoch.Count > 0 {
		result.FinalLoss = r.epoch.Loss / float64(r.epoch.Count)
	} else if len(r.history) > 0 {
		result.FinalLoss = r.history[len(r.history)-1].TrainLoss
	}
	if e := r.last; e != nil {
		result.TestLoss, result.TestAccuracy, result.Confusion = e.Loss, e.Accuracy, e.Confusion
		result.TestCorrect, result.TestCount = e.Correct, e.Count
	}
	return result
}
