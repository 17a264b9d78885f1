package train

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"trainer/nn/data"
	"trainer/nn/optim"
)

// validated is a configuration with a validation set and 20 steps per epoch.
func validated(t testing.TB) Config {
	cfg := everything(t)
	cfg.Data = &data.Dataset{Name: "stripes", Train: stripes(156, 1), Val: stripes(40, 3), Test: stripes(50, 2)}
	cfg.Schedule = optim.Constant{}
	cfg.Epochs = 4.5
	return cfg
}

func TestStopRule(t *testing.T) {
	for name, c := range map[string]struct {
		stop     Stop
		loss     []float64
		accuracy []float64
		epoch    int // after which it stops; 0: never
		says     string
	}{
		"loss":         {Stop{Patience: 2}, []float64{3, 2, 2.5, 2, 1}, nil, 4, "after epoch 4: validation loss has not improved on epoch 2's 2.0000"},
		"small steps":  {Stop{Patience: 2, MinDelta: 0.5}, []float64{3, 2.6, 2.4, 2.1, 2}, nil, 5, "epoch 3's 2.4000"},
		"improves":     {Stop{Patience: 2}, []float64{5, 6, 4, 5, 3, 4, 2}, nil, 0, ""},
		"accuracy":     {Stop{Patience: 1, Metric: ByAccuracy}, nil, []float64{0.5, 0.6, 0.6}, 3, "validation accuracy has not improved on epoch 2's 60.00%"},
		"min-delta":    {Stop{Patience: 1, Metric: ByAccuracy, MinDelta: 0.01}, nil, []float64{0.5, 0.505}, 2, "epoch 1's 50.00% by more than min-delta, 0.01"},
		"zero":         {Stop{Patience: 2, Metric: ByAccuracy}, nil, []float64{0, 0, 0}, 3, "epoch 1's 0.00%"},
		"target":       {Stop{Target: 0.99}, nil, []float64{0.5, 0.98, 0.99}, 3, "after epoch 3: validation accuracy 99.00% has reached the target of 99%"},
		"target first": {Stop{Target: 0.6, Patience: 1}, []float64{1, 2}, []float64{0.5, 0.7}, 2, "has reached the target"},
	} {
		w := watch{Stop: c.stop}
		stopped, reason := 0, ""
		for i := 0; i < max(len(c.loss), len(c.accuracy)) && reason == ""; i++ {
			loss, accuracy := 1.0, 0.0
			if c.loss != nil {
				loss = c.loss[i]
			}
			if c.accuracy != nil {
				accuracy = c.accuracy[i]
			}
			if reason = w.reason(i+1, loss, accuracy, "validation"); reason != "" {
				stopped = i + 1
			}
		}
		if stopped != c.epoch || !strings.Contains(reason, c.says) {
			t.Errorf("%s: stopped after epoch %d, %q; want %d, %q", name, stopped, reason, c.epoch, c.says)
		}
	}
}

// TestStopResumes stops a run early, without an interruption and after one: after the same epoch, with the same bits. A run
// that has stopped early takes no more steps when it is resumed.
func TestStopResumes(t *testing.T) {
	impatient := func() Config {
		cfg := validated(t)
		cfg.Stop = Stop{Patience: 2, MinDelta: 0.9, Metric: ByAccuracy} // no epoch improves so much: epoch 3 is the last
		return cfg
	}
	cfg := impatient()
	cfg.Checkpoint.Dir = t.TempDir()
	straight, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if straight.Steps != 60 || len(straight.History) != 3 || !strings.HasPrefix(straight.Stopped, "after epoch 3: ") || straight.Interrupted {
		t.Fatalf("%d steps, %d epochs, stopped %q", straight.Steps, len(straight.History), straight.Stopped)
	}
	last := straight.History[2]
	if !last.Evaluated || last.TestLoss != straight.TestLoss || len(straight.TestAnswers) != 50 || straight.ValLoss != last.ValLoss {
		t.Errorf("the last epoch %+v, the result %v of %d answers", last, straight.TestLoss, len(straight.TestAnswers))
	}
	same := func(name string, cfg Config) {
		t.Helper()
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if r.Steps != 60 || r.Stopped != straight.Stopped || r.TestLoss != straight.TestLoss || !reflect.DeepEqual(weights(t, r.Network), weights(t, straight.Network)) {
			t.Errorf("%s: %d steps, stopped %q, test loss %v instead of %v, or other weights", name, r.Steps, r.Stopped, r.TestLoss, straight.TestLoss)
		}
	}
	resumed := impatient()
	resumed.Resume = stopAt(t, impatient(), 47)
	same("interrupted", resumed)
	finished := impatient()
	finished.Resume = cfg.Checkpoint.Dir + "/" + checkpointName
	same("finished", finished)
	patient := validated(t)
	patient.Resume = finished.Resume
	if r, err := Run(t.Context(), patient); err != nil || r.Steps != 90 || r.Stopped != "" {
		t.Errorf("without the rule the run ends at step 90; got %+v, %v", r, err)
	}
}

// TestTargetOnTest stops by the accuracy on the test set, on which epochs are evaluated if there is no validation set. The
// last evaluation uses all views.
func TestTargetOnTest(t *testing.T) {
	cfg := everything(t)
	cfg.Stop = Stop{Target: 0.01}
	evaluations := 0
	cfg.Hooks = []Hooks{{Evaluation: func(_ *Training, e *EvaluationDone) {
		evaluations++
		if !e.Test || !e.Scores || e.Best {
			t.Errorf("evaluation %+v", e)
		}
	}}}
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Steps != 20 || len(r.TestAnswers) != 50 || evaluations != 2 || !strings.Contains(r.Stopped, "test accuracy") {
		t.Errorf("%d steps, %d answers, %d evaluations, stopped %q", r.Steps, len(r.TestAnswers), evaluations, r.Stopped)
	}
}

func TestStopWithinAnEpoch(t *testing.T) {
	for _, configure := range []func(testing.TB) Config{everything, func(t testing.TB) Config { c, _ := onFakeGPU(t); return c }} {
		cfg := configure(t)
		cfg.Hooks = []Hooks{{Step: func(t *Training, s *StepDone) {
			if s.Step == 7 {
				t.Stop("enough")
				t.Stop("too late")
			}
		}}}
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if r.Steps != 7 || r.Stopped != "enough" || r.Interrupted || len(r.History) != 0 || r.TestCount == 0 || r.WeightsStep != 7 {
			t.Errorf("%d steps, stopped %q, interrupted %v, history %v, %d tested", r.Steps, r.Stopped, r.Interrupted, r.History, r.TestCount)
		}
	}
}

func TestStopRefuses(t *testing.T) {
	for says, edit := range map[string]func(c *Config){
		"stop: patience counts epochs on a validation set, and there is none: hold out some training images, such as a tenth (-val 0.1)": func(c *Config) {
			c.Stop, c.Data.Val = Stop{Patience: 3}, nil
		},
		"set eval-every to 1":                 func(c *Config) { c.Stop, c.EvalEvery = Stop{Target: 0.9}, -1 },
		"want patience, such as":              func(c *Config) { c.Stop = Stop{MinDelta: 0.1} },
		"target is 1.5, needs":                func(c *Config) { c.Stop = Stop{Target: 1.5} },
		"stop: target is an accuracy on":      func(c *Config) { c.Stop, c.Data.Val, c.Data.Test = Stop{Target: 0.5}, nil, nil },
		"weights: best needs results on a va": func(c *Config) { c.Weights, c.Data.Val = WeightsBest, nil },
		"weights: ema needs moving averages":  func(c *Config) { c.Weights, c.Optimizer.EMA = WeightsEMA, nil },
		`weights: "first", want last, best`:   func(c *Config) { c.Weights = "first" },
		`best by: "luck", want accuracy`:      func(c *Config) { c.BestBy = "luck" },
	} {
		cfg := validated(t)
		edit(&cfg)
		_, err := DryRun(cfg)
		if wrong := (*ConfigError)(nil); !errors.As(err, &wrong) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want a ConfigError with %q", err, says)
		}
	}
}
