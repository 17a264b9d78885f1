package command

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/metric"
	"trainer/nn/model"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// The files in a run's folder.

// writeConfig writes the recipe with all changes, and the settings of a run, or of several with successive seeds.
func (j *job) writeConfig(folder *report.Folder, seed uint64, runs int) error {
	r, err := j.recipe.WithRun(recipe.Run{
		Data: j.paths.data, DataDir: j.paths.dataDir, Val: j.val, Test: j.test, Seed: seed, Runs: runs, Folds: j.folds, Fold: j.fold,
		Device: j.dev.Name(), Precision: device.PrecisionOf(j.dev).String(),
		Deterministic: j.deterministic, Autotune: j.autotune, CUDAGraph: j.graph,
		Features: features(j.dev), Version: j.version(),
	})
	if err != nil {
		return err
	}
	text, err := r.TOML()
	if err != nil {
		return err
	}
	return folder.WriteConfig(text)
}

// writeResults writes the weights and the summary. A device with a fault can't return its weights.
func (j *job) writeResults(folder *report.Folder, r *train.Result, s *report.Summary) error {
	if j.dev.Sync() != nil {
		return folder.WriteSummary(s)
	}
	err := j.writeModel(folder, r, s)
	if err == nil {
		err = j.writeAnswers(folder, r.TestAnswers)
	}
	if err != nil { // a run without its network is not complete
		s.Complete = false
	}
	return errors.Join(err, folder.WriteSummary(s))
}

// writeModel writes the trained network as a model.
func (j *job) writeModel(folder *report.Folder, r *train.Result, s *report.Summary) error {
	plain, err := j.recipe.WithoutRun()
	if err != nil {
		return err
	}
	text, err := plain.TOML()
	if err != nil {
		return err
	}
	h, w, c := j.split.Train.ImageShape()
	pictures := j.recipe.Pictures
	prepare := data.Preparation{
		H: h, W: w, C: c, Resize: pictures.Resize, Background: pictures.Background, IgnoreOrientation: pictures.IgnoreOrientation,
	}
	return model.SaveIn(folder.Root(), model.FileName, r.Network, model.Info{
		Recipe: string(text), Classes: j.split.Train.Classes(), Images: model.ImagesOf(prepare, j.recipe.Augment.Mean, j.recipe.Augment.Std),
		Run: model.Run{
			ID: j.id(text, s.Seed), Program: s.Version, Data: s.Data, Recipe: s.Recipe, Weights: j.weights(),
			Finished: !r.Interrupted, TestCorrect: r.TestCorrect, TestCount: r.TestCount,
		},
	})
}

// writeAnswers writes the answer to each test image of a finished training, the worst mistakes first.
func (j *job) writeAnswers(folder *report.Folder, answers []metric.Answer) error {
	if len(answers) == 0 {
		return nil
	}
	answers = slices.Clone(answers)
	metric.WorstFirst(answers)
	var b bytes.Buffer
	if err := writeAnswers(&b, answers, j.split.Test, j.split.Train.Classes()); err != nil {
		return err
	}
	return folder.Write(report.AnswersFile, b.Bytes())
}

// id identifies a run by what decides its result: the recipe with all changes, the images of each set and the seed.
func (j *job) id(recipe []byte, seed uint64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", recipe, j.fingerprint.Hash(), seed))
	return hex.EncodeToString(sum[:6])
}

// weights says which weights the model has.
func (j *job) weights() string {
	if j.recipe.Optimizer.EMA != nil {
		return "ema"
	}
	return "last"
}

func (j *job) summary(r *train.Result, seed uint64) *report.Summary {
	return &report.Summary{
		Device: r.Device, Precision: device.PrecisionOf(j.dev).String(), Data: j.dataName(), Recipe: j.recipe.Name,
		Parameters: r.Params, Epochs: r.Epochs, Steps: r.Steps, Batch: r.Batch, Seed: seed,
		TestAccuracy: report.Number(r.TestAccuracy), TestCorrect: r.TestCorrect, TestCount: r.TestCount,
		ValAccuracy: report.Number(r.ValAccuracy), ValCorrect: r.ValCorrect, ValCount: r.ValCount, ScoredOn: scoredOn(r),
		TrainSeconds: r.TrainSeconds, TotalSeconds: j.now().Sub(j.started).Seconds(),
		ImagesPerSecond: report.Number(r.ImagesPerSecond), FinalLoss: report.Number(r.FinalLoss),
		PeakMemory: r.PeakMemory, Threads: r.Info.Threads, Interrupted: r.Interrupted,
		Go: runtime.Version(), CPU: r.Info.Description, Version: j.version(),
	}
}

// scoredOn names the set that epochs were scored on, by which settings may have been chosen.
func scoredOn(r *train.Result) string {
	switch {
	case r.ValCount > 0:
		return "validation"
	case r.TestCount > 0:
		return "test"
	}
	return ""
}

// recorder writes the metrics, and remembers the last checkpoint.
type recorder struct {
	folder    *report.Folder
	resumed   bool
	configure func() error // writes the configuration
	saved     int          // step of the checkpoint in the folder; negative if there is none
	err       error        // the first
}

// OnEvent appends a line after every epoch. When a run is resumed, its configuration is replaced only now: until training
// has begun, the old one is valid.
func (r *recorder) OnEvent(e train.Event) {
	var err error
	switch e := e.(type) {
	case train.Start:
		if r.resumed {
			r.saved = e.Step
			err = r.configure()
		}
		err = errors.Join(err, r.folder.RestoreMetrics(e.History))
	case train.EpochDone:
		err = r.folder.AddMetrics(e.EpochMetrics)
	case train.CheckpointWritten:
		r.saved = e.Step
		err = r.folder.SyncMetrics()
	}
	if r.err == nil {
		r.err = err
	}
}

// goneError is a run's folder that was removed while the run wrote to it.
type goneError struct {
	path string
	err  error
}

func (e *goneError) Error() string {
	return "the results folder " + e.path + " was removed while training: nothing can be saved"
}

// Unwrap returns the error that writing returned.
func (e *goneError) Unwrap() error { return e.err }
