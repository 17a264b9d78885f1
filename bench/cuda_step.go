package bench

import (
	"testing"

	"trainer/gpu"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

// Whole training steps as in training: shuffling, upload, augmentation, forward, loss, backward, update. The images are
// random, of the size of the recipe's data set, and fill a few batches.

// stepBatches is the number of batches in the set.
const stepBatches = 4

// stepVariant is a way to train a recipe.
type stepVariant struct {
	name      string
	precision gpu.Precision // Auto: the recipe's
	noGraph   bool
	autotune  bool // time cuDNN's algorithms first
}

// variants are measured for most recipes, allVariants for one.
var (
	variants    = []stepVariant{{name: "recipe-precision"}, {name: "recipe-precision-autotune", autotune: true}}
	allVariants = append([]stepVariant{
		{name: "recipe-precision-no-graph", noGraph: true},
		{name: "fp16", precision: gpu.FP16}, {name: "bf16", precision: gpu.BF16},
		{name: "tf32", precision: gpu.TF32}, {name: "fp32", precision: gpu.FP32},
	}, variants...)
)

// comparedRecipe is the recipe that is trained in all variants.
const comparedRecipe = "airbench94"

// runSteps measures all built-in recipes, the compared one first.
func (a *accelerator) runSteps(b *testing.B) {
	names := []string{comparedRecipe}
	for _, name := range recipe.NamesForDataSets() {
		if name != comparedRecipe {
			names = append(names, name)
		}
	}
	for _, name := range names {
		selected := variants
		if name == comparedRecipe {
			selected = allVariants
		}
		for _, v := range selected {
			b.Run(name+"/"+v.name, func(b *testing.B) { a.benchStep(b, name, v) })
		}
	}
}

func (a *accelerator) benchStep(b *testing.B, name string, v stepVariant) {
	var changes []string
	if a.dry {
		changes = []string{"batch=2"}
	}
	r, err := recipe.LoadWith(name, changes)
	check(b, err)
	if v.precision == gpu.Auto && r.Precision != "" {
		v.precision, err = device.ParsePrecision(r.Precision)
		check(b, err)
	}
	var opts []gpu.Option
	if v.autotune {
		opts = append(opts, gpu.WithAutotune())
	}
	d := a.open(b, v.precision, opts...)
	t := newGPUTraining(b, d, r, device.PrecisionOf(d).DType(), v.noGraph)
	s := a.sample(b, d, work{queue: t.Step, target: stepTime})
	if s == nil {
		return
	}
	rate(b, s, float64(r.Batch), "img/s")
	b.ReportMetric(3*float64(t.Network().FLOPs())*float64(r.Batch)/s.median()/1e12, "TFLOP/s")
	b.ReportMetric(float64(r.Batch), "batch")
}

// newGPUTraining returns a training of a recipe on random images.
func newGPUTraining(b *testing.B, d device.Device, r *recipe.Recipe, dtype device.DType, noGraph bool) *Training {
	b.Helper()
	shape := r.ImageShape()
	set := SyntheticImages(stepBatches*r.Batch, shape[0], shape[1], shape[2])
	cfg := r.TrainConfig(d, &data.Dataset{Name: r.Data[0], Train: set}, 1)
	cfg.Epochs = 1e6
	cfg.DType, cfg.NoGraph = dtype, noGraph
	t, err := NewTraining(cfg, data.LoaderConfig{Set: set, Batch: r.Batch, Seed: 1, Shuffle: true, DropLast: true})
	check(b, err)
	b.Cleanup(t.Close)
	return t
}
