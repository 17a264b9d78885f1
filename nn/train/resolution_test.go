package train

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"trainer/nn"
)

// growing is the configuration everything with images that grow over the epochs, and a network for all sizes.
func growing(t testing.TB) Config {
	cfg := everything(t)
	cfg.Model = nn.NewSequential(
		nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true}, nn.BatchNorm{}, nn.ReLU{},
		nn.Conv2D{OutC: 6, Kernel: nn.Square(3)}, nn.GELU{}, nn.Dropout{Rate: 0.2},
		nn.GlobalMaxPool{}, nn.Dense{Out: 3},
	)
	cfg.Resolution = []Resolution{{0, 5}, {1, 6}, {2, 8}}
	return cfg
}

// A training with images that grow ends with the same bits when it is stopped in any epoch and resumed, and on a device
// that records steps, which records one step for each size.
func TestResolution(t *testing.T) {
	cfg := growing(t)
	straight, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := weights(t, straight.Network)
	if got := straight.Network.Input(); got.String() != "8x8x1" {
		t.Errorf("the network is for %v, want 8x8x1", got)
	}
	for _, step := range []int{7, 20, 33, 45} {
		resumed := cfg
		resumed.Resume = stopAt(t, cfg, step)
		r, err := Run(t.Context(), resumed)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(weights(t, r.Network), want) {
			t.Errorf("stopped at step %d and resumed, the weights differ", step)
		}
		other := resumed
		other.Resolution = []Resolution{{0, 5}, {2, 8}}
		if _, err := Run(t.Context(), other); err == nil || !strings.Contains(err.Error(), "resolution is") {
			t.Errorf("resumed with other sizes: %v, want an error that names the resolution", err)
		}
	}
	dev := newFakeGPU(t)
	recorded := cfg
	recorded.Device = dev
	r, err := Run(t.Context(), recorded)
	if err != nil {
		t.Fatal(err)
	}
	if dev.captures != 3 {
		t.Errorf("%d recordings, want one for each of 3 sizes", dev.captures)
	}
	plain, err := Run(t.Context(), func() Config { c := cfg; c.Device = newFakeGPU(t); c.NoGraph = true; return c }())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weights(t, r.Network), weights(t, plain.Network)) {
		t.Error("recorded steps give other weights")
	}
}

// If every epoch has images of the data's own size, the training equals one without sizes.
func TestResolutionOfTheData(t *testing.T) {
	cfg := growing(t)
	cfg.Epochs, cfg.Resolution = 1, nil
	want, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Resolution = []Resolution{{0, 8}}
	got, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weights(t, got.Network), weights(t, want.Network)) {
		t.Error("the weights differ")
	}
}

// Frozen layers that begin to be trained do so in the networks of all sizes, and with batches that share an update.
func TestResolutionFreeze(t *testing.T) {
	cfg := growing(t)
	cfg.Accumulate = 2
	cfg.Freeze, cfg.FreezeUntil = []string{"conv1", "norm*"}, 1.25
	initial := first(t, cfg)
	straight, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := weights(t, straight.Network)
	if reflect.DeepEqual(want["conv1.weight"], initial["conv1.weight"]) {
		t.Error("the frozen layer was never trained")
	}
	resumed := cfg
	resumed.Resume = stopAt(t, cfg, 17)
	r, err := Run(t.Context(), resumed)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weights(t, r.Network), want) {
		t.Error("stopped and resumed, the weights differ")
	}
}

func TestResolutionErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"larger", func(c *Config) { c.Resolution = []Resolution{{0, 9}} }, "9 pixels from epoch 0 on, want 1 to 8 for images of 8x8"},
		{"order", func(c *Config) { c.Resolution = []Resolution{{1, 5}, {1, 8}} }, "want whole numbers from 0 that increase"},
		{"crop", func(c *Config) { c.Augment.Crop, c.Resolution = 5, []Resolution{{0, 5}} }, "with resolution 5: augmentation: crop shifts by 5 pixels, want 0 to 4"},
		{"network", func(c *Config) { c.Model = everything(t).Model }, "images of 5x5 (resolution = 5): layer dense1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := growing(t)
			c.change(&cfg)
			_, err := Run(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
			if setting, ok := errors.AsType[*ConfigError](err); c.name != "network" && (!ok || setting.Setting == "") {
				t.Errorf("the error is a %T, want a *ConfigError", err)
			}
		})
	}
}

func TestResolutionAllocatesNothing(t *testing.T) {
	cfg := growing(t)
	cfg.Resolution = []Resolution{{0, 5}}
	stepsAllocateNothing(t, cfg, 1)
}
