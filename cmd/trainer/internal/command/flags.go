package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"trainer/gpu"
	"trainer/nn/data"
	"trainer/nn/recipe"
)

// options are the flags of training.
type options struct {
	data, dataDir string
	val           float64
	offline       bool

	recipe  string
	changes []string // of the recipe, as recipe.LoadWith takes them

	deviceOptions
	seed uint64
	runs int

	out          string
	checkpoint   interval
	resume       string
	quiet, json  bool
	list, dryRun bool

	before *recipe.Run // the run that -resume goes on with
}

// interval is the distance between two checkpoints.
type interval struct{ epochs, steps int }

// flagGroup is a heading of the help and its flags.
type flagGroup struct {
	title string
	flags []string
}

func flagGroups() []flagGroup {
	return []flagGroup{
		{"Data", []string{"data", "data-dir", "val", "offline"}},
		{"Training", []string{"recipe", "epochs", "batch", "lr", "set", "seed", "runs"}},
		{"Device", []string{"device", "threads", "precision", "cuda-graph", "deterministic", "autotune"}},
		{"Output", []string{"out", "checkpoint-every", "resume", "quiet", "json"}},
		{"Information", []string{"list", "dry-run", "h"}},
	}
}

// newFlags declares the flags, which parsing stores in o. A word in backquotes in a flag's
// text is the name of its value in the help.
func newFlags(o *options) *flag.FlagSet {
	f := flag.NewFlagSet("trainer", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}

	f.StringVar(&o.data, "data", "mnist", "`name` of a data set ("+strings.Join(data.Names(), ", ")+") or a folder with one subfolder of images a class")
	f.StringVar(&o.dataDir, "data-dir", "", "`folder` that has the data set's files; without it: the cache, or a download")
	f.Func("val", "`share` of a folder's images that is held out for the test (0.2)", number(&o.val, 0, 1, "a number between 0 and 1"))
	f.BoolVar(&o.offline, "offline", false, "download nothing")

	f.StringVar(&o.recipe, "recipe", "", "`name` of a recipe, or a TOML file (the data set's default)")
	f.Func("epochs", "`number` of passes over the training images; may be a fraction", change(o, "epochs", 0))
	f.Func("batch", "`number` of images in a step", change(o, "batch", 1))
	f.Func("lr", "learning `rate`", change(o, "optimizer.lr", 0))
	f.Func("set", "change another value of the recipe: `key=value`, such as optimizer.momentum=0.8; repeatable", func(s string) error {
		o.changes = append(o.changes, s)
		return nil
	})
	f.Func("seed", "`number` that decides initial weights, order, augmentation and dropout (0)", func(s string) error {
		n, err := strconv.ParseUint(s, 10, 63)
		o.seed = n
		if err != nil {
			return errors.New("want a whole number from 0")
		}
		return nil
	})
	f.Func("runs", "`number` of runs, each with the next seed; ends with mean and deviation (1)", whole(&o.runs))

	f.StringVar(&o.device, "device", "auto", "`kind` of device: auto, cpu, cuda or cuda:N; auto is the GPU if there is one")
	f.Func("threads", "`number` of CPU threads (one a processor)", whole(&o.threads))
	f.Func("precision", "`name` of what a GPU computes in: auto, fp32, tf32 (factors of products rounded to 10 bits of fraction), fp16 or bf16 (16-bit numbers, sums in fp32); auto is the recipe's, or else tf32 where the GPU has it (auto)", precision(&o.precision))
	f.BoolVar(&o.graph, "cuda-graph", true, "record a GPU's training step once and replay it; -cuda-graph=false queues each step anew")
	f.BoolVar(&o.deterministic, "deterministic", false, "keep to algorithms that give the same bits each time; the CPU's do always")
	f.BoolVar(&o.autotune, "autotune", false, "measure a GPU's algorithms for convolutions at the start, and remember the fastest")

	f.StringVar(&o.out, "out", "", "`folder` for the results, never one that has some (runs/<date>-<data>-<recipe>)")
	f.Func("checkpoint-every", "`interval` from one checkpoint to the next: epochs, or steps as in 500steps (1)", o.checkpoint.set)
	f.StringVar(&o.resume, "resume", "", "go on with a run that was stopped: its `folder`, or the checkpoint in it")
	f.BoolVar(&o.quiet, "quiet", false, "print the final line only")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line instead of text")

	f.BoolVar(&o.list, "list", false, "list data sets, recipes, layers and devices")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the network's table and train nothing")
	return f
}

// parseFlags reads the arguments of training. The error is flag.ErrHelp for -h.
func parseFlags(args []string) (*options, error) {
	o := &options{val: 0.2, runs: 1, deviceOptions: deviceOptions{given: map[string]bool{}}}
	f := newFlags(o)
	if err := f.Parse(args); err != nil {
		return nil, flagError(f, err)
	}
	if f.NArg() > 0 {
		return nil, usageErrorf("unexpected argument %q: every value belongs to a flag (-h lists them)", f.Arg(0))
	}
	f.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	return o, o.check()
}

// check refuses flags that exclude each other, and unknown values.
func (o *options) check() error {
	kind, _, _ := strings.Cut(o.device, ":")
	if valid := []string{"auto", "cpu", "cuda"}; !slices.Contains(valid, kind) {
		return usageErrorf("-device: unknown device %q%s", o.device, suggest(o.device, valid))
	}
	for _, name := range []string{"recipe", "out", "runs"} {
		if o.given["resume"] && o.given[name] {
			return usageErrorf("-resume goes on with a run as it was: it can't be had with -%s", name)
		}
	}
	for _, name := range []string{"data", "recipe", "out", "resume"} {
		if o.given[name] && newFlags(&options{}).Lookup(name) != nil && o.value(name) == "" {
			return usageErrorf("-%s is empty", name)
		}
	}
	return nil
}

func (o *options) value(name string) string {
	return map[string]string{"data": o.data, "recipe": o.recipe, "out": o.out, "resume": o.resume}[name]
}

// flagError says what is wrong with the arguments and offers the nearest flag.
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

// precision parses a precision that a GPU computes in.
func precision(dst *gpu.Precision) func(string) error {
	return func(s string) (err error) {
		if *dst, err = gpu.ParsePrecision(s); err != nil {
			return errors.New("want auto, fp32, tf32, fp16 or bf16")
		}
		return nil
	}
}

// change parses a positive number, a whole one if least is 1, and makes it a change of the
// recipe.
func change(o *options, key string, least int) func(string) error {
	return func(s string) error {
		if least == 1 {
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

// set parses "3", epochs, or "500steps".
func (i *interval) set(s string) error {
	*i = interval{}
	count, isSteps := strings.CutSuffix(s, "steps")
	dst := &i.epochs
	if isSteps {
		dst = &i.steps
	}
	if whole(dst)(count) != nil {
		return errors.New("want epochs, such as 2, or steps, such as 500steps")
	}
	return nil
}
