//go:build cuda && linux && cgo && (amd64 || arm64)

package training

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"trainer/gpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/train"
)

// frozenConfig trains two epochs of 9 steps with the first convolution and its normalisation frozen until an epoch, or
// throughout if that is 0.
func frozenConfig(dev device.Device, until float64) train.Config {
	return train.Config{
		Device: dev, Loss: nn.CrossEntropy{}, Epochs: 2, Batch: 8, Seed: 7,
		Data: &data.Dataset{Name: "stripes", Train: stripes(72, 1), Test: stripes(16, 2)},
		Model: nn.NewSequential(
			nn.Conv2D{OutC: 6, Kernel: nn.Square(3), Same: true, NoBias: true}, nn.BatchNorm{}, nn.GELU{},
			nn.Conv2D{OutC: 6, Kernel: nn.Square(3), NoBias: true}, nn.BatchNorm{}, nn.GELU{},
			nn.GlobalAvgPool{}, nn.Dense{Out: 3},
		),
		Optimizer: optim.Config{Algorithm: "sgd", LR: 0.02, Momentum: 0.9, WeightDecay: 1e-3, EMA: &optim.EMA{Decay: 0.9}},
		Freeze:    []string{"conv1", "norm1"}, FreezeUntil: until,
	}
}

// frozenTrace is a network before and after a training.
type frozenTrace struct{ before, after map[string][]float32 }

func trainFrozen(t *testing.T, dev device.Device, until float64) frozenTrace {
	t.Helper()
	cfg := frozenConfig(dev, until)
	s, err := train.NewStepper(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tr := frozenTrace{before: values(t, dev, s.Network().Tensors())}
	s.Close()
	r, err := train.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	tr.after = values(t, dev, r.Network.Tensors())
	return tr
}

// TestFrozenParity compares networks with frozen layers with those of the CPU, on the software emulation (or a GPU): frozen
// weights and running statistics keep their bits, and all others end where the CPU's do. The steps are replays of a graph,
// which is recorded anew when the layers thaw, also within an epoch.
func TestFrozenParity(t *testing.T) {
	for _, until := range []float64{0, 1, 1.5} {
		t.Run(fmt.Sprintf("until epoch %g", until), func(t *testing.T) {
			want := trainFrozen(t, newCPU(t), until)
			got := trainFrozen(t, anyDevice(t), until)
			if len(got.after) != len(want.after) || len(want.after) < 9 {
				t.Fatalf("%d tensors, on the CPU %d", len(got.after), len(want.after))
			}
			for name, w := range want.after {
				g, initial := got.after[name], want.before[name]
				isFrozen := until == 0 && (strings.HasPrefix(name, "conv1.") || strings.HasPrefix(name, "norm1."))
				if moved := !slices.EqualFunc(g, got.before[name], sameBits); moved == isFrozen {
					t.Errorf("%s: moved is %t, want %t", name, moved, !isFrozen)
				}
				// The rounding errors of a step are amplified by later ones, as in TestTrainingParity.
				if off, way := distance(g, w), distance(w, initial); off > 10*lossBound*way {
					t.Errorf("%s is %g from the CPU's, which moved by %g", name, off, way)
				}
			}
		})
	}
}

// distance returns the Euclidean distance of two vectors.
func distance(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}

// TestFrozenResumes stops a training before and after its layers thaw: it ends with the same bits, on the software emulation
// (or a GPU).
func TestFrozenResumes(t *testing.T) {
	const until = 1.5 // step 13 or 14
	d := anyDevice(t, gpu.WithDeterministic())
	config := func() train.Config { return frozenConfig(d, until) }
	straight, err := train.Run(t.Context(), config())
	if err != nil {
		t.Fatal(err)
	}
	want := trained(t, straight)
	for _, step := range []int{5, 16} {
		cfg := config()
		cfg.Resume = interrupted(t, config(), step)
		resumed, err := train.Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		same(t, trained(t, resumed), want)
	}
}

// whiteningConfig trains two epochs of 9 steps with a whitening layer, whose bias is trained until an epoch, in 16 bits: then the layer's
// output is in no memory (nn/conv2d_activated.go).
func whiteningConfig(dev device.Device, until float64) train.Config {
	cfg := frozenConfig(dev, 0)
	cfg.Freeze, cfg.DType = nil, device.Float16
	cfg.Model = nn.NewSequential(
		nn.Conv2D{OutC: 8, Kernel: nn.Square(2), Frozen: true}, nn.GELU{},
		nn.Conv2D{OutC: 16, Kernel: nn.Square(3), Same: true, NoBias: true}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.BatchNorm{}, nn.GELU{},
		nn.GlobalAvgPool{}, nn.Dense{Out: 3},
	)
	cfg.Optimizer.EMA = nil
	cfg.Optimizer.Groups = []optim.Group{{Match: "conv1.*", Role: nn.Bias, UntilEpoch: until}}
	return cfg
}

// TestWhiteningResumes stops a training before and after the bias of its whitening layer ends to be trained: it ends with the same
// bits, on the software emulation (or a GPU). The bias moves only before, and the other weights end where they do in float32, up to
// rounding.
func TestWhiteningResumes(t *testing.T) {
	const until = 1.5 // step 13 or 14
	d := anyDevice(t, gpu.WithDeterministic())
	run := func(cfg train.Config) map[string][]float32 {
		t.Helper()
		r, err := train.Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return values(t, d, r.Network.Tensors())
	}
	want := run(whiteningConfig(d, until))
	for _, step := range []int{5, 16} {
		cfg := whiteningConfig(d, until)
		cfg.Resume = interrupted(t, whiteningConfig(d, until), step)
		for name, v := range run(cfg) {
			same(t, v, want[name])
		}
	}
	if slices.EqualFunc(run(whiteningConfig(d, 0))["conv1.bias"], want["conv1.bias"], sameBits) {
		t.Error("the bias ends where one that is trained to the end does")
	}
	exact := whiteningConfig(d, until)
	exact.DType = device.Float32
	s, err := train.NewStepper(exact)
	if err != nil {
		t.Fatal(err)
	}
	initial := values(t, d, s.Network().Tensors())
	s.Close()
	for name, w := range run(exact) {
		// Each of 18 steps rounds to 2^-11, and rounding chooses other maxima of some windows.
		if off, way := distance(want[name], w), distance(w, initial[name]); off > 0.1*way {
			t.Errorf("%s is %g from that in float32, which moved by %g", name, off, way)
		}
	}
}
