package command

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn/device"
	"trainer/nn/folder"
	"trainer/nn/tune"
)

// tuneCommand searches for settings of a recipe.
func tuneCommand() Command {
	return Command{Name: "tune", Doc: "search for settings of a recipe", run: runTune}
}

// tuneOptions are the flags of trainer tune.
type tuneOptions struct {
	*options
	report.Search
	space   tune.Space
	devices []string // that train at the same time
}

// The strategies.
const (
	strategyRandom  = "random"
	strategyHalving = "halving"
)

var strategies = []string{strategyRandom, strategyHalving}

// maxSearchTrials bounds the trials of a search.
const maxSearchTrials = 10_000

// heldOut is the fraction of the training images that a search holds out if there are no validation images.
const heldOut = 0.1

func (p *program) tuneFlags(o *tuneOptions) *flag.FlagSet {
	f := p.someFlags("tune", o.options, "data", "data-dir", "classes", "val", "test", "offline", "all-bytes",
		"recipe", "epochs", "batch", "lr", "init-from", "sha256", "seed",
		"threads", "precision", "cuda-graph", "deterministic", "autotune", "quiet")
	o.Trials, o.Strategy, o.Eta = 30, strategyRandom, 3
	f.Func("set", "`key=value` value of the recipe, or values to search: a range as in optimizer.lr=1e-4..1e-1, or a list as in batch=64,128,256; may be repeated", func(s string) error {
		o.changes = append(o.changes, s)
		return nil
	})
	f.Func("trials", "`number` number of trials (default 30)", whole(&o.Trials))
	f.StringVar(&o.Strategy, "strategy", strategyRandom, "`name` random: all trials train to their end; or halving: all train for a few epochs, and only the best continue")
	f.Func("eta", "`number` halving: of every so many trials the best one continues, for as many times the epochs (default 3)", whole(&o.Eta))
	f.Func("min-epochs", "`number` halving: least epochs of the first round; may be a fraction (default: 1, or a ninth of all if that is less)", number(&o.MinEpochs, 0, 1e9, "a number above 0"))
	p.deviceFlag(f, &o.device)
	f.Lookup("device").Usage += "; several, separated by commas, train a trial each (cpu,cpu: two on half of the processors each)"
	f.Lookup("val").Usage = "`fraction` fraction of the training images to hold out and to compare trials by, if the data set has no validation images (default 0.1)"
	f.StringVar(&o.out, "out", "", "`folder` folder for the results; must not hold any yet (default runs/<date>-<data>-<recipe>-tune)")
	f.StringVar(&o.resume, "resume", "", "`folder` continue a search that was stopped, with the same trials; -trials makes a random search longer")
	f.BoolVar(&o.json, "json", false, "print one JSON object per line instead of text")
	return f
}

// tuneGroups are the headings of the help.
func tuneGroups() []flagGroup {
	return []flagGroup{
		{"Search", []string{"set", "trials", "strategy", "eta", "min-epochs", "seed"}},
		{"Data", []string{"data", "data-dir", "classes", "val", "test", "offline", "all-bytes"}},
		{"Training", []string{"recipe", "epochs", "batch", "lr", "init-from", "sha256"}},
		{"Device", []string{"device", "threads", "precision", "cuda-graph", "deterministic", "autotune"}},
		{"Output", []string{"out", "resume", "quiet", "json", "h"}},
	}
}

func tuneUsage() usage {
	return usage{
		about:  "trainer tune searches for settings of a recipe: it trains with random ones and compares the results.",
		lines:  []string{"trainer tune -set key=low..high [-set key=a,b,c ...] [flags]"},
		groups: tuneGroups(),
		notes: `Values of -set that are searched:
  low..high           a range, of whole numbers if both ends are written as whole numbers. The logarithm is
                      uniformly distributed if the ends are positive and a factor of 10 apart or more
  log:low..high       a range whose logarithm is uniformly distributed
  linear:low..high    a range in which the numbers are
  a,b,c               a list
Any other value holds for all trials.

Trials are compared by their accuracy on validation images, or with -set best-by=loss by the loss. Without
such images a tenth of the training images is held out, as by -val 0.1. Test images are never evaluated.
All trials have the same seed; their settings depend on the seed and on their number only. Keys of data, such
as data.size, are searched for folders of pictures: the images of each trial are then read anew.

Successive halving (Li et al., "Hyperband", JMLR 2018) trains all trials for a few epochs of the full
schedule, then the best third (-eta) for three times as many, and so on. A promoted trial continues
from its checkpoint, and ends with the bits of a training that was not stopped.

A trial whose loss diverges counts as the worst. The folder has the results (trials.jsonl), a figure
(tune.png), the best trial's recipe (best.toml), and a run's folder for each trial (trainer runs FOLDER).

Examples:
  trainer tune -set optimizer.lr=1e-3..1e-1 -set batch=64,128,256 -trials 20
  trainer tune -recipe my.toml -data pictures/ -strategy halving -set optimizer.lr=1e-4..1e-1
  trainer tune -device cuda:0,cuda:1 -set network.0.out=8..64 -set optimizer.kind=sgd,adam`,
	}
}

func runTune(ctx context.Context, p *program, args []string) error {
	if err := p.refuseRanks("trainer tune"); err != nil {
		return err
	}
	o := &tuneOptions{options: newOptions()}
	done, err := p.parseSome(p.tuneFlags(o), tuneUsage(), o.options, args)
	if err != nil || done {
		return err
	}
	if o.resume != "" {
		err = o.readSearch()
	} else {
		err = o.readSpace(o.changes)
	}
	if err != nil {
		return err
	}
	p, restore := p.outlastingReaders()
	defer restore()
	if err := p.splitDevices(o); err != nil {
		return err
	}
	job, err := p.prepare(ctx, o.options)
	if err != nil {
		return err
	}
	defer job.close()
	s, err := newSearch(job, o)
	if err != nil {
		return err
	}
	defer s.close()
	return s.train(ctx)
}

// readSpace divides the assignments into what is searched and what holds for all trials.
func (o *tuneOptions) readSpace(assignments []string) (err error) {
	if o.space, o.changes, err = tune.Parse(assignments); err != nil {
		return usageErrorf("-set %v", err)
	}
	for _, d := range o.space {
		for _, a := range assignments {
			if key, _, _ := strings.Cut(a, "="); strings.TrimSpace(key) == d.Key {
				o.Space = append(o.Space, a)
			}
		}
	}
	if !o.given["val"] && o.resume == "" {
		o.val = heldOut
	}
	return o.checkSearch()
}

// checkSearch rejects what can't be searched, and settings that exclude each other.
func (o *tuneOptions) checkSearch() error {
	switch {
	case len(o.space) == 0:
		return usageErrorf("nothing to search: pass a range or a list, such as -set optimizer.lr=1e-4..1e-1 or -set batch=64,128")
	case !slices.Contains(strategies, o.Strategy):
		return usageErrorf("-strategy: unknown strategy %q%s", o.Strategy, suggest(o.Strategy, strategies))
	case o.Trials < 1 || o.Trials > maxSearchTrials:
		return usageErrorf("-trials %d: want at most %d", o.Trials, maxSearchTrials)
	case o.Eta < 2:
		return usageErrorf("-eta %d: want at least 2", o.Eta)
	}
	for _, name := range []string{"eta", "min-epochs"} {
		if o.given[name] && o.Strategy != strategyHalving {
			return usageErrorf("-%s is for -strategy halving", name)
		}
	}
	for _, d := range o.space {
		switch top, _, _ := strings.Cut(d.Key, "."); {
		case isDataKey(d.Key) && !slices.Contains(searchableData, d.Key):
			return usageErrorf("-set %s: of the data, only %s can be searched", d.Key, strings.Join(searchableData, ", "))
		case top == "name" || top == "description" || top == "run":
			return usageErrorf("-set %s: this is not a setting of the training", d.Key)
		case top == "precision":
			return usageErrorf("-set %s: all trials compute in the same precision", d.Key)
		case top == "epochs" && o.Strategy == strategyHalving:
			return usageErrorf("-set epochs: the epochs are what halving divides; search them with -strategy random")
		}
	}
	return nil
}

// searchableData are the keys of a recipe's data that a search may change: those after which the images are the same ones,
// with the same classes.
var searchableData = []string{"data.size", "data.resize", "data.background", "data.orientation", "data.grayscale", "data.balance"}

// isDataKey reports whether a key says how images are read. image-size and grayscale are older names.
func isDataKey(key string) bool {
	top, _, _ := strings.Cut(key, ".")
	return top == "data" || top == "image-size" || top == "grayscale"
}

// searchesData reports whether the trials have different images.
func (o *tuneOptions) searchesData() bool {
	return slices.ContainsFunc(o.space, func(d tune.Dimension) bool { return isDataKey(d.Key) })
}

// continuable are the flags that a search that is continued takes.
var continuable = []string{"resume", "trials", "data", "data-dir", "offline", "device", "threads", "quiet", "json"}

// readSearch reads the settings of a search that is continued.
func (o *tuneOptions) readSearch() error {
	for name := range o.given {
		if !slices.Contains(continuable, name) {
			return usageErrorf("-resume continues a search with its own settings: remove -%s", name)
		}
	}
	dir, err := folder.Open(o.resume)
	if err != nil {
		return fmt.Errorf("-resume: no search to continue: %w", err)
	}
	defer dir.Close()
	read, err := report.ReadSearch(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && holdsRun(dir):
		return usageErrorf("-resume: %s holds a run: to continue it: trainer -resume %s", o.resume, shellWord(o.resume))
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("-resume: no search to continue: %w", err)
	case err != nil:
		return usageErrorf("-resume: %v", err)
	}
	trials := o.Trials
	o.Search, o.searches = *read, true
	if o.given["trials"] {
		if o.Strategy != strategyRandom && trials != o.Trials || trials < o.Trials {
			return usageErrorf("-trials %d: the search has %d trials; only a random search can be made longer", trials, o.Trials)
		}
		o.Trials = trials
	}
	assignments := o.Space
	o.Space = nil
	return o.readSpace(assignments)
}

// splitDevices divides a list of devices. The job opens the first.
func (p *program) splitDevices(o *tuneOptions) error {
	o.devices = strings.Split(o.device, ",")
	for i, name := range o.devices {
		o.devices[i] = strings.TrimSpace(name)
		if err := p.checkDevice(o.devices[i]); err != nil {
			return err
		}
		if o.devices[i] == auto && len(o.devices) > 1 {
			return usageErrorf("-device %s: name the devices, as in cuda:0,cuda:1", o.device)
		}
	}
	o.device = o.devices[0]
	o.shareProcessors(p.host().Name)
	return nil
}

// shareProcessors divides the processors between trials that train on the host at the same time.
func (o *tuneOptions) shareProcessors(host string) {
	onHost := 0
	for _, name := range o.devices {
		if name == host {
			onHost++
		}
	}
	if onHost > 1 && o.threads == 0 {
		o.threads = max(1, runtime.NumCPU()/onHost)
	}
}

// rungs returns the rounds of the search.
func (o *tuneOptions) rungs(trials int, epochs float64) []tune.Rung {
	if o.Strategy == strategyRandom {
		return tune.Random(trials, epochs)
	}
	const part = 9
	return tune.Halving(trials, epochs, o.Eta, cmp.Or(o.MinEpochs, min(1, epochs/part)))
}

// openOthers opens the devices after the first.
func (j *job) openOthers(names []string) (others []device.Device, err error) {
	for _, name := range names {
		opt := j.deviceOptions
		opt.device = name
		dev, err := j.openDevice(opt)
		if err != nil {
			return others, err
		}
		others = append(others, dev)
	}
	return others, nil
}
