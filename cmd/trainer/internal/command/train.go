package command

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"trainer/cmd/trainer/internal/display"
	"trainer/cmd/trainer/internal/report"
	"trainer/internal/printable"
	"trainer/nn/device"
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
		for _, line := range job.describePictures() {
			fmt.Fprintln(p.stdout, printable.Text(line))
		}
		return writeTable(p.stdout, summary, precision)
	}
	return job.train(ctx)
}

// train makes all runs and their reports.
func (j *job) train(ctx context.Context) error {
	folder, err := j.folder()
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.WriteSkipped(j.split.Skipped); err != nil {
		return err
	}
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
		OnePrecision: j.onePrecision(j.dev), Pictures: j.describePictures(),
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
