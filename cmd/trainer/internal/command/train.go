package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"trainer/cmd/trainer/internal/display"
	"trainer/cmd/trainer/internal/report"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// trainCommand trains a network, or lists what can be trained.
func trainCommand() Command {
	return Command{Name: "train", Doc: "train a network; the default", run: runTrain}
}

func runTrain(ctx context.Context, p *program, args []string) error {
	o, err := p.parseFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		p.writeHelp()
		return nil
	}
	if err != nil {
		return err
	}
	if o.list {
		return p.list()
	}
	job, err := p.prepare(ctx, o)
	if err != nil {
		return err
	}
	defer job.dev.Close()
	if o.dryRun {
		cfg := job.config(o.seed)
		summary, err := train.DryRun(cfg)
		if err != nil {
			return job.explainStart(err, cfg)
		}
		precision := device.PrecisionOf(job.dev).String()
		if p.onePrecision(job.dev) {
			precision = ""
		}
		return writeTable(p.stdout, summary, precision)
	}
	return job.train(ctx)
}

// job is a training that is ready to begin.
type job struct {
	*program
	*options
	started time.Time
	recipe  *recipe.Recipe
	name    string // of the recipe, or its file
	split   *data.Dataset
	dev     device.Device
}

// prepare finds recipe, device and data.
func (p *program) prepare(ctx context.Context, o *options) (*job, error) {
	j := &job{program: p, options: o, started: p.now()}
	if o.resume != "" {
		if err := o.readRun(p.Kinds); err != nil {
			return nil, err
		}
	}
	if err := j.loadRecipe(); err != nil {
		return nil, err
	}
	var err error
	if j.recipePrecision, err = recipePrecision(j.recipe); err != nil {
		return nil, err
	}
	if j.dev, err = p.openDevice(o.deviceOptions); err != nil {
		return nil, err
	}
	if err = j.compareRuns(); err == nil {
		err = j.openData(ctx)
	}
	if err != nil {
		j.dev.Close()
		return nil, err
	}
	return j, nil
}

func (j *job) loadRecipe() (err error) {
	j.name = j.options.recipe
	if j.name == "" {
		j.name = j.Kinds.DefaultFor(j.data)
	}
	if j.recipe, err = j.Kinds.Load(j.name, j.changes...); err != nil {
		return err
	}
	if j.resume != "" {
		j.name = j.recipe.Name
	}
	return nil
}

// openData opens the data set, and computes mean and standard deviation if the recipe has none for it.
func (j *job) openData(ctx context.Context) error {
	split, err := data.OpenFrom(ctx, j.Kinds.DataSets, j.data, data.Options{
		Dir:          j.dataDir,
		Download:     !j.offline,
		Progress:     j.downloadProgress(),
		TestFraction: j.val,
		Seed:         j.seed,
		ImageSize:    [2]int{j.recipe.ImageSize.H, j.recipe.ImageSize.W},
		Grayscale:    j.recipe.Grayscale,
		Workers:      j.threads,
	})
	if err != nil {
		return &dataError{err}
	}
	split.Name = j.data // a folder may have the name of a data set
	j.split = split
	j.warnSkipped()
	mean, std, ok := j.recipe.MeanStd(j.data)
	if !ok {
		if mean, std, err = data.MeanStd(split.Train); err != nil {
			return &dataError{err}
		}
		for c, s := range std {
			if s == 0 { // a constant channel becomes zero
				std[c] = 1
			}
		}
	}
	j.recipe, err = j.recipe.WithMeanStd(mean, std)
	return err
}

// dataError is an invalid data set.
type dataError struct{ err error }

func (e *dataError) Error() string { return e.err.Error() }

func (e *dataError) Unwrap() error { return e.err }

// warnSkipped names images that could not be read.
func (j *job) warnSkipped() {
	const maxNames = 2
	for i, s := range j.split.Skipped {
		if i == maxNames {
			fmt.Fprintf(j.stderr, "trainer: %d more images skipped\n", len(j.split.Skipped)-maxNames)
			return
		}
		fmt.Fprintf(j.stderr, "trainer: skipped %s\n", s)
	}
}

// downloadProgress returns a function that prints the progress of downloads, one line per tenth.
func (j *job) downloadProgress() func(file string, done, total int64) {
	printed := map[string]int64{}
	return func(file string, done, total int64) {
		if total <= 0 || j.quiet {
			return
		}
		tenth := 10 * done / total
		if last, ok := printed[file]; ok && last >= tenth {
			return
		}
		printed[file] = tenth
		fmt.Fprintf(j.stderr, "downloading %s: %d%% of %s\n", file, 10*tenth, humanize.Bytes(uint64(total)))
	}
}

// recipePrecision returns the precision that a recipe names, or Auto.
func recipePrecision(r *recipe.Recipe) (device.Precision, error) {
	if r.Precision == "" {
		return device.Auto, nil
	}
	return device.ParsePrecision(r.Precision)
}

// config returns the configuration of a training with a seed.
func (j *job) config(seed uint64) train.Config {
	cfg := j.recipe.TrainConfig(j.dev, j.split, seed)
	cfg.DType = device.PrecisionOf(j.dev).DType()
	cfg.NoGraph = !j.graph
	return cfg
}

// train makes all runs and their reports.
func (j *job) train(ctx context.Context) error {
	folder, err := j.folder()
	if err != nil {
		return err
	}
	defer folder.Close()
	if j.runs == 1 {
		summary, err := j.trainOnce(ctx, folder, 1)
		j.printFinal(summary, folder)
		return err
	}
	return j.trainSeeds(ctx, folder)
}

// folder makes the folder for the results.
func (j *job) folder() (*report.Folder, error) {
	switch {
	case j.resume != "":
		return report.Continue(j.out)
	case j.out != "":
		return report.Create(j.out)
	}
	return report.Unused(report.DefaultPath(j.now(), j.data, j.name))
}

// trainSeeds makes several runs, each with its own folder in the folder.
func (j *job) trainSeeds(ctx context.Context, folder *report.Folder) error {
	var all []report.Summary
	for n := 1; n <= j.runs; n++ {
		sub, err := folder.Sub(fmt.Sprintf("seed-%d", j.seed+uint64(n-1)))
		if err != nil {
			return err
		}
		summary, err := j.trainOnce(ctx, sub, n)
		sub.Close()
		if summary != nil {
			all = append(all, *summary)
		}
		j.printFinal(summary, sub)
		if err != nil {
			if len(all) > 0 {
				err = errors.Join(err, folder.WriteSummary(report.Summarize(all)))
			}
			return err
		}
	}
	runs := report.Summarize(all)
	j.printRuns(runs)
	return folder.WriteSummary(runs)
}

// trainOnce makes one run and its report. If training had begun, it returns a summary even with an error.
func (j *job) trainOnce(ctx context.Context, folder *report.Folder, number int) (*report.Summary, error) {
	seed := j.seed + uint64(number-1)
	configure := func() error { return j.writeConfig(folder, seed) }
	if j.resume == "" {
		if err := configure(); err != nil {
			return nil, err
		}
	}
	shown := j.display(display.Run{
		Data: j.data, Recipe: j.recipe.Name, Number: number, Of: j.runs, Seed: seed, Precision: device.PrecisionOf(j.dev).String(),
		OnePrecision: j.onePrecision(j.dev),
	})
	defer shown.Close()
	kept := &recorder{folder: folder, resumed: j.resume != "", configure: configure, saved: -1}

	cfg := j.config(seed)
	cfg.Listeners = []train.Listener{kept, shown}
	cfg.Checkpoint = train.Checkpoint{Dir: folder.Path(), EveryEpochs: j.checkpoint.epochs, EverySteps: j.checkpoint.steps}
	cfg.Resume = j.resume
	result, err := train.Run(ctx, cfg)
	shown.Close()
	if result == nil { // training has not begun: leave nothing behind
		folder.Discard()
		return nil, j.explainStart(err, cfg)
	}
	if err != nil {
		err = j.explainFailure(err, folder.Path(), kept.saved)
	}
	summary := j.summary(result, seed)
	err = errors.Join(err, kept.err, j.writeResults(folder, result, summary))
	if err == nil && result.Interrupted {
		err = &interruptedError{folder.Path()}
	}
	return summary, err
}

// writeConfig writes the recipe with all changes, and the settings of the run.
func (j *job) writeConfig(folder *report.Folder, seed uint64) error {
	r, err := j.recipe.WithRun(recipe.Run{
		Data: j.data, DataDir: j.dataDir, Val: j.val, Seed: seed,
		Device: j.dev.Name(), Precision: device.PrecisionOf(j.dev).String(),
		Deterministic: j.deterministic, Autotune: j.autotune, CUDAGraph: j.graph,
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
	err := train.SaveWeights(folder.File(report.WeightsFile), r.Network, map[string]string{
		"recipe": s.Recipe, "data": s.Data, "classes": strings.Join(j.split.Train.Classes(), ", "),
	})
	return errors.Join(err, folder.WriteSummary(s))
}

func (j *job) summary(r *train.Result, seed uint64) *report.Summary {
	return &report.Summary{
		Device: r.Device, Precision: device.PrecisionOf(j.dev).String(), Data: j.data, Recipe: j.recipe.Name,
		Parameters: r.Params, Epochs: r.Epochs, Steps: r.Steps, Batch: r.Batch, Seed: seed,
		TestAccuracy: report.Number(r.TestAccuracy), TestCorrect: r.TestCorrect, TestCount: r.TestCount,
		TrainSeconds: r.TrainSeconds, TotalSeconds: j.now().Sub(j.started).Seconds(),
		ImagesPerSecond: report.Number(r.ImagesPerSecond), FinalLoss: report.Number(r.FinalLoss),
		PeakMemory: r.PeakMemory, Threads: r.Info.Threads, Interrupted: r.Interrupted,
		Go: runtime.Version(), CPU: r.Info.Description, Version: j.version(),
	}
}

// display returns the display for a run.
func (j *job) display(run display.Run) display.Display {
	switch {
	case j.json:
		return display.NewJSON(j.stdout, run)
	case j.quiet:
		return display.Quiet{}
	case j.terminal:
		return display.NewBar(j.stdout, run)
	}
	return display.NewLines(j.stdout, run)
}

// printFinal prints a run's result.
func (j *job) printFinal(s *report.Summary, folder *report.Folder) {
	if s == nil {
		return
	}
	if j.json {
		j.printJSON("summary", s)
		return
	}
	if !j.quiet {
		steps := fmt.Sprintf("%d steps", s.Steps)
		if s.TrainSeconds > 0 {
			steps += fmt.Sprintf(" in %.1fs", s.TrainSeconds)
		}
		fmt.Fprintf(j.stdout, "%s, results in %s\n", steps, folder.Path())
	}
	if s.TestCount > 0 {
		fmt.Fprintf(j.stdout, "test accuracy %.2f%% (%d/%d)\n", 100*s.TestAccuracy, s.TestCorrect, s.TestCount)
	}
}

// printRuns prints the result of several runs.
func (j *job) printRuns(r report.Runs) {
	if j.json {
		j.printJSON("runs", r)
		return
	}
	fmt.Fprintf(j.stdout, "test accuracy %.2f%% +- %.2f%% (mean and standard deviation of %d runs)\n",
		100*r.TestAccuracy, 100*r.TestAccuracyStd, len(r.Runs))
}

// printJSON prints a value as one line. A closed pipe is not an error.
func (j *job) printJSON(event string, v any) {
	_ = json.NewEncoder(j.stdout).Encode(map[string]any{"event": event, event: v})
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
			err = errors.Join(r.configure(), r.folder.Rewind(e.Step))
		}
	case train.EpochDone:
		err = r.folder.AddMetrics(e.EpochMetrics)
	case train.CheckpointWritten:
		r.saved = e.Step
	}
	if r.err == nil {
		r.err = err
	}
}
