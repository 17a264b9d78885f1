package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"trainer/nn/ranks"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// benchOptions are the flags of trainer bench.
type benchOptions struct {
	deviceOptions
	recipe string
	time   time.Duration
	json   bool
}

func (p *program) benchFlags(o *benchOptions) *flag.FlagSet {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	p.deviceFlag(f, &o.device)
	gpusFlag(f, &o.gpus, "`list` measure only how much faster these GPUs train together than one: all, or numbers such as 0,1")
	f.BoolVar(&o.json, "json", false, "print one JSON object per line instead of text")
	f.Func("recipe", "`name` built-in recipe, or a TOML file: measure only this one, and no kernels", func(s string) error {
		if s == "" {
			return errors.New("want a name or a file")
		}
		o.recipe = s
		return nil
	})
	p.threadsFlag(f, &o.threads)
	f.Func("precision", "`name` precision on a GPU, as for training; auto is each recipe's own, and for kernels every one that the GPU supports (default auto)", precision(&o.precision))
	f.Func("time", "`duration` time to measure each recipe; each kernel gets a quarter of it, or on a GPU a tenth (default 1s)", func(s string) (err error) {
		if o.time, err = time.ParseDuration(s); err != nil || o.time <= 0 {
			return errors.New("want a duration above 0, such as 1s or 500ms")
		}
		return nil
	})
	return f
}

var benchUsage = usage{
	about: `trainer bench measures what this machine can do. On the CPU, in about 20 seconds: the peak
multiply-add rate, the share of it that each kernel reaches, and how fast each recipe
trains. On a GPU: large matrix products and convolutions in each precision, and each recipe
in its own. Other programs running at the same time lower the rates.`,
	lines: []string{"trainer bench [flags]"},
	notes: `A recipe's images/s count whole training steps on random images of its data set's size:
augmentation, forward, loss, backward, update. Recipes that are only for folders of pictures
are measured with -recipe NAME. If a step would take longer than -time on
the CPU, or not fit into a GPU's memory, the batch is halved, which may lower the rate.
The time of the whole recipe is the number of training images times the epochs, divided
by that rate; evaluation is not included.

-gpus measures each recipe on one GPU and on all that it names, which share the batch:
the recipe's, and one that is as many times larger. The efficiency is the rate of all,
divided by their number and by the rate of one.

-json prints one object per line; rates are in 1e9 floating-point operations per second.
Percentages are relative to the peak of all threads.
  {"event": "machine"}  cpu, threads; kernels: the instruction sets in use; version, go,
                        platform; if known also cores, hardware_threads, l1d_bytes,
                        l2_bytes and l3_bytes
  {"event": "peak"}     threads, gflops; one object for one thread, one for all threads
  {"event": "kernel"}   name, of a convolution with its input [n, h, w, c]; pass, only of a
                        convolution; gflops, percent_of_peak
  {"event": "copy"}     name, bytes_per_second, read plus written
  {"event": "recipe"}   name, data; epochs and recipe_batch, as in the recipe; batch, as
                        measured; images_per_second, gflops, percent_of_peak; if the
                        number of images is known also train_images and train_seconds,
                        both for the whole recipe
  {"event": "scaling"}  with -gpus: name, gpus, batch; images_per_second_one of one GPU with
                        the recipe's batch, images_per_second of all; efficiency, precision
On a GPU, "machine" has gpu, device, memory_bytes and features instead of the keys about
the CPU; "kernel" and "recipe" have precision instead of percent_of_peak; there is no
"peak" and no "copy". The convolutions have as many output channels as input channels.
Operations are counted as the direct method needs them. A convolution may compute fewer,
so percent_of_peak can exceed 100.`,
}

// benchCommand measures the machine.
func benchCommand() Command {
	return Command{Name: "bench", Doc: "measure this machine, and how fast it trains each recipe", run: runBench}
}

func runBench(ctx context.Context, p *program, args []string) error {
	if p.getenv(ranks.RankVariable) == "" {
		return p.benchAs(ctx, nil, args)
	}
	t, err := p.joinRanks(ctx)
	if err == nil {
		err = p.benchAs(ctx, t, args)
	}
	return p.leave(t, err)
}

// benchAs is runBench as one of several ranks that trainer bench -gpus has started, or as the process that was called.
func (p *program) benchAs(ctx context.Context, t *team, args []string) error {
	o := &benchOptions{time: time.Second, deviceOptions: deviceOptions{given: map[string]bool{}}}
	f := p.benchFlags(o)
	rest, done, err := p.parseAnywhere(f, benchUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) > 0 {
		return usageErrorf("bench: unexpected argument %q: bench takes only flags (trainer bench -h lists them)", rest[0])
	}
	f.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	recipes, err := o.recipes(p.Kinds)
	if err != nil {
		return err
	}
	if err := p.checkDevice(o.device); err != nil {
		return err
	}
	b := &benchmark{program: p, benchOptions: o, ctx: ctx}
	if t != nil {
		return b.measureScaling(t, recipes)
	}
	if o.gpus != "" {
		shared := &options{deviceOptions: o.deviceOptions}
		if t, err = p.startRanks(shared, append([]string{"bench"}, args...)); err != nil {
			return err
		}
		if o.deviceOptions = shared.deviceOptions; t != nil {
			return p.leave(t, b.measureScaling(t, recipes))
		}
	}
	dev, err := p.openDevice(o.deviceOptions)
	if err != nil {
		return err
	}
	if b.dev, _ = dev.(peaked); b.dev == nil {
		err = b.measureGPU(dev, recipes)
	} else {
		defer dev.Close()
		err = b.measure(recipes)
	}
	if err != nil {
		return err
	}
	b.printNotes()
	return nil
}

// recipes returns the recipes to be measured.
func (o *benchOptions) recipes(kinds recipe.Kinds) ([]*recipe.Recipe, error) {
	names := recipe.NamesForDataSets()
	if o.recipe != "" {
		names = []string{o.recipe}
	}
	var recipes []*recipe.Recipe
	for _, name := range names {
		r, err := kinds.Load(name)
		if err != nil {
			return nil, err
		}
		if r.ImageShape() == nil {
			return nil, usageErrorf("recipe %s doesn't set the size of its images: add data or image-size to it", r.Name)
		}
		recipes = append(recipes, r)
	}
	return recipes, nil
}

// benchmark is one call of trainer bench.
type benchmark struct {
	*program
	*benchOptions
	ctx  context.Context
	dev  peaked  // nil for a device whose peak isn't known
	peak float64 // of all threads, floating-point operations per second

	above, halved bool // a value was above the peak; a batch was smaller than the recipe's
}

// benchLine is a result: a text for a person, and a JSON object for a program.
type benchLine interface{ text() string }

// show prints a result. A closed pipe is not an error.
func (b *benchmark) show(line benchLine) {
	if b.json {
		_ = json.NewEncoder(b.stdout).Encode(line)
		return
	}
	fmt.Fprintln(b.stdout, strings.TrimRight(line.text(), " "))
}

// heading prints the heading of a table.
func (b *benchmark) heading(format string, args ...any) {
	if !b.json {
		fmt.Fprintf(b.stdout, "\n%s\n", strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
}

// printNotes explains the tables.
func (b *benchmark) printNotes() {
	if b.json {
		return
	}
	fmt.Fprintln(b.stdout, "\nThe time of a whole recipe covers its training steps, without evaluation.")
	if b.halved {
		fmt.Fprintln(b.stdout, "m of n: measured with batch m instead of the recipe's n.")
	}
	if b.above {
		fmt.Fprintln(b.stdout, "* Counting the direct method's operations; a convolution may compute fewer.")
	}
}

// The widths of the tables' first columns.
const (
	kernelColumn = 54
	recipeColumn = 13
)

// batchText returns the batch that was measured, and the recipe's if that is larger.
func batchText(batch, recipe int) string {
	if batch < recipe {
		return fmt.Sprintf("%d of %d", batch, recipe)
	}
	return fmt.Sprint(batch)
}

// imageRate returns images per second as text.
func imageRate(rate float64) string {
	if rate < 100 {
		return fmt.Sprintf("%.1f", rate)
	}
	return humanize.Comma(int64(rate))
}

// humanDuration returns seconds in the unit that a person would use.
func humanDuration(seconds float64) string {
	switch {
	case seconds < 10:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 90:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 90*60:
		return fmt.Sprintf("%.0f min", seconds/60)
	}
	return fmt.Sprintf("%.1f h", seconds/3600)
}

// recipeSpeed is how fast a recipe trains.
type recipeSpeed struct {
	Event           string  `json:"event"`
	Name            string  `json:"name"`
	Data            string  `json:"data"` // empty if the recipe names no data set
	Epochs          float64 `json:"epochs"`
	RecipeBatch     int     `json:"recipe_batch"`
	Batch           int     `json:"batch"`
	ImagesPerSecond float64 `json:"images_per_second"`
	GFLOPS          float64 `json:"gflops"`
	TrainImages     int     `json:"train_images,omitempty"`  // 0 if unknown
	TrainSeconds    float64 `json:"train_seconds,omitempty"` // that all epochs take
}

// speedOf describes a recipe that trains imagesPerSecond in batches of this size, which is flops floating-point operations
// per second.
func (b *benchmark) speedOf(r *recipe.Recipe, batch int, imagesPerSecond, flops float64) recipeSpeed {
	b.halved = b.halved || batch < r.Batch
	s := recipeSpeed{
		Event: "recipe", Name: r.Name, Epochs: r.Epochs, RecipeBatch: r.Batch, Batch: batch, ImagesPerSecond: imagesPerSecond, GFLOPS: flops / 1e9,
	}
	if len(r.Data) > 0 {
		s.Data = r.Data[0]
	}
	for _, kind := range b.Kinds.DataSets {
		if kind.Name == s.Data {
			s.TrainImages = kind.TrainImages
		}
	}
	each := s.TrainImages // per epoch
	if r.LastBatch == train.DropLastBatch {
		each -= each % r.Batch
	}
	s.TrainSeconds = r.Epochs * float64(each) / imagesPerSecond
	return s
}
