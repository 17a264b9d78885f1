package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"trainer/cmd/trainer/internal/display"
	"trainer/cmd/trainer/internal/report"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/train"
	"trainer/nn/tune"
)

// The training of one trial of a search.

// trial is what a training needs to know about the search that it is part of.
type trial struct {
	label string  // of the bar; "" for no bar
	until float64 // epochs after which the training pauses; 0: never
	pause int     // the same in steps; 0: never
}

// paused is why a training ends that successive halving may continue.
const paused = "after the epochs of this round"

// The states of a trial at the end of a round.
const (
	trialFinished = "finished" // the training came to its end
	trialPaused   = "paused"   // it has done the round's epochs
	trialStopped  = "stopped"  // it stopped early, as the recipe says
	trialDiverged = "diverged"
	trialFailed   = "failed" // it could not begin, such as for lack of memory
)

// hooks end the training after the round's epochs. The schedule is that of the whole training, and the checkpoint has all
// that a continuation needs.
func (t *trial) hooks() train.Hooks {
	stop := func(r *train.Training, step int) {
		if t.pause > 0 && step >= t.pause {
			r.Stop(paused)
		}
	}
	return train.Hooks{
		Start: func(r *train.Training, s train.Start) {
			const rounding = 1e-6 // as in the number of steps of a training
			t.pause = int(math.Ceil(t.until*float64(s.StepsPerEpoch) - rounding))
			stop(r, s.Step)
		},
		Step: func(r *train.Training, s *train.StepDone) { stop(r, s.Step) },
	}
}

// display returns the bar of a trial.
func (t *trial) display(j *job) display.Display {
	if t.label == "" {
		return display.Quiet{}
	}
	return j.barOnly(t.label)
}

// trialJob returns the job of a trial in a round.
func (s *search) trialJob(ctx context.Context, dev device.Device, n, k int) (*job, error) {
	one, opt := *s.job, *s.job.options
	one.options, one.dev, one.started, one.place = &opt, dev, s.now(), s.folder.Path()
	one.trial = &trial{}
	if len(s.devices) == 1 {
		one.trial.label = fmt.Sprintf("trial %d/%d", n+1, len(s.trials))
	}
	if k < len(s.rungs)-1 {
		one.trial.until = s.rungs[k].Epochs
	}
	var err error
	if one.recipe, err = s.recipe.With(tune.Assignments(s.trials[n])...); err == nil && s.o.searchesData() {
		err = one.openTrialData(ctx)
	}
	return &one, err
}

// openTrialData opens the data set as the trial's recipe says, with the same images in each part as in the other trials.
func (j *job) openTrialData(ctx context.Context) error {
	opened, opt := *j, *j.options
	opt.resume, opt.runData = "", nil // which are those of the search
	opened.options = &opt
	if err := opened.takeData(ctx, opened.beginOpening(ctx)); err != nil {
		return err
	}
	j.recipe, j.split, j.fingerprint = opened.recipe, opened.split, opened.fingerprint
	j.split.Test = nil
	return nil
}

// trainTrial trains a trial until the end of a round, and adds its result. An error ends the search; what the settings of
// the trial are to blame for is a result.
func (s *search) trainTrial(ctx context.Context, dev device.Device, n, k int) error {
	if ctx.Err() != nil {
		return &interruptedError{"trainer tune -resume " + shellWord(s.place)}
	}
	r := report.Trial{Number: n + 1, Rung: k + 1, Settings: settingsMap(s.trials[n])}
	if before := s.result(n, k-1); before != nil && before.State == trialStopped {
		r = *before // it won't train on
		r.Rung = k + 1
		return s.add(r)
	}
	one, err := s.trialJob(ctx, dev, n, k)
	if err != nil {
		return err
	}
	folder, err := s.trialFolder(n)
	if err != nil {
		return err
	}
	defer folder.Close()
	begun := time.Now()
	summary, err := one.trainOnce(ctx, folder, s.seed, n+1, len(s.trials))
	s.mu.Lock()
	s.told = s.told || one.told // what was loaded is the same for all
	s.mu.Unlock()
	r.Seconds = time.Since(begun).Seconds()
	if summary != nil {
		r.Folder = s.trialName(n)
		takeSummary(&r, summary)
	}
	switch {
	case err == nil:
	case isA[*train.DivergedError](err):
		r.State, r.Problem = trialDiverged, oneLine(err)
	case summary == nil && isSettingsFault(err), errors.Is(err, device.ErrOutOfMemory):
		r.State, r.Problem = trialFailed, oneLine(err)
	default:
		return err
	}
	if r.State == trialDiverged || r.State == trialFailed {
		r.ValAccuracy, r.ValLoss = report.Number(math.NaN()), report.Number(math.NaN())
		r.ValCorrect, r.ValCount = 0, 0
	}
	return s.add(r)
}

// takeSummary takes the result of a training.
func takeSummary(r *report.Trial, s *report.Summary) {
	r.Epochs, r.Seconds = s.Epochs, s.TrainSeconds
	r.ValAccuracy, r.ValCorrect, r.ValCount, r.ValLoss = s.ValAccuracy, s.ValCorrect, s.ValCount, s.ValLoss
	switch s.Stopped {
	case "":
		r.State = trialFinished
	case paused:
		r.State = trialPaused
	default:
		r.State = trialStopped
	}
}

// isSettingsFault reports whether a training could not begin because of its settings.
func isSettingsFault(err error) bool {
	return isA[*nn.LayerError](err) || isA[*nn.LossError](err) || isA[*train.ConfigError](err) || isA[*optim.ConfigError](err) ||
		errors.Is(err, device.ErrNotSupported)
}

// trialFolder opens the folder of a trial.
func (s *search) trialFolder(n int) (*report.Folder, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun[n] && s.folder.Has(s.trialName(n)) {
		return s.folder.ContinueSub(s.trialName(n))
	}
	s.begun[n] = true
	return s.folder.Sub(s.trialName(n))
}
