package train

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"trainer/nn/optim"
)

// If the schedule doesn't depend on the length, a training that is extended ends with the bits of a training that was longer
// from the start, even if the original end was in the middle of an epoch.
func TestALongerTrainingIsTheLongTraining(t *testing.T) {
	cfg := everything(t)
	cfg.Schedule, cfg.Optimizer.Lookahead = optim.Constant{}, nil
	long := cfg
	long.Epochs = 4
	straight, err := Run(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	first := cfg
	first.Checkpoint.Dir = t.TempDir()
	if _, err := Run(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	long.Resume, long.Extend = filepath.Join(first.Checkpoint.Dir, checkpointName), true
	var x *Extension
	long.Hooks = []Hooks{{Start: func(_ *Training, s Start) { x = s.Extension }}}
	extended, err := Run(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weights(t, extended.Network), weights(t, straight.Network)) {
		t.Error("the weights differ")
	}
	if n := len(extended.History); n != 4 || extended.History[2].Step != 60 || extended.History[3].TestLoss != straight.History[3].TestLoss {
		t.Errorf("the history is %+v", extended.History)
	}
	if want := (Extension{Planned: 50, Steps: 80, Before: 0.03, Now: 0.03, End: 0.03}); x == nil || *x != want {
		t.Errorf("%+v, want %+v", x, want)
	}
}

// After an extension, the schedule continues as in a training of the new length, also if that training is stopped and resumed.
func TestAScheduleTakesItsNewCourse(t *testing.T) {
	cfg := everything(t) // one-cycle over 2.5 epochs
	half := stopAt(t, cfg, 30)
	cfg.Epochs, cfg.Resume, cfg.Extend = 3.5, half, true
	var x *Extension
	whole := cfg
	whole.Hooks = []Hooks{{Start: func(_ *Training, s Start) { x = s.Extension }}}
	want, err := Run(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	rate := func(step, total int) float64 {
		return cfg.Optimizer.LR * optim.OneCycle{}.Factor(optim.Progress{Step: step, Total: total, StepsPerEpoch: 20})
	}
	if x == nil || x.Before != rate(29, 50) || x.Now != rate(30, 70) || x.End != rate(69, 70) {
		t.Errorf("%+v, want %v, %v, %v", x, rate(29, 50), rate(30, 70), rate(69, 70))
	}
	cfg.Resume = stopAt(t, cfg, 45)
	got, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weights(t, got.Network), weights(t, want.Network)) {
		t.Error("stopped and resumed, the weights differ")
	}
}

func TestATrainingCannotBeShorterThanItIs(t *testing.T) {
	cfg := everything(t)
	cfg.Resume = stopAt(t, cfg, 30)
	cfg.Epochs, cfg.Extend = 1, true
	_, err := Run(t.Context(), cfg)
	if bad, ok := errors.AsType[*ConfigError](err); !ok || bad.Error() != "epochs: 1, and the run has done 1.5 already: want as many, or more" {
		t.Errorf("%v", err)
	}
	cfg.Epochs, cfg.Extend = 3, false
	if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "epochs is 3, in the checkpoint 2.5") {
		t.Errorf("without Extend: %v", err)
	}
	cfg.Seed, cfg.Extend = cfg.Seed+1, true
	if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "seed is 8, in the checkpoint 7") {
		t.Errorf("another seed: %v", err)
	}
}
