package command

import (
	"cmp"
	"context"
	"strings"
	"time"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/model"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// A job is what trainer train and trainer draw run have in common: a recipe, a device and data.

// job is a training that is ready to begin.
type job struct {
	*program
	*options
	started time.Time
	phases  *phases // nil unless somebody wants to know
	recipe  *recipe.Recipe
	loaded  *recipe.Recipe // the same before the data added to it
	name    string         // of the recipe, or its file
	split   *data.Dataset
	// ownValidation reports whether the data set has validation images, which are not held out of the training images.
	ownValidation bool
	dev           device.Device

	initial *model.Weights // what training begins with; nil for the initialisers' weights
	told    bool           // what was loaded from it has been printed

	fingerprint *data.Fingerprint // of the data; nil for a dry run
	paths       paths
	place       string // the folder for the results, as -resume takes it
	late        *lateSkips
	continued   *report.Folder // the locked folder of the run that is continued; nil otherwise
	trial       *trial         // nil outside of a search
	shared      train.Shared   // by the runs, which follow one another
	team        *team          // the other ranks of this training; nil if there are none
	watch       *watch         // nil if no page follows the training
}

func (p *program) newJob(o *options) *job {
	return &job{program: p, options: o, started: p.now(), phases: p.newPhases(), late: &lateSkips{note: p.note}}
}

// prepare finds recipe, device and data.
func (p *program) prepare(ctx context.Context, o *options) (*job, error) {
	return p.prepareAs(ctx, o, nil)
}

// prepareAs is prepare as one of several ranks.
func (p *program) prepareAs(ctx context.Context, o *options, t *team) (*job, error) {
	j := p.newJob(o)
	j.team = t
	if o.resume != "" {
		if err := o.readRun(p.Kinds); err != nil {
			return nil, err
		}
	} else if err := j.openInitial(ctx); err != nil {
		return nil, err
	}
	if err := j.loadRecipe(); err != nil {
		return nil, err
	}
	var err error
	j.loaded = j.recipe
	if j.recipePrecision, err = recipePrecision(j.recipe); err != nil {
		return nil, err
	}
	if err := j.findPaths(); err != nil {
		return nil, err
	}
	if err = j.rankDevice(); err == nil {
		err = j.shareBatches()
	}
	if err != nil {
		return nil, err
	}
	opened, opening := j.beginOpening(ctx), j.phases.begin("device: context and libraries")
	j.dev, err = p.openDevice(o.deviceOptions)
	opening()
	if err != nil {
		opened.abandon()
		return nil, err
	}
	if err = j.compareRuns(); err == nil && o.resume != "" && !o.dryRun && !j.follows() {
		j.continued, err = report.Continue(o.out)
	}
	if err == nil {
		err = j.takeData(ctx, opened)
	}
	if err != nil {
		opened.abandon()
		j.close()
		return nil, err
	}
	return j, nil
}

// close closes the device and the folder.
func (j *job) close() {
	if j.continued != nil {
		j.continued.Close()
	}
	if err := j.watch.close(); err != nil {
		j.note("%v", err)
	}
	closing := j.phases.begin("closing the device")
	j.shared.Close()
	j.dev.Close()
	closing()
	j.phases.print(j.note)
}

func (j *job) loadRecipe() (err error) {
	j.name = j.options.recipe
	if j.name == "" && j.initial != nil && j.initial.Info() != nil {
		return j.recipeOfInitial()
	}
	if j.name == "" {
		if j.data == "" {
			j.data = defaultData
		}
		j.name = j.Kinds.DefaultFor(j.data)
	}
	if j.configText != nil {
		j.recipe, err = j.Kinds.Parse(j.name, j.configText, j.changes...)
	} else {
		j.recipe, err = j.Kinds.Load(j.name, j.changes...)
	}
	if err != nil {
		return err
	}
	if j.resume != "" {
		j.name = j.recipe.Name
		j.planEpochs()
	}
	return j.chooseData()
}

// defaultData is what is trained on if neither a flag nor the recipe says.
const defaultData = "mnist"

// chooseData makes the data set that of the recipe unless a flag names one, and says if that is another one.
func (j *job) chooseData() error {
	if j.data == "" {
		set, err := dataOf(j.recipe)
		j.data = cmp.Or(set, defaultData)
		return err
	}
	if j.options.recipe != "" && !j.recipe.MeantFor(j.data) {
		j.note("recipe %s is meant for %s and will train on %s", j.recipe.Name, strings.Join(j.recipe.Data, ", "), j.data)
	}
	return nil
}

// dataOf returns the data set of a recipe, or "" if the recipe names none. A recipe that is only for folders has no data
// set until the user names a folder.
func dataOf(r *recipe.Recipe) (string, error) {
	if r.OnlyForFolders() {
		return "", usageErrorf("recipe %s is for a folder of pictures: pass -data FOLDER", r.Name)
	}
	if len(r.Data) == 0 {
		return "", nil
	}
	return r.Data[0], nil
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
	if j.runs > 1 && j.folds == 0 { // each fold has images of its own
		cfg.Shared = &j.shared
	}
	if j.team != nil {
		cfg.Ranks = j.team.tensors
	}
	if j.fingerprint != nil {
		cfg.DataHash = j.fingerprint.Hash()
	}
	if j.initial != nil {
		cfg.Initialize = func(net *nn.Network) error { return j.applyInitial(net, cfg.Model) }
	}
	return cfg
}
