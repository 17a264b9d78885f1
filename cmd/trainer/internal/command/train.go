package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"

	"trainer/cmd/trainer/internal/cockpit"
	"trainer/cmd/trainer/internal/display"
	"trainer/cmd/trainer/internal/report"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/printable"
	"trainer/nn/train"
)

// trainCommand trains a network, or lists what can be trained.
func trainCommand() Command {
	return Command{Name: "train", Doc: "train a network; the default", run: runTrain}
}

func runTrain(ctx context.Context, p *program, args []string) error {
	t, err := p.joinRanks(ctx)
	if err != nil {
		return p.leave(t, err)
	}
	o, err := p.parseFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		return p.leave(t, nil)
	}
	if err == nil && t == nil && o.gpus != "" {
		t, err = p.startRanks(o, args)
	}
	return p.leave(t, p.trainAs(ctx, t, o, err))
}

// trainAs trains as one of several ranks, or alone. err is a mistake in the arguments, of which all ranks learn.
func (p *program) trainAs(ctx context.Context, t *team, o *options, err error) (trainErr error) {
	if err = t.agree(err); err != nil {
		return err
	}
	if err = t.sameTask(o); err != nil {
		return err
	}
	if err = t.agree(p.shareTraining(o, t)); err != nil {
		return err
	}
	switch {
	case o.list:
		return p.list(o.json)
	case o.showVersion:
		return p.printVersion(o.json)
	}
	p, restore := p.outlastingReaders()
	defer restore()
	job, err := p.prepareAs(ctx, o, t)
	if job != nil {
		defer job.close()
	}
	if err = t.agree(err); err != nil {
		return err
	}
	if job != nil { // before the device is closed
		defer func() { t.fail(trainErr) }()
	}
	job.chooseAutotune()
	if t != nil {
		if err = t.agree(job.connect()); err != nil {
			return err
		}
	}
	if o.dryRun {
		return job.printTable()
	}
	if o.serve != "" {
		return job.serveTraining(ctx)
	}
	return job.train(ctx)
}

// dryRunSummary returns the summary of a training that isn't begun.
func (j *job) dryRunSummary() (*train.Summary, error) {
	cfg := j.config(j.seed)
	summary, err := train.DryRun(cfg)
	if err != nil {
		return nil, j.explainStart(err, cfg)
	}
	return summary, nil
}

// table returns what -dry-run -json prints.
func (j *job) table() (any, error) {
	summary, err := j.dryRunSummary()
	if err != nil {
		return nil, err
	}
	return cockpit.TableOf(summary, j.shownPrecision(), j.describePictures()), nil
}

// printTable prints what -dry-run does.
func (j *job) printTable() error {
	if j.json {
		table, err := j.table()
		if err != nil {
			return err
		}
		return json.NewEncoder(j.stdout).Encode(table)
	}
	summary, err := j.dryRunSummary()
	if err != nil {
		return err
	}
	for _, line := range j.describePictures() {
		fmt.Fprintln(j.stdout, printable.Text(line))
	}
	return writeTable(j.stdout, summary, j.shownPrecision())
}

// shownPrecision returns the precision of the device, or "" if it has only one.
func (j *job) shownPrecision() string {
	if j.onePrecision(j.dev) {
		return ""
	}
	return device.PrecisionOf(j.dev).String()
}

// train makes all runs and their reports.
func (j *job) train(ctx context.Context) error {
	if j.follows() {
		if err := j.team.agree(nil); err != nil {
			return err
		}
		return j.follow(ctx)
	}
	folder, err := j.folder()
	if err = j.team.agree(err); err != nil {
		return err
	}
	defer folder.Close()
	j.place = folder.Path()
	j.describeRanks()
	if err := j.late.writeTo(folder, j.split.Skipped); err != nil {
		return err
	}
	if j.isFolded() {
		return j.trainFolds(ctx, folder)
	}
	if j.runs == 1 {
		summary, err := j.trainOnce(ctx, folder, j.seed, 1, 1)
		j.printFinal(summary, folder)
		return err
	}
	return j.trainSeeds(ctx, folder)
}

// folder returns the folder for the results: that of the run that is continued, or a new one.
func (j *job) folder() (*report.Folder, error) {
	switch {
	case j.continued != nil:
		return j.continued, nil
	case j.out != "":
		return report.Create(j.out)
	}
	return report.Unused(report.DefaultPath(j.now(), j.dataName(), j.name))
}

// trainSeeds makes several runs, each with its own folder in the folder. Runs that have come to their end are kept when
// the whole is continued.
func (j *job) trainSeeds(ctx context.Context, folder *report.Folder) error {
	if err := errors.Join(folder.WriteData(j.fingerprint), j.writeConfig(folder, j.seed, j.runs)); err != nil {
		return err
	}
	var all []*report.Summary
	var late lateResults
	var err error
	for n := 1; n <= j.runs && err == nil; n++ {
		var summary *report.Summary
		summary, err = j.trainSeed(ctx, folder, n, &late)
		if summary != nil {
			all = append(all, summary)
		}
	}
	if err = errors.Join(err, late.wait()); err != nil {
		if len(all) > 0 {
			return errors.Join(err, folder.WriteSummary(report.Summarize(values(all))))
		}
		folder.Discard()
		return err
	}
	if err := j.team.announce(nextRun{}); err != nil {
		return err
	}
	runs := report.Summarize(values(all))
	if err := folder.WriteSummary(runs); err != nil {
		return err
	}
	j.printRuns(runs)
	return nil
}

// values returns what the pointers point to.
func values(all []*report.Summary) (list []report.Summary) {
	for _, s := range all {
		list = append(list, *s)
	}
	return list
}

// trainSeed makes one of several runs, continues it, or returns the summary that it left. The files of a run that came to
// its end are written later, while the next one trains.
func (j *job) trainSeed(ctx context.Context, folder *report.Folder, number int, late *lateResults) (*report.Summary, error) {
	sub, err := folder.Sub(j.folderOf(number))
	if err != nil {
		return nil, err
	}
	if !sub.Fresh() {
		if done := sub.ReadComplete(); done != nil && j.enough(done) {
			sub.Close()
			return done, nil
		}
	}
	if err := j.team.announce(nextRun{number, j.checkpointIn(sub) != ""}); err != nil {
		sub.Close()
		return nil, err
	}
	run, err := j.trainRun(ctx, sub, j.seedOf(number), number, j.runs)
	if err == nil && run.err == nil && !run.interrupted {
		return run.summary, j.finishLater(run, sub, late)
	}
	defer sub.Close()
	if err != nil {
		return nil, err
	}
	err = j.finishRun(run, sub, nil)
	j.printFinal(run.summary, sub)
	return run.summary, err
}

// trainOnce makes one run and its report, or continues one: run number of several. If training had begun, it returns a
// summary even with an error.
func (j *job) trainOnce(ctx context.Context, folder *report.Folder, seed uint64, number, of int) (*report.Summary, error) {
	run, err := j.trainRun(ctx, folder, seed, number, of)
	if err != nil {
		return nil, err
	}
	return run.summary, j.finishRun(run, folder, nil)
}

// endedRun is a run whose training has ended, and whose results have still to be written.
type endedRun struct {
	summary     *report.Summary
	write       func() error
	interrupted bool
	err         error // of training
}

// finishRun writes the results of a run. err is an error of its last checkpoint.
func (j *job) finishRun(run *endedRun, folder *report.Folder, err error) error {
	if err != nil {
		run.summary.Complete = false
	}
	writing := j.phases.begin("files of the results")
	err = errors.Join(run.err, err, run.write())
	writing()
	switch {
	case err != nil && folder.Gone():
		return &goneError{folder.Path(), err}
	case err == nil && run.interrupted:
		return &interruptedError{j.continuation()}
	}
	return err
}

// finishLater begins to write the results of a run, and to close its folder, while the next one trains. A program that reads the
// output hears of the last checkpoint and of the results when they are on the disk: after the epochs of the next run, whatever the
// disk's speed. A person reads the results at once.
func (j *job) finishLater(run *endedRun, folder *report.Folder, late *lateResults) error {
	if !j.json {
		j.printFinal(run.summary, folder)
	}
	wait := j.shared.LastCheckpoint()
	var last *train.CheckpointWritten
	write := func() (err error) {
		defer folder.Close()
		last, err = wait()
		return j.finishRun(run, folder, err)
	}
	return late.begin(write, func() {
		if !j.json {
			return
		}
		if last != nil {
			display.NewJSON(j.stdout, display.Run{}).Checkpoint(*last)
		}
		j.printFinal(run.summary, folder)
	})
}

// trainRun makes one run, or continues one: run number of several. It returns an error only if training did not begin.
func (j *job) trainRun(ctx context.Context, folder *report.Folder, seed uint64, number, of int) (*endedRun, error) {
	configure := func() error {
		return errors.Join(folder.WriteData(j.fingerprint), j.writeConfig(folder, seed, 1))
	}
	if folder.Fresh() {
		if err := configure(); err != nil {
			return nil, err
		}
	}
	shown := j.display(display.Run{
		Data: j.dataName(), Recipe: j.recipe.Name, Number: number, Of: of, Folds: j.folds > 0, Seed: seed, Precision: device.PrecisionOf(j.dev).String(),
		OnePrecision: j.onePrecision(j.dev), Pictures: j.describePictures(),
	})
	defer shown.Close()
	kept := &recorder{folder: folder, resumed: !folder.Fresh(), configure: configure, saved: -1}
	kept.changeRates = func(changes []optim.RateChange) (err error) {
		j.recipe, err = j.recipe.WithRateChanges(changes)
		return err
	}
	kept.writeBest = func(net *nn.Network) error { return j.writeBest(folder, net, seed) }

	resume := j.checkpointIn(folder)
	if resume == "" {
		if err := j.openInitial(ctx); err != nil {
			folder.Discard()
			return nil, err
		}
	}
	cfg := j.config(seed)
	events := &board{job: j, folder: folder}
	cfg.Hooks = []train.Hooks{kept.hooks(), events.hooks(), shown.Hooks(), j.extensionHooks(), j.lagHooks()}
	if j.trial != nil {
		cfg.Hooks = append(cfg.Hooks, j.trial.hooks())
	}
	if j.phases != nil {
		cfg.Hooks = append(cfg.Hooks, j.phases.hooks())
	}
	j.watched(&cfg, folder)
	cfg.Checkpoint = train.Checkpoint{Dir: folder.Path(), EveryEpochs: j.checkpoint.epochs, EverySteps: j.checkpoint.steps, Every: j.checkpoint.time}
	cfg.Resume, cfg.Extend = resume, j.plannedEpochs > 0
	result, err := train.Run(ctx, cfg)
	shown.Close()
	if result == nil { // training has not begun: leave nothing behind
		folder.Discard()
		return nil, j.explainStart(err, cfg)
	}
	if err != nil {
		err = j.explainFailure(err, kept.saved)
	}
	err = errors.Join(err, kept.err, events.close())
	summary := j.summary(result, seed)
	summary.Complete = err == nil && !result.Interrupted
	return &endedRun{summary, j.results(folder, result, summary), result.Interrupted, err}, nil
}

// continuation returns the command that continues what was stopped.
func (j *job) continuation() string {
	if j.trial != nil {
		return "trainer tune -resume " + shellWord(j.place)
	}
	return "trainer -resume " + j.place
}

// checkpointIn returns the path of the checkpoint to continue from, or "". A run that was killed before its first
// checkpoint begins again.
func (j *job) checkpointIn(folder *report.Folder) string {
	name := report.CheckpointFile
	if j.runs == 1 && j.checkpointFile != "" {
		name = j.checkpointFile
	}
	if folder.Fresh() || !folder.Has(name) {
		return ""
	}
	return folder.File(name)
}
