package train

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/optim"
)

// frozenRun is the configuration everything with its first layers frozen.
func frozenRun(t *testing.T, until float64) Config {
	cfg := everything(t)
	cfg.Freeze, cfg.FreezeUntil = []string{"conv1", "norm*"}, until
	return cfg
}

// first returns the initial weights of a configuration.
func first(t *testing.T, cfg Config) map[string][]float32 {
	t.Helper()
	s, err := NewStepper(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return weights(t, s.net)
}

// Frozen layers keep the bits of their weights and running statistics, with any averages of weights. A training that is
// stopped before or after the layers thaw, and resumed, ends with the same bits; also on devices that record steps.
func TestFrozenLayersKeepTheirBits(t *testing.T) {
	for _, until := range []float64{0, 1, 1.25} {
		cfg := frozenRun(t, until)
		initial := first(t, cfg)
		straight, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		want := weights(t, straight.Network)
		for name, v := range want {
			frozen := until == 0 && (strings.HasPrefix(name, "conv1.") || strings.HasPrefix(name, "norm1."))
			if same := slices.Equal(v, initial[name]); same != frozen {
				t.Errorf("until %v: %s is unchanged: %v, want %v", until, name, same, frozen)
			}
		}
		for _, step := range []int{10, 20, 33} {
			resumed := cfg
			resumed.Resume = stopAt(t, cfg, step)
			if step == 10 && until > 0 {
				halfway := cfg
				halfway.Epochs, halfway.Optimizer.EMA = 1, nil
				checkUnchanged(t, halfway, initial)
			}
			r, err := Run(t.Context(), resumed)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(weights(t, r.Network), want) {
				t.Errorf("until %v: stopped at step %d and resumed, the weights differ", until, step)
			}
		}
		dev := newFakeGPU(t)
		recorded := cfg
		recorded.Device = dev
		r, err := Run(t.Context(), recorded)
		if err != nil {
			t.Fatal(err)
		}
		if captures := map[bool]int{true: 1, false: 2}[until == 0]; dev.captures != captures {
			t.Errorf("until %v: %d recordings, want %d", until, dev.captures, captures)
		}
		plain, err := Run(t.Context(), func() Config { c := cfg; c.Device = newFakeGPU(t); c.NoGraph = true; return c }())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(weights(t, r.Network), weights(t, plain.Network)) {
			t.Errorf("until %v: recorded steps give other weights", until)
		}
	}
}

// checkUnchanged trains to the end of the freeze, and checks that the frozen layers have not changed.
func checkUnchanged(t *testing.T, cfg Config, initial map[string][]float32) {
	t.Helper()
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range weights(t, r.Network) {
		if frozen := strings.HasPrefix(name, "conv1.") || strings.HasPrefix(name, "norm1."); frozen != slices.Equal(v, initial[name]) {
			t.Errorf("before they thaw, %s is unchanged: %v, want %v", name, !frozen, frozen)
		}
	}
}

func TestFreezeRefuses(t *testing.T) {
	cfg := frozenRun(t, 0)
	cfg.Freeze = []string{"conv7"}
	_, err := NewStepper(cfg)
	if bad, ok := errors.AsType[*ConfigError](err); !ok || !strings.Contains(bad.Error(), `no layer is named "conv7" (layers: conv1, norm1, `) {
		t.Errorf("%v", err)
	}
	cfg.Freeze = []string{"*"}
	_, err = NewStepper(cfg)
	if _, ok := errors.AsType[*optim.ConfigError](err); !ok || !strings.Contains(err.Error(), "no parameters that are trained") {
		t.Errorf("%v", err)
	}
	cfg.Freeze, cfg.FreezeUntil = nil, 2
	if _, err = NewStepper(cfg); err == nil || !strings.Contains(err.Error(), "freeze-until") {
		t.Errorf("%v", err)
	}
	cfg = frozenRun(t, 2)
	cfg.Resume = stopAt(t, cfg, 10)
	cfg.FreezeUntil = 1
	if _, err = Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), `frozen layers is ["conv1","norm*"] until epoch 1`) {
		t.Errorf("%v", err)
	}
}

// With Initialize, training begins with given weights, and so do averages of weights.
func TestInitializeComesBeforeTheAverages(t *testing.T) {
	cfg := frozenRun(t, 0)
	other := cfg
	other.Seed++
	s, err := NewStepper(other)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path := t.TempDir() + "/w.safetensors"
	if err := SaveWeights(path, s.net, nil); err != nil {
		t.Fatal(err)
	}
	want := weights(t, s.net)
	calls := 0
	cfg.Initialize = func(net *nn.Network) error {
		calls++
		return LoadWeights(path, net)
	}
	stepper, err := NewStepper(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer stepper.Close()
	if !reflect.DeepEqual(weights(t, stepper.net), want) {
		t.Error("the weights are not those that Initialize set")
	}
	for _, n := range stepper.opt.Tensors() {
		name, isAverage := strings.CutPrefix(n.Name, "ema.")
		if !isAverage {
			continue
		}
		values := make([]float32, n.Tensor.Len())
		if err := stepper.dev.Download(device.Bytes(values), n.Tensor); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(values, want[name]) {
			t.Errorf("the average of %s doesn't begin with it", name)
		}
	}
	cfg.Resume = stopAt(t, cfg, 3)
	calls = 0
	if _, err := Run(t.Context(), cfg); err != nil || calls != 0 {
		t.Errorf("%v; a resumed training called Initialize %d times", err, calls)
	}
	cfg.Resume = ""
	cfg.Initialize = func(*nn.Network) error { return errors.New("no such weights") }
	if _, err := Run(t.Context(), cfg); err == nil || err.Error() != "no such weights" {
		t.Errorf("%v", err)
	}
}

// The gradients of parameters whose training has ended change no bit of the result, whether they are computed or not: clipping
// to an infinite norm needs them, and is the reference. The same holds for a training that is stopped and resumed, and on
// devices that record steps.
func TestEndedGroupsKeepTheBitsOfTheOthers(t *testing.T) {
	cfg := everything(t)
	cfg.Optimizer.Groups = []optim.Group{{Match: "conv1.*", UntilEpoch: 1.25}, {Match: "norm1.*", UntilEpoch: 1}}
	cfg.Optimizer.Clip = optim.Clip{MaxNorm: 1e30}
	whole, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := weights(t, whole.Network)
	cfg.Optimizer.Clip = optim.Clip{}
	for _, dev := range []device.Device{cfg.Device, newFakeGPU(t)} {
		cfg.Device = dev
		straight, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := weights(t, straight.Network); !reflect.DeepEqual(got, want) {
			t.Error("the weights differ from those of a training with all gradients")
		}
		for _, step := range []int{10, 22, 33} {
			resumed := cfg
			resumed.Resume = stopAt(t, cfg, step)
			r, err := Run(t.Context(), resumed)
			if err != nil {
				t.Fatal(err)
			}
			if got := weights(t, r.Network); !reflect.DeepEqual(got, want) {
				t.Errorf("resumed after step %d: other weights", step)
			}
		}
	}
}
