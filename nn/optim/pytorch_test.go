package optim

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"trainer/nn"
	"trainer/nn/setting"
)

// The tests in this file compare with what PyTorch computes in float64: testdata/pytorch.json, which
// testdata/pytorch.py writes.

// pyTorch is testdata/pytorch.json. The first element of each list of rules has the starting weights and the gradients.
type pyTorch struct {
	Schedules     []torchSchedule
	Rules, Cycled []torchRule
}

type torchSchedule struct {
	Settings           map[string]any
	Total              int
	PerEpoch           int `json:"per_epoch"`
	Factors, Momentums []float64
	Losses, Accuracies []float64 // one per epoch
}

type torchRule struct {
	Start     []float32
	Gradients [][]float32

	Settings map[string]any
	LR       float64
	Decay    float64      `json:"weight-decay"`
	Weights  [2][]float64 // after the first and the last step
}

func readPyTorch(t *testing.T) (p pyTorch) {
	t.Helper()
	text, err := os.ReadFile("testdata/pytorch.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// fromSettings returns a value of a kind with the settings of a recipe.
func fromSettings[T any](t *testing.T, kinds []setting.Kind[T], settings map[string]any) T {
	t.Helper()
	i := slices.IndexFunc(kinds, func(k setting.Kind[T]) bool { return k.Name == settings["kind"] })
	if i < 0 {
		t.Fatalf("no kind %v", settings["kind"])
	}
	left := len(settings) - 1
	made := setting.Edit(kinds[i].New(), nil, func(l *setting.List) {
		for _, s := range l.All() {
			v, ok := settings[s.Key]
			if !ok {
				continue
			}
			left--
			if parts, nested := s.Target().(*[]Schedule); nested {
				for _, part := range v.([]any) {
					*parts = append(*parts, fromSettings(t, ScheduleKinds(), part.(map[string]any)))
				}
				continue
			}
			if x, isNumber := v.(float64); isNumber && x == math.Trunc(x) {
				v = int64(x) // as TOML has it
			}
			if err := s.Set(v); err != nil {
				t.Fatalf("%v: %s: %v", settings, s.Key, err)
			}
		}
		if err := l.Finish(); err != nil {
			t.Fatalf("%v: %v", settings, err)
		}
	})
	if left != 0 {
		t.Fatalf("%v: %d settings are unknown", settings, left)
	}
	return made
}

// TestSchedulesAgainstPyTorch compares the factor and the momentum of every step.
func TestSchedulesAgainstPyTorch(t *testing.T) {
	cases := readPyTorch(t).Schedules
	if len(cases) < 45 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		s := fromSettings(t, ScheduleKinds(), c.Settings)
		var evaluations []Evaluation
		for step, want := range c.Factors {
			if epoch := step / c.PerEpoch; step > 0 && step%c.PerEpoch == 0 && len(c.Losses)+len(c.Accuracies) > 0 {
				e := Evaluation{Step: step}
				if c.Losses != nil {
					e.Loss = c.Losses[epoch-1]
				} else {
					e.Accuracy = c.Accuracies[epoch-1]
				}
				evaluations = append(evaluations, e)
			}
			p := Progress{Step: step, Total: c.Total, StepsPerEpoch: c.PerEpoch, Evaluations: evaluations}
			if got := s.Factor(p); !(math.Abs(got-want) <= 1e-12) {
				t.Errorf("%v: step %d of %d, %d per epoch: factor %v, want %v", c.Settings, step, c.Total, c.PerEpoch, got, want)
				break
			}
			if c.Momentums == nil {
				continue
			}
			if got, set := momentum(s, p); !set || !(math.Abs(got-c.Momentums[step]) <= 1e-12) {
				t.Errorf("%v: step %d of %d: momentum %v, %v, want %v", c.Settings, step, c.Total, got, set, c.Momentums[step])
				break
			}
		}
	}
}

// TestRulesAgainstPyTorch takes ten steps of every case, and holds the weights to PyTorch's by 1e-6 of the way that they
// went, and half a unit in the last place of the weight in each step.
func TestRulesAgainstPyTorch(t *testing.T) {
	all := readPyTorch(t)
	cycle := OneCycle{BaseMomentum: 0.8, MaxMomentum: 0.9}
	for schedule, cases := range map[Schedule][]torchRule{Constant{}: all.Rules, cycle: all.Cycled} {
		if len(cases) < 8 {
			t.Fatalf("%d cases", len(cases))
		}
		for _, c := range cases[1:] {
			if err := compareWithPyTorch(t, c, cases[0].Start, cases[0].Gradients, schedule); err != nil {
				t.Errorf("%v, decay %v, %T: %v", c.Settings, c.Decay, schedule, err)
			}
		}
	}
}

func compareWithPyTorch(t *testing.T, c torchRule, start []float32, gradients [][]float32, schedule Schedule) error {
	t.Helper()
	r := newRig(t)
	p := r.param("dense1.weight", nn.Weight, len(start))
	r.upload(p.Value, start)
	cfg := Config{Rule: fromSettings(t, RuleKinds(), c.Settings), LR: c.LR, WeightDecay: c.Decay}
	o, err := New(r.dev, []*nn.Param{p}, nil, cfg, schedule, len(gradients), 1)
	if err != nil {
		return err
	}
	previous, way := widen(start), make([]float64, len(start))
	for step, g := range gradients {
		r.upload(p.Grad, g)
		if err := o.Step(step); err != nil {
			return err
		}
		now := widen(r.download(p.Value))
		for i, w := range now {
			way[i] += math.Abs(w - previous[i])
		}
		previous = now
		which := 0
		switch step {
		case 0:
		case len(gradients) - 1:
			which = 1
		default:
			continue
		}
		for i, want := range c.Weights[which] {
			rounding := unit * float64(step+1) * (math.Abs(want) + way[i])
			if d := math.Abs(now[i] - want); !(d <= 1e-6*way[i]+rounding) {
				return fmt.Errorf("step %d: weight %d is %v, want %v: %.2g of its way off", step, i, now[i], want, d/way[i])
			}
		}
	}
	return nil
}
