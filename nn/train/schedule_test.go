package train

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/optim"
)

// onPlateau is a configuration whose learning rate falls after every second evaluation, because no loss is
// as small as a thousandth of the best loss. It has 20 steps per epoch.
func onPlateau(t testing.TB) Config {
	cfg := everything(t)
	cfg.Data = &data.Dataset{Name: "stripes", Train: stripes(156, 1), Val: stripes(20, 3)}
	cfg.Schedule = optim.Plateau{Gamma: 0.5, Patience: 1, Threshold: 0.999}
	cfg.Epochs = 5.5
	return cfg
}

// TestPlateau follows the validation loss, also on an asynchronous device. A run that is stopped within an epoch, or at its
// end before the evaluation, and resumed ends with the same bits.
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
		"follows results on a validation": func(c *Config) { // even if only one group has the schedule
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

// TestResumeCycledRules stops runs with composed rules, whose momentum a schedule sets, and with a group that has its own
// schedule. The resumed run ends with the bits of a run that was not stopped.
func TestResumeCycledRules(t *testing.T) {
	configure := func() Config {
		cfg := everything(t)
		cfg.Optimizer.Algorithm, cfg.Optimizer.LR = "adam", 0.01
		cfg.Schedule = optim.OneCycle{BaseMomentum: 0.8, MaxMomentum: 0.9}
		cfg.Optimizer.Groups = []optim.Group{
			{Role: nn.Weight, Rule: optim.Adam{AMSGrad: true}, LR: 0.003},
			{Match: "norm*", Rule: optim.RMSProp{Centered: true, Momentum: 0.5}, LR: 0.001},
			{Match: "conv1.bias", Rule: optim.SGD{Momentum: 0.9, Dampening: 0.5}, LR: 0.01, Schedule: optim.Sequential{
				Schedules:  []optim.Schedule{optim.CosineRestarts{First: 0.3, Growth: 2}, optim.Polynomial{}},
				Milestones: []float64{0.8},
			}},
		}
		return cfg
	}
	checkResume(t, configure, 23)
}
