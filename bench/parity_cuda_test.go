//go:build cuda && linux && cgo && (amd64 || arm64)

package bench

import (
	"math"
	"os"
	"testing"

	"trainer/cpu"
	"trainer/gpu"
	"trainer/gpu/cudasim"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

// parityBounds are the largest relative differences allowed between the losses of a recipe's first steps and the CPU's:
// about ten times the differences on the software emulation. float32 differs in the order of sums, and each step
// amplifies the difference of the step before; the other precisions round to 10, 10 and 7 mantissa bits, the last two
// after every layer.
var parityBounds = map[gpu.Precision]float64{gpu.FP32: 1e-4, gpu.TF32: 5e-3, gpu.FP16: 5e-3, gpu.BF16: 5e-2}

// paritySize says how much of the training is compared.
type paritySize struct {
	recipes      []string
	batch, steps int
}

// TestRecipes trains the first steps of recipes on the CPU, and in every precision on the software emulation, or
// with TRAINER_TEST_GPU=1 on this machine's first GPU: all recipes there, on larger batches. Images, order,
// augmentation, dropout and initial weights are the same everywhere.
func TestRecipes(t *testing.T) {
	size := paritySize{recipes: []string{"mnist-basic", "mnist", "cifar10-basic", "cifar10"}, batch: 4, steps: 3}
	if os.Getenv("TRAINER_TEST_GPU") != "" {
		size = paritySize{recipes: recipe.NamesForDataSets(), batch: 32, steps: 4}
	} else {
		t.Log("on the software emulation of CUDA, not on a GPU")
		t.Setenv(cudasim.PathVariable, cudasim.Build(t, cudasim.Options{}))
	}
	for _, name := range size.recipes {
		t.Run(name, func(t *testing.T) {
			r, err := recipe.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			reference, err := cpu.New()
			if err != nil {
				t.Fatal(err)
			}
			defer reference.Close()
			want := firstLosses(t, reference, r, size, device.Float32)
			for _, p := range precisions {
				t.Run(p.String(), func(t *testing.T) {
					d, err := gpu.New(0, gpu.WithPrecision(p))
					if err != nil {
						t.Fatal(err)
					}
					defer d.Close()
					compareLosses(t, firstLosses(t, d, r, size, p.DType()), want, parityBounds[p])
				})
			}
		})
	}
	if os.Getenv("TRAINER_TEST_GPU") == "" {
		for _, finding := range cudasim.Findings() {
			t.Errorf("software CUDA: %s", finding)
		}
	}
}

// firstLosses returns the mean loss of each of the first steps.
func firstLosses(t *testing.T, d device.Device, r *recipe.Recipe, size paritySize, dtype device.DType) []float64 {
	t.Helper()
	shape := r.ImageShape()
	set := SyntheticImages(size.batch*size.steps, shape[0], shape[1], shape[2])
	cfg := r.TrainConfig(d, &data.Dataset{Name: r.Data[0], Train: set}, 1)
	cfg.Batch, cfg.DType, cfg.Epochs = size.batch, dtype, 1e6
	training, err := NewTraining(cfg, data.LoaderConfig{Set: set, Batch: size.batch, Seed: 1, Shuffle: true})
	if err != nil {
		t.Fatal(err)
	}
	defer training.Close()
	var losses []float64
	for range size.steps {
		if err := training.Step(); err != nil {
			t.Fatal(err)
		}
		loss, _, count, err := training.Collect()
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, loss/float64(count))
	}
	return losses
}

func compareLosses(t *testing.T, got, want []float64, bound float64) {
	t.Helper()
	for i := range want {
		off := math.Abs(got[i]-want[i]) / math.Abs(want[i])
		t.Logf("step %d: loss %.6f, on the CPU %.6f: %.1e apart, relatively", i, got[i], want[i], off)
		if !(off <= bound) {
			t.Errorf("step %d: loss %v, on the CPU %v: %.1e apart, relatively, where %.0e is allowed", i, got[i], want[i], off, bound)
		}
	}
}
