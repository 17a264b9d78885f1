package command

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"trainer/bench"
	"trainer/nn/data"
	"trainer/nn/printable"
	"trainer/nn/ranks/cost"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// planCommand predicts the speed of a training on several devices.
func planCommand() Command {
	return Command{Name: "plan", Doc: "predict how fast a training is on many GPUs or machines", run: runPlan}
}

// planOptions are the flags of trainer plan.
type planOptions struct {
	recipe, bench string
	gpus          int
	link, inside  float64 // bytes per second
	latency       time.Duration
	perMachine    int
	imagesPerSec  float64
	batch         int
	fixedBatch    bool
	json          bool
}

func planFlags(o *planOptions) *flag.FlagSet {
	f := flag.NewFlagSet("plan", flag.ContinueOnError)
	f.StringVar(&o.recipe, "recipe", "", "`name` built-in recipe, or a TOML file (default: the one in -bench, if there is one)")
	f.StringVar(&o.bench, "bench", "", "`file` output of trainer bench -json on one of the devices; - is the standard input")
	f.Func("images-per-second", "`rate` what one device trains, in place of -bench", number(&o.imagesPerSec, 0, math.MaxFloat64, "a number above 0"))
	f.Func("batch", "`number` images per step of one device (default: as measured)", whole(&o.batch))
	f.Func("gpus", "`number` devices to plan for, besides the powers of two up to 1,024", whole(&o.gpus))
	f.Func("link", "`rate` bandwidth between machines in each direction, such as 100Gb (bits) or 12.5GB (bytes) per second (default 10Gb)", bandwidth(&o.link))
	f.Func("latency", "`duration` time of a short message between machines (default 10us)", func(s string) (err error) {
		if o.latency, err = time.ParseDuration(s); err != nil || o.latency < 0 {
			return errors.New("want a duration such as 10us or 1ms")
		}
		return nil
	})
	f.Func("per-machine", "`number` devices per machine, which share its link (default 1)", whole(&o.perMachine))
	f.Func("inside", "`rate` bandwidth between the devices of a machine (default: that of -link)", bandwidth(&o.inside))
	f.BoolVar(&o.fixedBatch, "fixed-batch", false, "divide one device's batch over all, instead of giving every device as many images")
	f.BoolVar(&o.json, "json", false, "print one JSON object per line instead of a table")
	return f
}

var planUsage = usage{
	about: "trainer plan predicts the time of a training step on 1 to 1,024 devices, from the speed of one and the links between them.",
	lines: []string{"trainer plan -bench FILE [flags]"},
	notes: `The speed of one device comes from trainer bench -json, or from -images-per-second. Gradients are summed
in buckets while the backward pass runs; what can't hide behind it is waiting. docs/many.md has the model,
and how far it was off on two ranks. Sums are those of NCCL if a GPU was measured, otherwise those of the
ranks of this program on CPUs.

By default every device keeps its batch, so that the batch of all grows. A larger batch needs another
learning rate, and from some size on more epochs: the last lines say what is known of that.

Examples:
  trainer bench -json -recipe cifar10 > bench.json
  trainer plan -bench bench.json -gpus 64 -link 100Gb
  trainer plan -bench bench.json -gpus 64 -link 400Gb -per-machine 8 -inside 450GB`,
}

// bandwidth parses a number of bits, such as 100Gb, or bytes per second, such as 12.5GB.
func bandwidth(dst *float64) func(string) error {
	return func(s string) error {
		x, unit, err := humanize.ParseSI(s)
		switch strings.TrimSuffix(strings.TrimSuffix(unit, "/s"), "ps") {
		case "b", "bit":
			x /= 8
		case "B":
		default:
			x = 0
		}
		if err != nil || !(x > 0) || math.IsInf(x, 0) {
			return errors.New("want bits per second, such as 100Gb, or bytes, such as 12.5GB")
		}
		*dst = x
		return nil
	}
}

func runPlan(_ context.Context, p *program, args []string) error {
	o := &planOptions{link: 10e9 / 8, latency: 10 * time.Microsecond, perMachine: 1}
	rest, done, err := p.parseAnywhere(planFlags(o), planUsage, args)
	switch {
	case done || err != nil:
		return err
	case len(rest) > 0:
		return usageErrorf("plan: unexpected argument %q: plan takes only flags (trainer plan -h lists them)", rest[0])
	case o.bench == "" && o.imagesPerSec == 0:
		return usageErrorf("plan needs the speed of one device: pass -bench FILE, the output of trainer bench -json, or -images-per-second")
	case o.bench != "" && o.imagesPerSec > 0:
		return usageErrorf("-bench and -images-per-second: want only one of them")
	case o.bench == "" && o.recipe == "":
		return usageErrorf("-images-per-second: pass -recipe, too")
	}
	plan, err := p.newPlan(o)
	if err != nil {
		return err
	}
	return plan.print(p.stdout)
}

// plan is what is known of a training.
type plan struct {
	*planOptions
	recipe   *recipe.Recipe
	training cost.Training
	cluster  cost.Cluster
	device   string
	images   int // of the training set; 0 if unknown
}

// benchFigures is what plan reads of the output of trainer bench -json.
type benchFigures struct {
	Event           string  `json:"event"`
	CPU             string  `json:"cpu"`
	GPU             string  `json:"gpu"`
	Name            string  `json:"name"`
	Batch           int     `json:"batch"`
	ImagesPerSecond float64 `json:"images_per_second"`
	BytesPerSecond  float64 `json:"bytes_per_second"`
}

// newPlan collects the figures.
func (p *program) newPlan(o *planOptions) (*plan, error) {
	pl := &plan{planOptions: o, device: "one device"}
	pl.training = cost.Training{ImagesPerSecond: o.imagesPerSec}
	name, measured := o.recipe, ""
	if name != "" {
		r, err := p.Kinds.Load(name)
		if err != nil {
			return nil, err
		}
		measured = r.Name
	}
	if o.bench != "" {
		found, err := pl.readBench(o.bench, p.stdin, measured)
		if err != nil {
			return nil, err
		}
		name = cmp.Or(name, found)
	}
	r, err := p.Kinds.Load(name)
	if err != nil {
		return nil, err
	}
	if r.ImageShape() == nil {
		return nil, usageErrorf("recipe %s doesn't set the size of its images: add data or image-size to it", r.Name)
	}
	pl.recipe = r
	pl.training.Batch = cmp.Or(o.batch, pl.training.Batch, r.Batch)
	for _, kind := range p.Kinds.DataSets {
		if len(r.Data) > 0 && kind.Name == r.Data[0] {
			pl.images = kind.TrainImages
		}
	}
	if pl.training.Bytes, err = p.gradientBytes(r); err != nil {
		return nil, err
	}
	pl.cluster = cost.Cluster{Between: cost.Link{Bandwidth: o.link, Latency: o.latency.Seconds()}, PerMachine: o.perMachine}
	if pl.cluster.Inside = pl.cluster.Between; o.inside > 0 {
		pl.cluster.Inside = cost.Link{Bandwidth: o.inside, Latency: min(5e-6, o.latency.Seconds())}
	}
	return pl, nil
}

// maxBenchLines bounds the output of trainer bench that is read.
const maxBenchLines = 10_000

// readBench takes the figures of a recipe, "" meaning the first one, from the output of trainer bench -json, and returns its name.
func (pl *plan) readBench(file string, stdin io.Reader, measured string) (name string, err error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", usageErrorf("-bench: %v", err)
		}
		defer f.Close()
		in = f
	}
	if in == nil {
		return "", usageErrorf("-bench -: there is no standard input")
	}
	pl.training.Exchange = true
	lines := bufio.NewScanner(in)
	for n := 0; lines.Scan() && n < maxBenchLines; n++ {
		var b benchFigures
		if err := json.Unmarshal(lines.Bytes(), &b); err != nil {
			return "", usageErrorf("-bench %s: line %d is no line of trainer bench -json", file, n+1)
		}
		switch {
		case b.Event == "machine" && b.GPU != "":
			pl.device, pl.training.Exchange = printable.Text(b.GPU), false
		case b.Event == "machine":
			pl.device = printable.Text(b.CPU)
		case b.Event == "copy":
			pl.training.HostBandwidth = max(pl.training.HostBandwidth, b.BytesPerSecond)
		case b.Event == "recipe" && name == "" && (measured == "" || measured == b.Name):
			name, pl.training.ImagesPerSecond, pl.training.Batch = b.Name, b.ImagesPerSecond, b.Batch
		}
	}
	switch {
	case lines.Err() != nil:
		return "", usageErrorf("-bench %s: %v", file, lines.Err())
	case name == "" && measured != "":
		return "", usageErrorf("-bench %s: it has no recipe %s: run trainer bench -json -recipe %s", file, measured, shellWord(pl.planOptions.recipe))
	case name == "" || !(pl.training.ImagesPerSecond > 0) || pl.training.Batch < 1:
		return "", usageErrorf("-bench %s: it has no speed of a recipe: run trainer bench -json", file)
	}
	if !pl.training.Exchange {
		pl.training.HostBandwidth = 0
	}
	return name, nil
}

// gradientBytes returns the size of the gradients of a recipe's network in float32.
func (p *program) gradientBytes(r *recipe.Recipe) (float64, error) {
	dev, err := p.openHost(1)
	if err != nil {
		return 0, err
	}
	defer dev.Close()
	const batch = 2
	shape := r.ImageShape()
	split := &data.Dataset{Train: bench.SyntheticImages(2*batch, shape[0], shape[1], shape[2])}
	cfg := r.TrainConfig(dev, split, 1)
	cfg.Batch, cfg.Accumulate, cfg.Shards, cfg.Epochs, cfg.Resolution = batch, 1, 1, 1, nil
	cfg.Augment.Mean, cfg.Augment.Std = nil, nil
	cfg.Weights = train.DefaultWeights
	s, err := train.NewStepper(cfg)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	bytes := 0
	for _, t := range s.Network().Tensors() {
		bytes += 4 * t.Value.Len()
	}
	return float64(bytes), nil
}

// planRow is a line of the table.
type planRow struct {
	Event        string  `json:"event"`
	Devices      int     `json:"devices"`
	Batch        int     `json:"batch"` // of all devices
	StepSeconds  float64 `json:"step_seconds"`
	WaitSeconds  float64 `json:"wait_seconds"` // of it for the sums, and for moving them on a CPU
	Efficiency   float64 `json:"efficiency"`   // 0 to 1
	ImagesPerSec float64 `json:"images_per_second"`
	EpochSeconds float64 `json:"epoch_seconds,omitempty"`
	SentBytes    float64 `json:"sent_bytes"` // per step, by each machine
}

// row predicts a number of devices.
func (pl *plan) row(devices int) planRow {
	t := pl.training
	if pl.fixedBatch {
		t.Batch = max(1, t.Batch/devices)
	}
	s := t.On(devices, pl.cluster)
	r := planRow{
		Event: "plan", Devices: devices, Batch: s.Batch, StepSeconds: s.Seconds(), WaitSeconds: s.Exposed + s.Host,
		Efficiency: s.Efficiency(), ImagesPerSec: 1 / s.PerImage, SentBytes: s.Sent,
	}
	r.EpochSeconds = float64(pl.images) * s.PerImage
	return r
}

// rows returns the table.
func (pl *plan) rows() []planRow {
	var counts []int
	for n := 1; n <= maxPlanned; n *= 2 {
		counts = append(counts, n)
	}
	if pl.gpus > 0 && !slices.Contains(counts, pl.gpus) {
		counts = append(counts, pl.gpus)
		slices.Sort(counts)
	}
	var rows []planRow
	for _, n := range counts {
		if pl.fixedBatch && n > pl.training.Batch {
			break
		}
		rows = append(rows, pl.row(n))
	}
	return rows
}

// maxPlanned is the largest number of devices in every table.
const maxPlanned = 1024

func (pl *plan) print(w io.Writer) error {
	rows := pl.rows()
	if pl.json {
		out := json.NewEncoder(w)
		for _, r := range rows {
			if err := out.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	t := pl.training
	fmt.Fprintf(w, "%s on %s: %s images/s alone, in batches of %s; %s of gradients\n", pl.recipe.Name, pl.device, imageRate(t.ImagesPerSecond), humanize.Comma(int64(t.Batch)), humanize.Bytes(uint64(t.Bytes)))
	fmt.Fprintf(w, "links: %s/s and %v between machines", humanize.Bytes(uint64(pl.link)), pl.latency)
	if pl.perMachine > 1 {
		fmt.Fprintf(w, ", %s/s between the %d devices of one", humanize.Bytes(uint64(pl.cluster.Inside.Bandwidth)), pl.perMachine)
	}
	fmt.Fprintf(w, "\n\n%8s %9s %10s %10s %11s %12s %10s %12s\n", "devices", "batch", "step", "of it wait", "efficiency", "images/s", "epoch", "sent/step")
	for _, r := range rows {
		epoch := "-"
		if r.EpochSeconds > 0 {
			epoch = humanDuration(r.EpochSeconds)
		}
		fmt.Fprintf(w, "%8s %9s %10s %10s %10.0f%% %12s %10s %12s\n", humanize.Comma(int64(r.Devices)), humanize.Comma(int64(r.Batch)), milliseconds(r.StepSeconds), milliseconds(r.WaitSeconds),
			100*r.Efficiency, imageRate(r.ImagesPerSec), epoch, humanize.Bytes(uint64(r.SentBytes)))
	}
	fmt.Fprintln(w)
	for _, line := range pl.conclusions(rows) {
		fmt.Fprintln(w, line)
	}
	return nil
}

// milliseconds returns a time as text.
func milliseconds(seconds float64) string { return fmt.Sprintf("%.2f ms", 1000*seconds) }

// provenBatches are the largest batches that keep the accuracy in the papers of docs/many.md, by data set.
func provenBatch(r *recipe.Recipe) (batch int, of string) {
	if len(r.Data) > 0 && r.Data[0] == data.FolderKind().Name {
		return 32_768, "ImageNet (You et al. 2017, with the rule lars and a warm-up)"
	}
	return 4_096, "CIFAR-10 (Hoffer et al. 2017, with more epochs)"
}

// conclusions say where more devices stop paying.
func (pl *plan) conclusions(rows []planRow) (lines []string) {
	for _, r := range rows {
		if r.Devices == pl.gpus {
			lines = append(lines, fmt.Sprintf("%d devices train %.1f times as fast as one.", r.Devices, r.ImagesPerSec*rows[0].StepSeconds/float64(rows[0].Batch)))
		}
	}
	best := 0
	for i, r := range rows {
		if r.ImagesPerSec > rows[best].ImagesPerSec {
			best = i
		}
	}
	half := slices.IndexFunc(rows, func(r planRow) bool { return r.Efficiency < 0.5 })
	switch {
	case half >= 0:
		lines = append(lines, fmt.Sprintf("From %s devices on, more than half of each step is waiting.", humanize.Comma(int64(rows[half].Devices))))
	default:
		lines = append(lines, "No number of devices in the table waits for more than half of a step.")
	}
	if best < len(rows)-1 {
		lines = append(lines, fmt.Sprintf("More than %s devices are slower.", humanize.Comma(int64(rows[best].Devices))))
	}
	if proven, of := provenBatch(pl.recipe); !pl.fixedBatch {
		if i := slices.IndexFunc(rows, func(r planRow) bool { return r.Batch > proven }); i >= 0 {
			lines = append(lines, fmt.Sprintf("From %s devices on, the batch is larger than the %s that keep the accuracy on %s: see docs/many.md.", humanize.Comma(int64(rows[i].Devices)), humanize.Comma(int64(proven)), of))
		}
	}
	return lines
}
