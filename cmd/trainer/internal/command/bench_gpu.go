package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"trainer/bench"
	"trainer/cmd/trainer/internal/display"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// trainer bench on a GPU: large products and convolutions in each precision, and the recipes' training steps in their own.
// As in training, work is queued many times between two waits for the GPU; a rate covers all of it.

// gpuBenchmark is one call of trainer bench on a GPU.
type gpuBenchmark struct {
	*benchmark
	name string // of the GPU, such as "cuda:0"
	kind device.Kind
}

// measureGPU measures and prints everything, each line as soon as it is known. It closes dev, which only says which
// GPU to measure.
func (b *benchmark) measureGPU(dev device.Device, recipes []*recipe.Recipe) error {
	g := &gpuBenchmark{b, dev.Name(), b.kindOf(dev)}
	info := dev.Info()
	if err := dev.Close(); err != nil {
		return err
	}
	if info.Emulated {
		return usageErrorf("-device %s: %s is an emulation, whose speed means nothing", b.device, g.name)
	}
	g.show(describeGPU(g.name, info, g.version()))
	if b.recipe == "" {
		if err := g.measureProducts(); err != nil {
			return err
		}
	}
	return g.measureRecipes(recipes)
}

// open opens the GPU anew.
func (g *gpuBenchmark) open(precision, ofRecipe device.Precision) (device.Device, error) {
	return g.openDevice(deviceOptions{device: g.name, precision: precision, recipePrecision: ofRecipe})
}

// measureProducts measures in the precision that was asked for, or in each one that the GPU supports. The text is a table
// with one column per precision, which is printed when all are known.
func (g *gpuBenchmark) measureProducts() error {
	precisions := g.kind.Precisions
	if g.precision != device.Auto {
		precisions = []device.Precision{g.precision}
	}
	table := gpuTable{kernels: bench.LargeKernels()}
	for _, p := range precisions {
		dev, err := g.open(p, device.Auto)
		if errors.Is(err, device.ErrNotSupported) && len(precisions) > 1 {
			continue
		}
		if err != nil {
			return err
		}
		column, err := g.measureColumn(dev, p, table.kernels)
		if err = errors.Join(err, dev.Close()); err != nil {
			return err
		}
		table.add(p, column)
	}
	if !g.json {
		fmt.Fprint(g.stdout, table.text())
	}
	return nil
}

// measureColumn returns the rates of the kernels in a precision, in 1e9 operations per second.
func (g *gpuBenchmark) measureColumn(dev device.Device, p device.Precision, kernels []bench.Kernel) (column []float64, err error) {
	for _, k := range kernels {
		run, err := k.Prepare(dev, p.DType())
		if err != nil {
			return nil, fmt.Errorf("measuring %s in %v: %w", k.Name, p, err)
		}
		rate, err := queuedRate(g.ctx, dev, g.time/10, func() error { run(); return nil })
		if err != nil {
			return nil, fmt.Errorf("measuring %s in %v: %w", k.Name, p, err)
		}
		gflops := rate * float64(k.FLOPs) / 1e9
		if g.json {
			_ = json.NewEncoder(g.stdout).Encode(gpuKernelLine{"kernel", k.Name, k.Pass, p.String(), gflops})
		}
		column = append(column, gflops)
	}
	return column, nil
}

// measureRecipes measures each recipe in its precision. The GPU stays open as long as the precision stays the same.
func (g *gpuBenchmark) measureRecipes(recipes []*recipe.Recipe) error {
	g.heading("%-*s %10s %9s %9s %12s  %s", recipeColumn, "recipe", "images/s", "TFLOP/s", "precision", "batch", "whole recipe")
	var dev device.Device
	var opened device.Precision
	defer func() {
		if dev != nil {
			dev.Close()
		}
	}()
	for _, r := range recipes {
		ofRecipe, err := recipePrecision(r)
		if err != nil {
			return err
		}
		if dev != nil && ofRecipe != opened {
			if err := dev.Close(); err != nil {
				return err
			}
			dev = nil
		}
		if dev == nil {
			if dev, err = g.open(g.precision, ofRecipe); err != nil {
				return err
			}
			opened = ofRecipe
		}
		line, err := g.measureRecipe(dev, r)
		if err != nil {
			return fmt.Errorf("recipe %s: %w", r.Name, err)
		}
		g.show(line)
	}
	return nil
}

// measureRecipe trains on random images that are kept where a data set would be. If the batch doesn't fit into the GPU's
// memory, a smaller one is measured.
func (g *gpuBenchmark) measureRecipe(dev device.Device, r *recipe.Recipe) (line gpuRecipeLine, err error) {
	cfg := g.syntheticTraining(dev, r, r.Batch)
	t, err := newSyntheticTraining(cfg)
	if errors.Is(err, device.ErrOutOfMemory) {
		fits := train.FittingBatch(cfg)
		if fits == 0 {
			return line, err
		}
		cfg = g.syntheticTraining(dev, r, fits)
		t, err = newSyntheticTraining(cfg)
	}
	if err != nil {
		return line, err
	}
	defer t.Close()
	rate, err := queuedRate(g.ctx, dev, g.time, t.Step)
	if err != nil {
		return line, err
	}
	rate *= float64(cfg.Batch)
	line.recipeSpeed = g.speedOf(r, cfg.Batch, rate, 3*float64(t.Network().FLOPs())*rate)
	line.Precision = device.PrecisionOf(dev).String()
	return line, nil
}

// syntheticTraining configures a recipe's training on a few batches of random images of its data set's size.
func (g *gpuBenchmark) syntheticTraining(dev device.Device, r *recipe.Recipe, batch int) train.Config {
	const batches = 8
	shape := r.ImageShape()
	split := &data.Dataset{Train: bench.SyntheticImages(batches*batch, shape[0], shape[1], shape[2])}
	if len(r.Data) > 0 {
		split.Name = r.Data[0] // whose mean and standard deviation the recipe has
	}
	cfg := r.TrainConfig(dev, split, 1)
	cfg.Batch, cfg.Epochs = batch, 1e6
	cfg.DType = device.PrecisionOf(dev).DType()
	return cfg
}

func newSyntheticTraining(cfg train.Config) (*bench.Training, error) {
	return bench.NewTraining(cfg, data.LoaderConfig{Set: cfg.Data.Train, Batch: cfg.Batch, Seed: 1, Shuffle: true})
}

// queuedRate queues work repeatedly for about t, waits for the device, and returns how often per second it was done. A
// few unmeasured times come first: the first loads code, the second may be recorded, and the clocks rise.
func queuedRate(ctx context.Context, dev device.Device, t time.Duration, queue func() error) (float64, error) {
	const unmeasured = 4
	if _, err := queueTimes(ctx, dev, unmeasured, queue); err != nil {
		return 0, err
	}
	for n := 1; ; {
		took, err := queueTimes(ctx, dev, n, queue)
		if err != nil {
			return 0, err
		}
		if took >= t {
			return float64(n) / took.Seconds(), nil
		}
		// As many as would take t, and a fifth more, so that the next attempt is probably the last.
		wanted := math.Ceil(1.2 * float64(n) * float64(t) / float64(max(took, 1)))
		n = max(n+1, int(min(wanted, 10*float64(n))))
	}
}

// queueTimes queues work n times, waits for it, and returns the time from the first call to the end.
func queueTimes(ctx context.Context, dev device.Device, n int, queue func() error) (time.Duration, error) {
	start := time.Now()
	for range n {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := queue(); err != nil {
			return 0, err
		}
	}
	err := dev.Sync()
	return time.Since(start), err
}

// gpuLine describes the GPU that is measured.
type gpuLine struct {
	Event    string   `json:"event"`
	GPU      string   `json:"gpu"`
	Device   string   `json:"device"`
	Memory   int64    `json:"memory_bytes"`
	Features []string `json:"features"`
	Version  string   `json:"version"`
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
}

func describeGPU(name string, info device.Info, version string) gpuLine {
	// The precision in which the GPU was opened means nothing: all are measured.
	features := slices.DeleteFunc(slices.Clone(info.Features), func(f string) bool {
		_, err := device.ParsePrecision(f)
		return err == nil
	})
	return gpuLine{
		Event: "machine", GPU: info.Description, Device: name, Memory: info.Memory, Features: features,
		Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}

func (l gpuLine) text() string {
	return fmt.Sprintf("trainer %s, %s %s\n%-7s %s, %s\nwith    %s", l.Version, l.Go, l.Platform,
		l.Device, l.GPU, humanize.IBytes(uint64(l.Memory)), strings.Join(l.Features, ", "))
}

// gpuKernelLine is the rate that a kernel reaches, for a program.
type gpuKernelLine struct {
	Event     string  `json:"event"`
	Name      string  `json:"name"`
	Pass      string  `json:"pass,omitempty"`
	Precision string  `json:"precision"`
	GFLOPS    float64 `json:"gflops"`
}

// gpuTable has the rates that the kernels reach, for a person.
type gpuTable struct {
	kernels []bench.Kernel
	heads   []device.Precision
	columns [][]float64 // in 1e9 operations per second
}

func (t *gpuTable) add(head device.Precision, column []float64) {
	t.heads, t.columns = append(t.heads, head), append(t.columns, column)
}

// gpuKernelColumn is the width of the kernels' names.
const gpuKernelColumn = 54

func (t *gpuTable) text() string {
	var s strings.Builder
	fmt.Fprintf(&s, "\n%-*s", gpuKernelColumn, "kernel, TFLOP/s")
	for _, h := range t.heads {
		fmt.Fprintf(&s, "%6v", h)
	}
	for i, k := range t.kernels {
		name := k.Name
		if k.Pass != "" {
			name += ", " + k.Pass
		}
		fmt.Fprintf(&s, "\n%-*s", gpuKernelColumn, name)
		for _, c := range t.columns {
			fmt.Fprintf(&s, "%6.4g", c[i]/1e3)
		}
	}
	return s.String() + "\n"
}

// gpuRecipeLine is how fast a recipe trains on a GPU.
type gpuRecipeLine struct {
	recipeSpeed
	Precision string `json:"precision"`
}

func (r gpuRecipeLine) text() string {
	whole := display.Epochs(r.Epochs)
	if r.TrainImages > 0 {
		whole += ": " + humanDuration(r.TrainSeconds)
	}
	return fmt.Sprintf("%-*s %10s %9.1f %9s %12s  %s", recipeColumn, r.Name, imageRate(r.ImagesPerSecond), r.GFLOPS/1e3,
		r.Precision, batchText(r.Batch, r.RecipeBatch), whole)
}
