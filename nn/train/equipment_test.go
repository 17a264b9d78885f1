package train

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/optim"
)

// seedCases are configurations with everything that a training keeps from step to step, and with everything that depends on
// the seed.
func seedCases(t *testing.T) map[string]Config {
	with := func(cfg Config, change func(*Config)) Config {
		change(&cfg)
		return cfg
	}
	return map[string]Config{
		"everything": everything(t),
		"growing":    growing(t),
		"accumulate": with(everything(t), func(c *Config) { c.Accumulate = 3 }),
		"shards":     with(everything(t), func(c *Config) { c.Shards = 4 }),
		"thawing":    with(everything(t), func(c *Config) { c.Freeze, c.FreezeUntil = []string{"conv1", "norm*"}, 1 }),
		"ending": with(everything(t), func(c *Config) {
			c.Optimizer.Groups = []optim.Group{{Match: "conv1.*", UntilEpoch: 1}, {Match: "norm1.*", UntilEpoch: 1}}
		}),
		"transforms": withTransforms(t, mixing()),
		"weights":    with(everything(t), func(c *Config) { c.Weights = WeightsLast }),
		"initialize": with(everything(t), func(c *Config) {
			c.Initialize = func(net *nn.Network) error {
				p := net.Params()[0]
				ones := make([]float32, p.Value.Len())
				for i := range ones {
					ones[i] = 0.1
				}
				return net.Device().Upload(p.Value, device.Bytes(ones))
			}
		}),
	}
}

// Trainings that differ in the seed use the same plans and tensors one after the other, and end with the bits of trainings by
// themselves.
func TestSeedsUseTheSameEquipment(t *testing.T) {
	for name, cfg := range seedCases(t) {
		t.Run(name, func(t *testing.T) {
			var want []*Result
			var bits []map[string][]float32
			for seed := range uint64(3) {
				cfg.Device, cfg.Seed = newFakeGPU(t), seed
				r, err := Run(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				want, bits = append(want, r), append(bits, weights(t, r.Network))
			}
			if reflect.DeepEqual(bits[1], bits[2]) {
				t.Fatal("two seeds give the same weights")
			}
			dev := newFakeGPU(t)
			cfg.Device, cfg.Shared = dev, &Shared{}
			defer cfg.Shared.Close()
			tensors := 0
			for seed := range uint64(3) {
				cfg.Seed = seed
				r, err := Run(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(weights(t, r.Network), bits[seed]) {
					t.Errorf("seed %d: the weights differ from those of a training by itself", seed)
				}
				for i, m := range r.History {
					w := want[seed].History[i]
					m.Seconds, m.EvalSeconds, m.ImagesPerSecond, w.Seconds, w.EvalSeconds, w.ImagesPerSecond = 0, 0, 0, 0, 0, 0
					if m != w {
						t.Errorf("seed %d, epoch %d: %+v, by itself %+v", seed, i+1, m, w)
					}
				}
				if seed == 0 {
					tensors = dev.tensors
				} else if dev.tensors != tensors {
					t.Errorf("seed %d: %d new tensors", seed, dev.tensors-tensors)
				}
			}
		})
	}
}

// usesSeed is a layer that asks for the seed.
type usesSeed struct{ nn.ReLU }

func (l usesSeed) Build(b *nn.Builder, in nn.Shape) (nn.BuiltLayer, error) {
	_ = b.Seed()
	return l.ReLU.Build(b, in)
}

// A training that another one's equipment doesn't fit, or that follows one with an error, gets equipment of its own.
func TestEquipmentThatDoesNotFit(t *testing.T) {
	cfg := everything(t)
	cfg.Device, cfg.Shared = newFakeGPU(t), &Shared{}
	defer cfg.Shared.Close()
	run := func(c Config) *Stepper {
		t.Helper()
		if _, err := Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if cfg.Shared.left == nil {
			return nil
		}
		return cfg.Shared.left.stepper
	}
	first := run(cfg)
	if again := run(cfg); first == nil || again != first {
		t.Fatalf("the same training has another stepper")
	}
	for name, change := range map[string]func(*Config){
		"epochs":  func(c *Config) { c.Epochs = 2 },
		"batch":   func(c *Config) { c.Batch = 4 },
		"model":   func(c *Config) { c.Model = nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 3}) },
		"data":    func(c *Config) { d := *c.Data; d.Train = stripes(156, 3); c.Data = &d },
		"device":  func(c *Config) { c.Device = newFakeGPU(t) },
		"augment": func(c *Config) { c.Augment.Crop = 2 },
	} {
		other := cfg
		change(&other)
		before := run(cfg)
		if run(other) == before {
			t.Errorf("another %s: the same stepper", name)
		}
	}
	seeded := cfg
	seeded.Model = nn.NewSequential(usesSeed{}, cfg.Model)
	if run(seeded) != nil {
		t.Error("a network with a layer that uses the seed is kept")
	}
	run(cfg)
	failing := cfg
	failing.Optimizer.LR = 1e30
	failing.Optimizer.Clip = optim.Clip{}
	if _, err := Run(t.Context(), failing); err == nil {
		t.Fatal("no error")
	}
	if cfg.Shared.left != nil {
		t.Error("what a training with an error left is kept")
	}
}

// The last checkpoint of a training is written while the next one runs; LastCheckpoint waits for it, and the first checkpoint of
// the next training does.
func TestLastCheckpointIsWrittenLater(t *testing.T) {
	cfg := everything(t)
	cfg.Device, cfg.Shared = newFakeGPU(t), &Shared{}
	defer cfg.Shared.Close()
	for seed := range uint64(3) {
		cfg.Seed, cfg.Checkpoint.Dir = seed, t.TempDir()
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		want := weights(t, r.Network)
		written, err := cfg.Shared.LastCheckpoint()()
		if err != nil {
			t.Fatal(err)
		}
		if want := (CheckpointWritten{Path: filepath.Join(cfg.Checkpoint.Dir, checkpointName), Step: r.Steps}); written == nil || *written != want {
			t.Errorf("seed %d: the last checkpoint is %+v, want %+v", seed, written, want)
		}
		resumed := cfg
		resumed.Shared, resumed.Device, resumed.Resume = nil, newFakeGPU(t), filepath.Join(cfg.Checkpoint.Dir, checkpointName)
		resumed.Checkpoint = Checkpoint{}
		if r, err = Run(t.Context(), resumed); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(weights(t, r.Network), want) {
			t.Errorf("seed %d: the checkpoint has other weights than the training", seed)
		}
	}
	// A disk that fails: the error reaches both who waits and the next training.
	cfg.Checkpoint.Dir = t.TempDir()
	removed := make(chan struct{})
	cfg.Hooks = []Hooks{{
		Finish: func(*Training, *Result) { close(removed) },
		Save: func(t *Training) func() error {
			if t.Steps() < t.run.stepper.total {
				return nil
			}
			return func() error { <-removed; return os.ErrPermission }
		},
	}}
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatalf("the training waited for its last checkpoint: %v", err)
	}
	failed := cfg.Shared.LastCheckpoint()
	cfg.Hooks = nil
	if _, err := Run(t.Context(), cfg); err == nil {
		t.Error("the next training has no error")
	}
	if written, err := failed(); err == nil || written != nil {
		t.Errorf("the last checkpoint is %+v, error %v, want an error", written, err)
	}
}
