package train

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"trainer/nn/data"
	"trainer/nn/optim"
)

// onPlateau is a configuration whose learning rate falls after every second evaluation, because no loss is
// a thousandth of the best one; 20 steps an epoch.
func onPlateau(t testing.TB) Config {
	cfg := everything(t)
	cfg.Data = &data.Dataset{Name: "stripes", Train: stripes(156, 1), Val: stripes(20, 3)}
	cfg.Schedule = optim.Plateau{Gamma: 0.5, Patience: 1, Threshold: 0.999}
	cfg.Epochs = 5.5
	return cfg
}

// TestPlateau follows the validation loss, on a device that runs ahead as well; a run that was stopped within an epoch,
// or at its end before the evaluation, goes on to the same bits.
func TestPlateau(t *testing.T) {
	straight, err := Run(t.Context(), onPlateau(t))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0.03, 0.03, 0.03, 0.015, 0.015, 0.0075} {
		if got := straight.History[i].LR; got != want {
			t.Errorf("epoch %d: the learning rate is %v, want %v", i+1, got, want)
		}
	}
	same := func(name string, got *Result) {
		t.Helper()
		if !reflect.DeepEqual(weights(t, got.Network), weights(t, straight.Network)) || !reflect.DeepEqual(timeless(got.History), timeless(straight.History)) {
			t.Errorf("%s: the weights or the history differ", name)
		}
	}
	for _, step := range []int{70, 80, 105} {
		cfg := onPlateau(t)
		cfg.Resume = stopAt(t, onPlateau(t), step)
		got, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		same(fmt.Sprintf("resumed at step %d", step), got)
	}
	ahead := onPlateau(t)
	ahead.Device = newFakeGPU(t)
	got, err := Run(t.Context(), ahead)
	if err != nil {
		t.Fatal(err)
	}
	same("ahead", got)
}

func TestPlateauNeedsValidation(t *testing.T) {
	for says, edit := range map[string]func(c *Config){
		"there is none: hold out":         func(c *Config) { c.Data.Val = nil },
		"only at the end: set eval-every": func(c *Config) { c.EvalEvery = -1 },
		"follows results on a validation": func(c *Config) { // also if only a group has the schedule
			c.Schedule, c.Data.Val = nil, nil
			c.Optimizer.Groups = []optim.Group{{Match: "*.weight", Schedule: optim.Plateau{}}}
		},
	} {
		cfg := onPlateau(t)
		edit(&cfg)
		_, err := DryRun(cfg)
		if wrong := (*ConfigError)(nil); !errors.As(err, &wrong) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want a ConfigError with %q", err, says)
		}
	}
}
