package command

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

// options are the flags of trainer train.
type options struct {
	data, dataDir string
	val, test     float64
	offline       bool
	allBytes      bool // the fingerprint of the data is of all bytes

	recipe  string
	changes []string // of the recipe, as recipe.LoadWith takes them

	initFrom, sha256 string // a file of weights to begin with, and its checksum if it is at an address

	deviceOptions
	seed  uint64
	runs  int
	folds int // of a cross-validation; 0 if there is none
	fold  int // the only one that is trained, from 1; 0 for all

	out          string
	checkpoint   interval
	resume       string
	exact        bool
	tensorboard  bool
	serve        string // address at which a page shows the training; "" for none
	quiet, json  bool
	list, dryRun bool
	showVersion  bool

	earlier
}

// earlier is a run that is continued or drawn.
type earlier struct {
	before         *recipe.Run       // the settings of the run; nil if there is none
	configText     []byte            // its configuration
	runData        *data.Fingerprint // its data; nil if it has none on record
	epochsBefore   float64           // of its recipe
	plannedEpochs  float64           // epochs that it was planned for, if that was changed; otherwise 0
	checkpointFile string            // name of its checkpoint
	drawn          bool              // it, or the data, is drawn; nothing is trained
	searches       bool              // it is a search
}

// interval is the distance between two checkpoints.
type interval struct {
	epochs, steps int
	time          time.Duration
}

// flagGroups are the headings of the help of trainer train.
func flagGroups() []flagGroup {
	return []flagGroup{
		{"Data", []string{"data", "data-dir", "classes", "val", "test", "offline", "all-bytes"}},
		{"Training", []string{"recipe", "epochs", "batch", "shards", "lr", "set", "init-from", "sha256", "seed", "runs", "folds"}},
		{"Device", []string{"device", "gpus", "threads", "precision", "cuda-graph", "deterministic", "autotune"}},
		{"Output", []string{"out", "checkpoint-every", "resume", "exact", "serve", "tensorboard", "quiet", "json"}},
		{"Information", []string{"list", "dry-run", "version", "h"}},
	}
}

// newFlags declares the flags, which parsing stores in o. In a flag's text, the word in backquotes is what the help calls
// the flag's value.
func (p *program) newFlags(o *options) *flag.FlagSet {
	f := flag.NewFlagSet("trainer", flag.ContinueOnError)

	f.StringVar(&o.data, "data", "", "`name` data set ("+strings.Join(data.NamesOf(p.Kinds.DataSets), ", ")+"), or the path of a folder, archive, table or file of arrays (-list names the forms; default: the recipe's first, or mnist)")
	f.StringVar(&o.dataDir, "data-dir", "", "`folder` folder with the data set's files (default: embedded, cached or downloaded)")
	f.Func("classes", "`file` file with the names of the classes, one per line, in the order of the labels (default: sorted)", o.readClasses)
	f.Func("val", "`fraction` fraction of the training images to hold out: epochs are scored on them, and the test set is evaluated once, at the end (default 0)", number(&o.val, 0, 1, "a number between 0 and 1"))
	f.Func("test", "`fraction` fraction of an image folder to hold out as the test set, if it has no test subfolder (default 0.2)", number(&o.test, 0, 1, "a number between 0 and 1"))
	f.BoolVar(&o.offline, "offline", false, "do not download anything")

	f.BoolVar(&o.allBytes, "all-bytes", false, "record a checksum of all bytes of the data, instead of a sample of them, for -resume to compare")

	f.StringVar(&o.recipe, "recipe", "", "`name` built-in recipe, or a TOML file (default: the data set's recipe)")
	f.Func("epochs", "`number` passes over the training images; may be a fraction (default: the recipe's)", change(o, "epochs", 0))
	f.Func("batch", "`number` images per step, or auto: by the number of images (default: the recipe's)", batchChange(o))
	f.Func("shards", "`number` parts into which every batch is split, each normalised by its own statistics: several processes can share them, and the results depend on the parts alone (default: the recipe's, or 1)", change(o, "shards", 1))
	f.Func("lr", "`rate` learning rate (default: the recipe's)", change(o, "optimizer.lr", 0))
	f.Func("set", "`key=value` set another value of the recipe, such as optimizer.momentum=0.8; may be repeated", func(s string) error {
		o.changes = append(o.changes, s)
		return nil
	})
	f.StringVar(&o.initFrom, "init-from", "", "`model` start from the weights of a model, a PyTorch state dict in safetensors, or an ONNX file; an address (https://...) needs -sha256. Without -recipe the network is the model's")
	f.StringVar(&o.sha256, "sha256", "", "`digits` SHA-256 of the file at the address of -init-from")
	f.Func("seed", "`number` random seed for initial weights, data order, augmentation, dropout and held-out images (default 0)", func(s string) error {
		n, err := strconv.ParseUint(s, 10, 63)
		o.seed = n
		if err != nil {
			return errors.New("want a whole number from 0")
		}
		return nil
	})
	f.Func("runs", "`number` number of runs, each with the next seed; reports mean and standard deviation (default 1)", whole(&o.runs))
	f.Func("folds", "`number` number of folds of a cross-validation: one training per fold, on all other training images; reports mean and standard deviation of the accuracy on the folds. A folder without test images has none, unless -test is passed", folds(&o.folds))

	p.deviceFlag(f, &o.device)
	gpusFlag(f, &o.gpus, "`list` GPUs of this machine that share the training, each with a process of its own: all, or numbers such as 0,1; the batches are split into as many parts, unless -shards or the recipe splits them (default: one GPU)")
	p.threadsFlag(f, &o.threads)
	f.Func("precision", "`name` precision on a GPU: fp32, tf32, fp16 or bf16 (sums are always fp32); auto is the recipe's, else tf32 if the GPU supports it, else fp32 (default auto)", precision(&o.precision))
	f.BoolVar(&o.graph, "cuda-graph", true, "record a GPU's training step as a CUDA graph and replay it; -cuda-graph=false queues each step anew")
	f.BoolVar(&o.deterministic, "deterministic", false, "use only deterministic GPU algorithms (the CPU is always deterministic)")
	f.BoolVar(&o.autotune, "autotune", false, "time cuDNN's convolution algorithms at the start and cache the fastest (default: if training has 30,000 steps or more, unless -deterministic)")

	f.StringVar(&o.out, "out", "", "`folder` folder for the results; must not hold a run yet (default runs/<date>-<data>-<recipe>)")
	f.Func("checkpoint-every", "`interval` interval between checkpoints: epochs, as in 2, steps, as in 500steps, or a time, as in 10m (default 1)", o.checkpoint.set)
	f.StringVar(&o.resume, "resume", "", "`folder` continue a stopped run, or several (-runs): the folder, or the checkpoint in it; -data names the same images in another place, -epochs trains longer than planned")
	f.BoolVar(&o.exact, "exact", false, "with -resume: refuse to continue if the results might not be bit-identical")
	f.StringVar(&o.serve, "serve", "", "`host:port` show and steer the training in the browser at this address, such as 127.0.0.1:8080, until it ends; see trainer serve -h for who is let in")
	f.BoolVar(&o.tensorboard, "tensorboard", false, "also write event files for TensorBoard, in the folder tensorboard of the results: scalars, histograms, pictures")
	f.BoolVar(&o.quiet, "quiet", false, "print only the final line")
	f.BoolVar(&o.json, "json", false, "print one JSON object per line instead of text")

	f.BoolVar(&o.list, "list", false, "list data sets, recipes, layers and devices")
	f.BoolVar(&o.showVersion, "version", false, "print version and devices, as trainer version does")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the network's layers, parameters and memory; train nothing")
	return f
}

// someFlags declares some of the flags of trainer train for another command.
func (p *program) someFlags(command string, o *options, names ...string) *flag.FlagSet {
	f := flag.NewFlagSet(command, flag.ContinueOnError)
	all := p.newFlags(o)
	for _, name := range names {
		from := all.Lookup(name)
		f.Var(from.Value, name, from.Usage)
	}
	return f
}

// parseSome parses the arguments of a command that trains as the flags say, and checks those of trainer train.
func (p *program) parseSome(f *flag.FlagSet, u usage, o *options, args []string) (done bool, err error) {
	rest, done, err := p.parseAnywhere(f, u, args)
	switch {
	case err != nil || done:
		return done, err
	case len(rest) > 0:
		return false, usageErrorf("unexpected argument %q: %s takes only flags (trainer %s -h lists them)", rest[0], f.Name(), f.Name())
	}
	f.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	return false, o.check()
}

// newOptions returns the defaults.
func newOptions() *options {
	return &options{test: 0.2, runs: 1, deviceOptions: deviceOptions{given: map[string]bool{}}}
}

// parseFlags parses the arguments of trainer train. With -h it shows the help, and the error is flag.ErrHelp.
func (p *program) parseFlags(args []string) (*options, error) {
	o := newOptions()
	f := p.newFlags(o)
	rest, done, err := p.parseAnywhere(f, p.trainUsage(), args)
	switch {
	case err != nil:
		return nil, err
	case done:
		return nil, flag.ErrHelp
	case len(rest) > 0:
		return nil, usageErrorf("unexpected argument %q: trainer takes only flags (trainer -h lists them)", rest[0])
	}
	f.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	if err := p.checkDevice(o.device); err != nil {
		return nil, err
	}
	return o, o.check()
}

// check rejects flags that exclude each other, and empty values.
func (o *options) check() error {
	for _, name := range []string{"recipe", "out", "runs", "folds", "init-from"} {
		if o.given["resume"] && o.given[name] {
			return usageErrorf("-resume continues a run with the run's own settings: remove -%s", name)
		}
	}
	for _, name := range []string{"val", "runs"} {
		if o.given["folds"] && o.given[name] {
			return usageErrorf("-folds and -%s exclude each other: each fold is the validation set of one training", name)
		}
	}
	if o.given["folds"] && !o.given["test"] {
		o.test = 0
	}
	if o.exact && !o.given["resume"] {
		return usageErrorf("-exact is for -resume: a run that begins has nothing to be compared with")
	}
	for _, name := range []string{"data", "recipe", "out", "resume", "init-from"} {
		if o.given[name] && o.value(name) == "" {
			return usageErrorf("-%s is empty", name)
		}
	}
	return o.checkInitial()
}

func (o *options) value(name string) string {
	return map[string]string{"data": o.data, "recipe": o.recipe, "out": o.out, "resume": o.resume, "init-from": o.initFrom}[name]
}

// readClasses sets the recipe's data.classes to the lines of a file.
func (o *options) readClasses(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	names := strings.FieldsFunc(string(text), func(c rune) bool { return c == '\n' || c == '\r' })
	if len(names) == 0 {
		return fmt.Errorf("%s has no lines", file)
	}
	list, err := json.Marshal(names) // a list of texts is written alike in TOML
	if err != nil {
		return err
	}
	o.changes = append(o.changes, "data.classes="+string(list))
	return nil
}

// flagError says what is wrong with the arguments, and names the closest valid flag.
func flagError(f *flag.FlagSet, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return usageErrorf("%v", err)
	}
	var names []string
	f.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
	if n := recipe.Nearest("-"+name, names); n != "" {
		return usageErrorf("unknown flag -%s, did you mean %s? (-h lists all)", name, n)
	}
	if len(names) == 0 {
		return usageErrorf("unknown flag -%s (trainer %s -h shows the usage)", name, f.Name())
	}
	return usageErrorf("unknown flag -%s (valid: %s)", name, strings.Join(names, ", "))
}

// number parses a number between two others.
func number(dst *float64, above, below float64, want string) func(string) error {
	return func(s string) error {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || !(x > above && x < below) {
			return errors.New("want " + want)
		}
		*dst = x
		return nil
	}
}

// whole parses a whole number from 1.
func whole(dst *int) func(string) error {
	return func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > math.MaxInt32 {
			return errors.New("want a whole number from 1")
		}
		*dst = n
		return nil
	}
}

// folds parses the number of folds.
func folds(dst *int) func(string) error {
	return func(s string) error {
		if err := whole(dst)(s); err != nil || *dst < 2 {
			return errors.New("want a whole number from 2")
		}
		return nil
	}
}

// precision parses the name of a precision.
func precision(dst *device.Precision) func(string) error {
	return func(s string) (err error) {
		if *dst, err = device.ParsePrecision(s); err != nil {
			return errors.New("want " + device.PrecisionNames())
		}
		return nil
	}
}

// change parses a positive number, which must be whole if minimum is 1, and adds it to the changes of the recipe.
func change(o *options, key string, minimum int) func(string) error {
	return func(s string) error {
		if minimum == 1 {
			var n int
			if err := whole(&n)(s); err != nil {
				return err
			}
			o.changes = append(o.changes, fmt.Sprintf("%s=%d", key, n))
			return nil
		}
		var x float64
		if err := number(&x, 0, math.MaxFloat32, "a number above 0")(s); err != nil {
			return err
		}
		o.changes = append(o.changes, fmt.Sprintf("%s=%v", key, x))
		return nil
	}
}

// batchChange parses a batch, and adds it to the changes of the recipe.
func batchChange(o *options) func(string) error {
	return func(s string) error {
		if s == "auto" {
			o.changes = append(o.changes, "batch=auto")
			return nil
		}
		if err := change(o, "batch", 1)(s); err != nil {
			return errors.New("want a whole number from 1, or auto")
		}
		return nil
	}
}

// set parses "3", epochs, "500steps", or a time such as "10m".
func (i *interval) set(s string) error {
	*i = interval{}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		i.time = d
		return nil
	}
	count, isSteps := strings.CutSuffix(s, "steps")
	dst := &i.epochs
	if isSteps {
		dst = &i.steps
	}
	if whole(dst)(count) != nil {
		return errors.New("want epochs, such as 2, steps, such as 500steps, or a time, such as 10m")
	}
	return nil
}
