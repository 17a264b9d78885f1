//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"math"
	"testing"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/train"
)

// stripes returns n images of 12x12x3 in three classes, horizontal, vertical and diagonal stripes, with noise that
// the seed decides.
func stripes(n int, seed uint64) *data.InMemory {
	const side, channels = 12, 3
	set := &data.InMemory{Name: "stripes", H: side, W: side, C: channels, ClassNames: []string{"horizontal", "vertical", "diagonal"}}
	for i := range n {
		class := i % 3
		for e := range side * side * channels {
			y, x := e/channels/side, e/channels%side
			phase := [3]int{y, x, x + y}[class]
			noise := device.RandomWord(seed, 0, uint32(i), uint64(e)) >> 25 // 0 to 127
			set.Images = append(set.Images, byte(128*(phase/2%2)+int(noise)))
		}
		set.Labels = append(set.Labels, int32(class))
	}
	return set
}

// parityCases are small networks with most kinds of layers, each with an optimiser.
func parityCases() map[string]train.Config {
	return map[string]train.Config{
		"conv, pool, dense": {
			Model: nn.NewSequential(
				nn.Conv2D{OutC: 6, Kernel: nn.Square(3)}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.ReLU{},
				nn.Conv2D{OutC: 8, Kernel: nn.Square(3)}, nn.ReLU{}, nn.Flatten{}, nn.Dense{Out: 16}, nn.ReLU{}, nn.Dense{Out: 3},
			),
			Optimizer: optim.Config{Algorithm: "sgd", LR: 0.02, Momentum: 0.9, Nesterov: true, WeightDecay: 1e-4},
		},
		"norm, GELU, dropout, Adam": {
			Model: nn.NewSequential(
				nn.Conv2D{OutC: 6, Kernel: nn.Square(3), Same: true, NoBias: true}, nn.BatchNorm{}, nn.GELU{},
				nn.Conv2D{OutC: 6, Kernel: nn.Square(3), Same: true, Groups: 2, NoBias: true}, nn.BatchNorm{}, nn.ReLU{},
				nn.MaxPool2D{Kernel: nn.Square(2)}, nn.Dropout{Rate: 0.2}, nn.GlobalAvgPool{}, nn.Dense{Out: 3},
			),
			Augment: train.Augment{Mean: []float32{0.5, 0.5, 0.5}, Std: []float32{0.3, 0.3, 0.3}, Flip: device.FlipRandom, Crop: 2, Cutout: 3},
			Optimizer: optim.Config{
				Algorithm: "adam", LR: 0.003, Clip: optim.Clip{MaxNorm: 1}, Lookahead: &optim.Lookahead{Every: 3, Base: 0.95, Power: 3},
			},
		},
	}
}

// lossBound is how far the two devices' losses may be apart after 20 steps, relative to the loss: sums are taken in another order,
// and each step multiplies the differences of the one before.
const lossBound = 1e-4

// TestParity trains 20 steps on the CPU device, and on the software emulation (or a GPU), where all but the first and the
// smaller batches are replays of a graph. Same seed, same losses.
func TestParity(t *testing.T) {
	for name, cfg := range parityCases() {
		t.Run(name, func(t *testing.T) {
			onCPU, onGPU := newCPU(t), anyDevice(t)
			cfg.Loss, cfg.Epochs, cfg.Batch, cfg.Seed = nn.CrossEntropy{Smoothing: 0.1}, 4, 8, 11
			cfg.Data = &data.Split{Name: "stripes", Train: stripes(36, 1)} // 5 steps an epoch, the last of 4 images
			want, wantGradients := losses(t, onCPU, cfg)
			got, gotGradients := losses(t, onGPU, cfg)
			if len(want) != 20 {
				t.Fatalf("%d steps, want 20", len(want))
			}
			for i := range want {
				if off := math.Abs(got[i]-want[i]) / math.Abs(want[i]); !(off <= lossBound) {
					t.Errorf("step %d: loss %v, on the CPU %v: %.2g apart, relatively, where %.2g are allowed", i, got[i], want[i], off, lossBound)
				}
			}
			compareGradients(t, gotGradients, wantGradients)
		})
	}
}

// losses trains, and returns the loss of each step, and the gradients of the first by parameter.
func losses(t *testing.T, dev device.Device, cfg train.Config) (all []float64, gradients map[string][]float32) {
	t.Helper()
	cfg.Device = dev
	s, err := train.NewStepper(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	loader, err := data.NewLoader(data.LoaderConfig{Set: cfg.Data.Train, Batch: cfg.Batch, Seed: cfg.Seed, Shuffle: true})
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	for epoch := range int(cfg.Epochs) {
		loader.Start(epoch, 0)
		for range s.StepsPerEpoch() {
			batch, err := loader.Next()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Step(batch); err != nil {
				t.Fatal(err)
			}
			loader.Release(batch)
			loss, _, count, err := s.Collect()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, loss/float64(count))
			if gradients == nil {
				gradients = firstGradients(t, s)
			}
		}
	}
	return all, gradients
}

func firstGradients(t *testing.T, s *train.Stepper) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, p := range s.Network().Params() {
		if p.Grad == nil {
			continue
		}
		values := make([]float32, p.Grad.Len())
		if err := s.Network().Device().Download(device.Bytes(values), p.Grad); err != nil {
			t.Fatal(err)
		}
		all[p.Name] = values
	}
	return all
}

// compareGradients holds the first step's gradients of each parameter to 10^-5 of the largest one.
func compareGradients(t *testing.T, got, want map[string][]float32) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%d parameters have gradients, on the CPU %d", len(got), len(want))
	}
	for name, w := range want {
		var largest, off float64
		for i := range w {
			largest = math.Max(largest, math.Abs(float64(w[i])))
			off = math.Max(off, math.Abs(float64(got[name][i])-float64(w[i])))
		}
		if !(off <= 1e-5*largest) {
			t.Errorf("%s: a gradient is %.3g off, where the largest is %.3g", name, off, largest)
		}
	}
}
