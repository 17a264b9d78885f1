package train

import (
	"testing"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
)

// stripes returns n images of 8x8x1 in three classes: horizontal, vertical and diagonal stripes,
// with noise that depends on the seed.
func stripes(n int, seed uint64) *data.InMemory {
	const side = 8
	set := &data.InMemory{Name: "stripes", H: side, W: side, C: 1, ClassNames: []string{"horizontal", "vertical", "diagonal"}}
	for i := range n {
		class := i % 3
		for y := range side {
			for x := range side {
				phase := [3]int{y, x, x + y}[class]
				noise := device.RandomWord(seed, 0, uint32(i), uint64(y*side+x)) >> 25 // 0 to 127
				set.Images = append(set.Images, byte(128*(phase/2%2)+int(noise)))
			}
		}
		set.Labels = append(set.Labels, int32(class))
	}
	return set
}

func newCPU(t testing.TB, threads int) device.Device {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(threads))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// everything is a configuration with all parts of a training that have state: batch normalisation, dropout,
// augmentation, Adam, Lookahead, averages. It has 20 steps per epoch, the last with 4 images.
func everything(t testing.TB) Config {
	return Config{
		Device: newCPU(t, 2),
		Model: nn.NewSequential(
			nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true}, nn.BatchNorm{}, nn.ReLU{},
			nn.Conv2D{OutC: 6, Kernel: nn.Square(3), Stride: nn.Square(2)}, nn.GELU{}, nn.Dropout{Rate: 0.2},
			nn.Flatten{}, nn.Dense{Out: 3},
		),
		Loss:    nn.CrossEntropy{Smoothing: 0.05},
		Data:    &data.Dataset{Name: "stripes", Train: stripes(156, 1), Test: stripes(50, 2)},
		Augment: Augment{Mean: []float32{0.5}, Std: []float32{0.3}, Flip: device.FlipAlternating, Crop: 1, Cutout: 2},
		Optimizer: optim.Config{
			Algorithm: "adam", LR: 0.03, WeightDecay: 1e-4, Clip: optim.Clip{MaxNorm: 5},
			Lookahead: &optim.Lookahead{Every: 3, Base: 0.95, Power: 3}, EMA: &optim.EMA{Decay: 0.9},
		},
		Schedule: optim.OneCycle{},
		Epochs:   2.5, Batch: 8, Seed: 7,
		TTA: []TTAView{{Weight: 2}, {DY: 1, Mirror: true}},
	}
}

// weights returns the bits of all tensors of the network.
func weights(t testing.TB, net *nn.Network) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, n := range networkTensors(net) {
		values := make([]float32, n.Tensor.Len())
		if err := net.Device().Download(device.Bytes(values), n.Tensor); err != nil {
			t.Fatal(err)
		}
		all[n.Name] = values
	}
	return all
}

// Event is an argument of a hook: Start, *StepDone, *StepMetrics, *EvalProgress, EpochDone, CheckpointWritten, Finished.
type Event any

type (
	EpochDone struct{ EpochMetrics }
	Finished  struct{ Result *Result }
)

// listen returns hooks that call one function.
func listen(f func(Event)) Hooks {
	return Hooks{
		Start:      func(_ *Training, e Start) { f(e) },
		Step:       func(_ *Training, e *StepDone) { f(e) },
		Log:        func(_ *Training, e *StepMetrics) { f(e) },
		Progress:   func(_ *Training, e *EvalProgress) { f(e) },
		Epoch:      func(_ *Training, e EpochMetrics) { f(EpochDone{e}) },
		Checkpoint: func(_ *Training, e CheckpointWritten) { f(e) },
		Finish:     func(_ *Training, e *Result) { f(Finished{e}) },
	}
}
