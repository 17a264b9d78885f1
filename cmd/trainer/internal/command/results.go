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
	"trainer/nn"
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
		PlannedEpochs: j.plannedEpochs, InitFrom: j.initFrom, InitSHA256: j.sha256,
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

// results returns a function that writes the weights and the summary, which may be called while the next run trains. A
// device with a fault can't return its weights.
func (j *job) results(folder *report.Folder, r *train.Result, s *report.Summary) (write func() error) {
	if j.dev.Sync() != nil {
		return func() error { return folder.WriteSummary(s) }
	}
	writeModel, modelErr := j.copyModel(folder, r, s)
	test, classes := j.split.Test, j.split.Train.Classes()
	return func() error {
		err := modelErr
		if err == nil {
			err = writeModel()
		}
		if err == nil {
			err = writeAnswersTo(folder, r.TestAnswers, test, classes)
		}
		if err != nil { // a run without its network is not complete
			s.Complete = false
		}
		return errors.Join(err, folder.WriteSummary(s))
	}
}

// copyModel copies the trained network, and returns a function that writes it as a model.
func (j *job) copyModel(folder *report.Folder, r *train.Result, s *report.Summary) (write func() error, err error) {
	info, err := j.modelInfo(s.Seed)
	if err != nil {
		return nil, err
	}
	info.Run.Weights, info.Run.Finished = s.Weights, !r.Interrupted
	info.Run.TestCorrect, info.Run.TestCount = r.TestCorrect, r.TestCount
	saveIn, err := model.Copy(r.Network, info)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", folder.File(model.FileName), err)
	}
	return func() error { return saveIn(folder.Root(), model.FileName) }, nil
}

// writeBest writes a network with the weights of the best epoch so far as a model.
func (j *job) writeBest(folder *report.Folder, net *nn.Network, seed uint64) error {
	info, err := j.modelInfo(seed)
	if err != nil {
		return err
	}
	info.Run.Weights = string(train.WeightsBest)
	return model.SaveIn(folder.Root(), model.BestName, net, info)
}

// modelInfo describes the models of a run.
func (j *job) modelInfo(seed uint64) (info model.Info, err error) {
	plain, err := j.recipe.WithoutRun()
	if err != nil {
		return info, err
	}
	text, err := plain.TOML()
	if err != nil {
		return info, err
	}
	h, w, c := j.split.Train.ImageShape()
	pictures := j.recipe.Pictures
	prepare := data.Preparation{
		H: h, W: w, C: c, Resize: pictures.Resize, Background: pictures.Background, IgnoreOrientation: pictures.IgnoreOrientation,
	}
	return model.Info{
		Recipe: string(text), Classes: j.split.Train.Classes(), Images: model.ImagesOf(prepare, j.recipe.Augment.Mean, j.recipe.Augment.Std),
		Run: model.Run{ID: j.id(text, seed), Program: j.version(), Data: j.dataName(), Recipe: j.recipe.Name},
	}, nil
}

// writeAnswersTo writes the answer to each test image of a finished training, the worst mistakes first.
func writeAnswersTo(folder *report.Folder, answers []metric.Answer, test data.Set, classes []string) error {
	if len(answers) == 0 {
		return nil
	}
	answers = slices.Clone(answers)
	metric.WorstFirst(answers)
	var b bytes.Buffer
	if err := writeAnswers(&b, answers, test, classes); err != nil {
		return err
	}
	return folder.Write(report.AnswersFile, b.Bytes())
}

// id identifies a run by what decides its result: the recipe with all changes, the images of each set, the seed, and the
// file that it began with.
func (j *job) id(recipe []byte, seed uint64) string {
	text := fmt.Appendf(nil, "%s\x00%s\x00%d", recipe, j.fingerprint.Hash(), seed)
	if j.initFrom != "" {
		text = fmt.Appendf(text, "\x00%s", j.sha256)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

func (j *job) summary(r *train.Result, seed uint64) *report.Summary {
	return &report.Summary{
		Device: r.Device, Precision: device.PrecisionOf(j.dev).String(), Data: j.dataName(), Recipe: j.recipe.Name,
		Parameters: r.Params, Epochs: r.Epochs, Steps: r.Steps, Batch: r.Batch, Seed: seed,
		TestAccuracy: report.Number(r.TestAccuracy), TestCorrect: r.TestCorrect, TestCount: r.TestCount,
		ValAccuracy: report.Number(r.ValAccuracy), ValCorrect: r.ValCorrect, ValCount: r.ValCount, ValLoss: report.Number(r.ValLoss), ScoredOn: scoredOn(r), ChoicesOnTest: choicesOnTest(r),
		Weights: string(r.Weights), WeightsStep: r.WeightsStep, BestEpoch: bestEpoch(r), Stopped: r.Stopped,
		TrainSeconds: r.TrainSeconds, TotalSeconds: j.now().Sub(j.started).Seconds(),
		ImagesPerSecond: report.Number(r.ImagesPerSecond), FinalLoss: report.Number(r.FinalLoss),
		PeakMemory: r.PeakMemory, Threads: r.Info.Threads, Interrupted: r.Interrupted,
		Go: runtime.Version(), CPU: r.Info.Description, Version: j.version(),
	}
}

// bestEpoch returns the best epoch, or 0 without a validation set.
func bestEpoch(r *train.Result) int {
	if r.Best == nil {
		return 0
	}
	return r.Best.Epoch
}

// scoredOn names the set that epochs are scored on, by which settings may have been chosen.
func scoredOn(r *train.Result) string {
	switch {
	case r.ValImages > 0:
		return "validation"
	case r.TestImages > 0:
		return "test"
	}
	return ""
}

// choicesOnTest reports whether the test images, for want of validation images, scored more than one epoch, or decided when
// training stopped: who chooses an epoch, a setting or an end by these scores chooses on test.
func choicesOnTest(r *train.Result) bool {
	if scoredOn(r) != "test" {
		return false
	}
	scores := 0
	for _, m := range r.History {
		if m.Evaluated {
			scores++
		}
	}
	return scores > 1 || r.Stopped != ""
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
