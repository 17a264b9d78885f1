package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/folder"
	"trainer/nn/metric"
)

// Result is the result of a training run.
type Result struct {
	Summary
	Steps           int     // steps done, including those before a resumed checkpoint
	Epochs          float64 // the same in epochs
	TrainSeconds    float64 // in steps, without evaluation and checkpoints
	TotalSeconds    float64 // since Run was called
	ImagesPerSecond float64 // of training

	FinalLoss float64 // mean over the last epoch's examples

	// The results of the weights in Network on the test set. TestCount is 0 if there is no evaluation of these weights, as
	// when training was interrupted within an epoch.
	TestLoss     float64
	TestAccuracy float64 // 0 to 1
	TestCorrect  int
	TestCount    int
	Confusion    [][]int // [class][answer]; nil without an evaluation, or with more than MaxConfusionClasses classes

	// TestAnswers has the answer to each test image, in the order of the set, if training was finished.
	TestAnswers []metric.Answer

	// The same for the validation set.
	ValLoss     float64
	ValAccuracy float64
	ValCorrect  int
	ValCount    int

	PeakMemory  int64 // bytes of the process; 0 when unknown
	Interrupted bool  // the context was cancelled
	// Stopped says why training ended before its last step, "" if it did not: see Stop and Training.Stop.
	Stopped string
	History []EpochMetrics

	// Mean and Std normalise the images, per channel: those of the configuration, or else of the training set.
	Mean, Std []float32

	// Network has the weights that Config.Weights names. After a diverged loss they are the last good ones, or those of the
	// best epoch.
	Network     *nn.Network
	Weights     Weights // which weights these are
	WeightsStep int     // after how many steps
	Best        *Best   // the best epoch; nil without a validation set
}

// Run trains a network. If ctx is cancelled, Run finishes the current step, writes a checkpoint if checkpoints are on,
// and returns a Result with Interrupted set, and no error. Config.Stop or a hook may end training early. A loss that is not
// finite is a *DivergedError; on an asynchronous device it is noticed some steps later. Once training has begun, Run
// returns a Result with every error, so that the trained weights can be saved.
//
// The error for invalid settings is a *ConfigError, *optim.ConfigError, *nn.LayerError or
// *nn.LossError; for a checkpoint of another training it is a *MismatchError, and for a damaged
// checkpoint ErrDamaged.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	r := &run{cfg: cfg, began: time.Now()}
	defer r.close()
	err := r.identifyData(ctx)
	if err == nil {
		err = r.open()
	}
	if err = r.agree(err); err == nil {
		err = r.divideState()
	}
	if err != nil {
		return nil, err
	}
	r.start()
	err = r.train(ctx)
	if keepErr := r.keep(); err == nil {
		err = keepErr
	}
	if err == nil && !r.interrupted {
		err = r.evaluateKept(ctx)
	}
	if r.follows() {
		err = followed(err)
	}
	if saveErr := r.finishLast(err); err == nil {
		err = saveErr
	}
	r.whole = err == nil && !r.interrupted
	result := r.result()
	for _, h := range r.hooks {
		if h.Finish != nil {
			h.Finish(&r.training, result)
		}
	}
	return result, err
}

// finishLast waits for the last checkpoint, or after a training without an error leaves it to those that follow. Ranks wait,
// because all are to learn of an error.
func (r *run) finishLast(err error) error {
	if err == nil && !r.interrupted && r.cfg.Shared != nil && r.cfg.Ranks == nil {
		return r.handOver()
	}
	return r.finishSave()
}

// run is one call of Run.
type run struct {
	equipment
	cfg     Config
	loaders map[*sized]*data.Loader // of each size of images, once it is needed
	loader  *data.Loader            // of the current epoch
	best    bestWeights

	hooks     []Hooks // Config.Stop, then Config.Hooks
	training  Training
	stepHooks bool // a hook wants steps
	logEvery  int  // steps from one line of the log to the next; 0: no hook wants them

	began        time.Time
	firstStep    int // steps already done in the checkpoint
	extension    *Extension
	epoch        totals // of the current epoch
	logged       totals // the same at the last line of the log
	progress     progress
	trainSeconds float64 // over all epochs
	trainImages  int
	evalSeconds  float64 // of the last epoch's evaluations
	viewSeconds  float64 // estimate for later evaluations, per view
	history      []EpochMetrics
	last         scored // on the test set
	lastVal      scored // on the validation set
	interrupted  bool
	stopped      string         // why training ends early
	ended        bool           // there are no more steps
	kept         held           // the weights that the network has at the end
	keptAs       Weights        // "" before the end
	folder       *folder.Folder // for checkpoints; nil without
	save         *save          // the checkpoint that is being written; nil if there is none
	saved        int            // steps at the last checkpoint; -1 before the first
	savedAt      time.Time      // when it was begun, or the run
	timeUp       bool           // Checkpoint.Every has passed since savedAt; decided once a step, by observe
	saveAsked    bool           // a hook wants a checkpoint
	divided      *dividedState  // nil unless the optimiser's states are divided over ranks
	wait         func()         // what training waits for before the next step; nil if it doesn't wait
	whole        bool           // training came to its end without an error
}

// snapshotEvery is the number of steps from one snapshot to the next within an epoch.
const snapshotEvery = 100

// build allocates everything that training needs on the device.
func (r *run) build() (err error) {
	if r.cfg.Resume != "" && r.cfg.LastBatch == DefaultLastBatch { // the default was another one in older versions
		r.cfg.LastBatch = lastBatchOf(r.cfg.Resume)
	}
	if r.cfg.Resume != "" {
		if err := keepAlgorithms(r.cfg.Resume, r.cfg.Device); err != nil {
			return err
		}
	}
	if err := r.equip(); err != nil {
		return err
	}
	if err := r.checkSchedule(); err != nil {
		return err
	}
	return r.cfg.Stop.check(r)
}

// buildHooks collects the hooks, and finds out what they want.
func (r *run) buildHooks() {
	r.training.run = r
	if r.cfg.Stop != (Stop{}) {
		r.hooks = append(r.hooks, r.cfg.Stop.hooks())
	}
	r.hooks = append(r.hooks, r.cfg.Hooks...)
	for _, h := range r.hooks {
		r.stepHooks = r.stepHooks || h.Step != nil
		if h.Log != nil {
			r.logEvery = r.cfg.logEvery()
		}
	}
}

// checkSchedule returns an error if the schedule follows evaluations that don't take place.
func (r *run) checkSchedule() error {
	switch {
	case !r.stepper.opt.NeedsEvaluations():
		return nil
	case r.validator == nil:
		return &ConfigError{Setting: "schedule", Problem: "it follows results on a validation set, and there is none: hold out some training images, such as a tenth (-val 0.1)"}
	case r.cfg.EvalEvery < 0:
		return &ConfigError{Setting: "schedule", Problem: "it follows results on the validation set, which is evaluated only at the end: set eval-every to 1"}
	}
	return nil
}

// newEvaluator returns an evaluator for the set, or nil if the set is nil.
func (r *run) newEvaluator(set data.Set, views []TTAView) (*Evaluator, error) {
	if set == nil || set.Len() == 0 {
		return nil, nil
	}
	a := r.cfg.Augment
	e, err := newEvaluator(r.stepper.net, set, a.Mean, a.Std, views, r.cfg.Shared)
	if err == nil {
		e.SetViewsShare(r.cfg.TTAShare)
		r.shareEvaluations(e)
	}
	return e, err
}

// open prepares everything for the first step.
func (r *run) open() (err error) {
	if err := r.build(); err != nil {
		return err
	}
	r.loaders = map[*sized]*data.Loader{}
	if r.cfg.Checkpoint.Dir != "" {
		if r.folder, err = openFolder(r.cfg.Checkpoint.Dir); err != nil {
			return err
		}
		if err = r.equipSaver(); err != nil {
			return err
		}
	}
	r.saved, r.savedAt = -1, time.Now()
	r.best = newBestWeights(r.stepper.net)
	r.cfg.MetricsEvery = r.cfg.statsEvery()
	r.buildHooks()
	if r.cfg.Resume != "" {
		if err := r.resume(); err != nil {
			return err
		}
	}
	if err := r.chooseLoader(); err != nil {
		return err
	}
	r.firstStep = r.stepper.step
	r.snapshot.begin(r.firstStep)
	if err = r.equipStatistics(); err != nil {
		return err
	}
	return r.statistics.begin(r.epoch)
}

// identifyData computes the fingerprint of the data if checkpoints or other ranks need it and the caller has none.
func (r *run) identifyData(ctx context.Context) error {
	c := &r.cfg
	if c.DataHash != "" || c.Checkpoint.Dir == "" && c.Resume == "" && !c.hasRanks() {
		return nil
	}
	if err := c.check(); err != nil { // such as no training images
		return err
	}
	f, err := c.Data.Fingerprint(ctx, false)
	if err != nil {
		return err
	}
	c.DataHash = f.Hash()
	return nil
}

func (r *run) resume() error {
	p, err := readCheckpoint(r.cfg.Resume, r.stepper, &r.best)
	if err != nil {
		return err
	}
	r.epoch, r.logged, r.history = p.Totals.withWeight(), p.Logged, p.History
	if r.cfg.Extend && p.Step < r.stepper.total {
		r.history = withoutShortEpoch(r.history, r.stepper.perEpoch)
	}
	for _, m := range r.history {
		r.informSchedule(m)
	}
	r.trainSeconds, r.trainImages = p.TrainSeconds, p.TrainImages
	if r.cfg.Extend {
		r.extension = r.stepper.extension(p)
	}
	return nil
}

func (r *run) close() {
	for _, l := range r.loaders {
		l.Close()
	}
	if r.folder != nil {
		_ = r.folder.Close() // all files in it are closed
	}
	if !r.whole || !r.cfg.Shared.leave(&r.equipment) {
		r.equipment.close()
	}
}

// start tells the hooks that training begins.
func (r *run) start() {
	e := Start{Summary: r.summary(), Step: r.stepper.step, History: r.history, RateChanges: r.cfg.RateChanges, Extension: r.extension}
	for _, h := range r.hooks {
		if h.Start != nil {
			h.Start(&r.training, e)
		}
	}
}

// over reports whether there are no more steps to do.
func (r *run) over() bool {
	return r.stepper.step == r.stepper.total || r.interrupted || r.stopped != ""
}

// train runs the remaining epochs and writes the final checkpoint.
func (r *run) train(ctx context.Context) error {
	s := r.stepper
	// An interruption may have come after an epoch's last step, before its evaluation.
	if s.step > 0 && r.atEnd() && len(r.history) < r.epochNumber() {
		if err := r.closeEpoch(ctx); err != nil {
			return err
		}
	}
	for !r.over() {
		if err := r.load(ctx); err != nil {
			return err
		}
		if r.over() {
			break
		}
		if err := r.chooseLoader(); err != nil {
			return err
		}
		r.loader.Start(s.step/s.perEpoch, s.batch())
		if err := r.trainEpoch(ctx); err != nil {
			return err
		}
		if err := r.pause(); err != nil {
			return err
		}
	}
	if err := r.collectState(); err != nil {
		return err
	}
	if r.cfg.Checkpoint.Dir != "" && r.saved != s.step {
		return r.checkpoint()
	}
	return nil
}

// load copies the training images to the device, if they are to be kept there.
func (r *run) load(ctx context.Context) error {
	if r.group() != nil { // all ranks stop after the same step: see stops
		ctx = context.WithoutCancel(ctx)
	}
	changed, err := r.stepper.load(ctx)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		r.interrupted = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("training images: %w", err)
	}
	if changed {
		r.dropLoader()
	}
	return nil
}

// atEnd reports whether the steps done end an epoch; the last epoch may be short.
func (r *run) atEnd() bool {
	return r.stepper.step%r.stepper.perEpoch == 0 || r.stepper.step == r.stepper.total
}

// epochNumber returns the epoch of the last step, from 1.
func (r *run) epochNumber() int { return (r.stepper.step-1)/r.stepper.perEpoch + 1 }

// trainEpoch trains to the end of the epoch, or of training, and evaluates. The time that hooks take between two
// steps counts as training time if the device works in the meantime.
func (r *run) trainEpoch(ctx context.Context) error {
	start := time.Now()
	for {
		if r.stops(ctx) {
			err := r.collect()
			r.count(time.Since(start))
			return err
		}
		err := r.step()
		if err == nil {
			err = r.observe()
		}
		now := time.Now()
		r.count(now.Sub(start))
		start = now
		if err != nil {
			return err
		}
		r.emitStep()
		if r.atEnd() {
			return r.closeEpoch(ctx)
		}
		if err := r.midEpoch(); err != nil {
			return err
		}
		if err := r.pause(); err != nil {
			return err
		}
		if r.progress.step == r.stepper.step {
			start = time.Now()
		}
	}
}

// step trains on the next batches, up to and including the next update.
func (r *run) step() error {
	for step := r.stepper.step; r.stepper.step == step; {
		b, err := r.loader.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("step %d: %w", step, err)
		}
		r.epoch.Images += b.Whole()
		r.trainImages += b.Whole()
		start := time.Now()
		err = r.stepper.Step(b)
		if g := r.group(); g != nil {
			g.computed(time.Since(start))
		}
		r.loader.Release(b)
		if err != nil {
			return err
		}
	}
	return nil
}

// checkpoint begins to write a checkpoint.
func (r *run) checkpoint() error {
	r.saved, r.savedAt, r.timeUp, r.saveAsked = r.stepper.step, time.Now(), false, false
	return r.startSave(position{
		Step: r.stepper.step, Totals: r.epoch, Logged: r.logged, TrainSeconds: r.trainSeconds, TrainImages: r.trainImages, History: r.history,
	})
}

func (r *run) result() *Result {
	s := r.stepper
	result := &Result{
		Summary: r.summary(), Steps: s.step, Epochs: float64(s.step) / float64(s.perEpoch),
		TrainSeconds: r.trainSeconds, TotalSeconds: time.Since(r.began).Seconds(),
		Interrupted: r.interrupted, Stopped: r.stopped, History: r.history, Network: s.net,
		Mean: r.cfg.Augment.Mean, Std: r.cfg.Augment.Std,
	}
	result.PeakMemory, _ = PeakMemory()
	result.ImagesPerSecond = perSecond(r.trainImages, r.trainSeconds)
	if r.epoch.Count > 0 {
		result.FinalLoss = mean(r.epoch.Loss, r.epoch.Weight)
	} else if len(r.history) > 0 {
		result.FinalLoss = r.history[len(r.history)-1].TrainLoss
	}
	r.addScores(result)
	return result
}
