package train

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/optim"
)

// sharded are trainings whose batches of 8 are split into 4 parts. The last batch of an epoch has 4 images, one per part.
func sharded(t testing.TB) map[string]func() Config {
	with := func(change func(*Config)) func() Config {
		return func() Config {
			cfg := everything(t)
			cfg.Shards = 4
			change(&cfg)
			return cfg
		}
	}
	return map[string]func() Config{
		"everything": with(func(*Config) {}),
		"accumulate": with(func(c *Config) { c.Accumulate = 3 }),
		"summed":     with(func(c *Config) { c.Loss = nn.CrossEntropy{Sum: true}; c.Optimizer.LR = 0.01 }),
		"clipped":    with(func(c *Config) { c.Optimizer.Clip = optim.Clip{MaxNorm: 0.1, MaxValue: 0.01} }),
		"mixup": with(func(c *Config) {
			c.Augment.Flip, c.Augment.Crop, c.Augment.Cutout, c.Augment.Transforms = 0, 0, 0, mixing()
		}),
		"frozen": with(func(c *Config) { c.Freeze, c.FreezeUntil = []string{"conv1", "norm*"}, 1.5 }),
		"weighted": with(func(c *Config) {
			c.Data.Train = weightedSet{stripes(156, 1), func(i int) float32 { return float32(1 + i%3) }}
		}),
		"uneven": with(func(c *Config) { c.Batch, c.Shards, c.LastBatch = 15, 3, KeepLastBatch }), // the last batch has 6 images
	}
}

// TestShardsSameBits: no result depends on the number of threads, on a stop in the middle of an epoch, or on whether the
// data set is on the device and the parts are recorded.
func TestShardsSameBits(t *testing.T) {
	for name, configure := range sharded(t) {
		t.Run(name, func(t *testing.T) {
			straight, err := Run(t.Context(), configure())
			if err != nil {
				t.Fatal(err)
			}
			want := weights(t, straight.Network)
			same := func(what string, cfg Config) {
				t.Helper()
				r, err := Run(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(weights(t, r.Network), want) {
					t.Errorf("%s: the weights differ", what)
				}
				if got, want := timeless(r.History), timeless(straight.History); !reflect.DeepEqual(got, want) {
					t.Errorf("%s: history %+v, want %+v", what, got, want)
				}
			}
			cfg := configure()
			cfg.Device = newCPU(t, 3)
			same("3 threads", cfg)
			cfg = configure()
			cfg.Resume = stopAt(t, configure(), 8)
			same("resumed", cfg)
			cfg = configure()
			cfg.Device = newFakeGPU(t)
			same("recorded", cfg)
		})
	}
}

// TestShardsAreTheBatch: without layers that look at the whole batch, shards change nothing but the order of sums.
func TestShardsAreTheBatch(t *testing.T) {
	whole, err := Run(t.Context(), plainNetwork(t, 15, 1))
	if err != nil {
		t.Fatal(err)
	}
	cfg := plainNetwork(t, 15, 1)
	cfg.Shards = 5
	parts, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range whole.History {
		p := parts.History[i]
		if p.Step != w.Step || p.LR != w.LR || !near(p.TrainLoss, w.TrainLoss) || !near(p.TestLoss, w.TestLoss) {
			t.Errorf("epoch %d: %+v, want %+v", i+1, p, w)
		}
	}
	want := weights(t, whole.Network)
	for name, values := range weights(t, parts.Network) {
		for i, v := range values {
			if !near(float64(v), float64(want[name][i])) {
				t.Fatalf("%s[%d] = %v, want %v", name, i, v, want[name][i])
			}
		}
	}
}

// TestShardsAreRemembered: a checkpoint of another number of shards is refused.
func TestShardsAreRemembered(t *testing.T) {
	configure := sharded(t)["everything"]
	cfg := configure()
	cfg.Resume = stopAt(t, configure(), 5)
	cfg.Shards = 2
	_, err := Run(t.Context(), cfg)
	if !errors.As(err, new(*MismatchError)) || !strings.Contains(err.Error(), "shards is 2, in the checkpoint 4") {
		t.Errorf("%v", err)
	}
}

func TestShardsRefused(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Shards = -1 }, "shards: -1 parts of a batch, need at least 1"},
		{func(c *Config) { c.Shards = 3 }, "shards: a batch of 8 can't be split into 3 equal parts: use batch 6 or 9"},
		{func(c *Config) { c.Shards = 16 }, "shards: a batch of 8 can't be split into 16 equal parts: use batch 16"},
		{func(c *Config) { c.Shards, c.LastBatch = 8, KeepLastBatch },
			`last-batch: an epoch of 156 images ends with a batch of 4, too few for 8 parts of at least 1: use last-batch = "drop", fewer shards, or another batch than 8`},
	} {
		cfg := everything(t)
		c.change(&cfg)
		if _, err := DryRun(cfg); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	cfg := everything(t)
	cfg.Shards = 8
	sum, err := DryRun(cfg)
	if err != nil || sum.StepsPerEpoch != 19 || sum.Dropped != 4 {
		t.Errorf("%v, %+v; want 19 steps, and 4 images dropped", err, sum)
	}
}

func TestShardsAllocateNothing(t *testing.T) {
	cfg := sharded(t)["accumulate"]()
	cfg.Epochs = 40
	stepsAllocateNothing(t, cfg, 25)
	cfg = sharded(t)["everything"]()
	cfg.Device, cfg.Epochs, cfg.MetricsEvery = newFakeGPU(t), 20, 3
	stepsAllocateNothing(t, cfg, 45)
}
