// Package optimtest compares update rules and schedules with what PyTorch computes in float64, step by step: on any
// device. The numbers are in pytorch.json, which pytorch.py writes.
package optimtest

import (
	_ "embed" // for pytorch.json
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/setting"
)

//go:embed pytorch.json
var pyTorchJSON []byte

// pyTorch is pytorch.json. The first element of each list of rules has the starting weights and the gradients.
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
	if err := json.Unmarshal(pyTorchJSON, &p); err != nil {
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
			if parts, nested := s.Target().(*[]optim.Schedule); nested {
				for _, part := range v.([]any) {
					*parts = append(*parts, fromSettings(t, optim.ScheduleKinds(), part.(map[string]any)))
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

// Schedules compares the factor and the momentum of every step.
func Schedules(t *testing.T) {
	t.Helper()
	cases := readPyTorch(t).Schedules
	if len(cases) < 45 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		s := fromSettings(t, optim.ScheduleKinds(), c.Settings)
		var evaluations []optim.Evaluation
		for step, want := range c.Factors {
			if epoch := step / c.PerEpoch; step > 0 && step%c.PerEpoch == 0 && len(c.Losses)+len(c.Accuracies) > 0 {
				e := optim.Evaluation{Step: step}
				if c.Losses != nil {
					e.Loss = c.Losses[epoch-1]
				} else {
					e.Accuracy = c.Accuracies[epoch-1]
				}
				evaluations = append(evaluations, e)
			}
			p := optim.Progress{Step: step, Total: c.Total, StepsPerEpoch: c.PerEpoch, Evaluations: evaluations}
			if got := s.Factor(p); !(math.Abs(got-want) <= 1e-12) {
				t.Errorf("%v: step %d of %d, %d per epoch: factor %v, want %v", c.Settings, step, c.Total, c.PerEpoch, got, want)
				break
			}
			if c.Momentums == nil {
				continue
			}
			if got, set := s.(optim.MomentumSchedule).Momentum(p); !set || !(math.Abs(got-c.Momentums[step]) <= 1e-12) {
				t.Errorf("%v: step %d of %d: momentum %v, %v, want %v", c.Settings, step, c.Total, got, set, c.Momentums[step])
				break
			}
		}
	}
}

// Rules takes ten steps of every case on a device, and checks that each weight is PyTorch's up to 1e-6 of the distance
// that it moved, plus half a unit in the last place of the weight in each step.
func Rules(t *testing.T, dev device.Device) {
	t.Helper()
	all := readPyTorch(t)
	for _, list := range []struct {
		cases    []torchRule
		schedule optim.Schedule
	}{{all.Rules, optim.Constant{}}, {all.Cycled, optim.OneCycle{BaseMomentum: 0.8, MaxMomentum: 0.9}}} {
		if len(list.cases) < 8 {
			t.Fatalf("%d cases", len(list.cases))
		}
		start, gradients := list.cases[0].Start, list.cases[0].Gradients
		for _, c := range list.cases[1:] {
			if err := c.compare(t, dev, start, gradients, list.schedule); err != nil {
				t.Errorf("%v, decay %v, %T: %v", c.Settings, c.Decay, list.schedule, err)
			}
		}
	}
}

// compare takes the steps of one case, with one gradient per step.
func (c torchRule) compare(t *testing.T, dev device.Device, start []float32, gradients [][]float32, schedule optim.Schedule) error {
	t.Helper()
	p := &nn.Param{Name: "weight", Role: nn.Weight}
	for _, tensor := range []**device.Tensor{&p.Value, &p.Grad} {
		var err error
		if *tensor, err = dev.NewTensor(device.Float32, len(start)); err != nil {
			return err
		}
	}
	if err := dev.Upload(p.Value, device.Bytes(start)); err != nil {
		return err
	}
	cfg := optim.Config{Rule: fromSettings(t, optim.RuleKinds(), c.Settings), LR: c.LR, WeightDecay: c.Decay}
	o, err := optim.New(dev, []*nn.Param{p}, nil, cfg, schedule, len(gradients), 1)
	if err != nil {
		return err
	}
	before, now, moved := slices.Clone(start), make([]float32, len(start)), make([]float64, len(start))
	for step, g := range gradients {
		if err := dev.Upload(p.Grad, device.Bytes(g)); err != nil {
			return err
		}
		if err := o.Step(step); err != nil {
			return err
		}
		if err := dev.Download(device.Bytes(now), p.Value); err != nil {
			return err
		}
		for i := range now {
			moved[i] += math.Abs(float64(now[i]) - float64(before[i]))
		}
		copy(before, now)
		if err := c.compareStep(step, len(gradients), now, moved); err != nil {
			return err
		}
	}
	return nil
}

// compareStep compares the weights after the first and the last step.
func (c torchRule) compareStep(step, steps int, weights []float32, moved []float64) error {
	if step > 0 && step < steps-1 {
		return nil
	}
	const unit = 1.0 / (1 << 24)
	for i, want := range c.Weights[min(step, 1)] {
		rounding := unit * float64(step+1) * (math.Abs(want) + moved[i])
		if d := math.Abs(float64(weights[i]) - want); !(d <= 1e-6*moved[i]+rounding) {
			return fmt.Errorf("step %d: weight %d is %v, want %v: off by %.2g of the distance that it moved", step, i, weights[i], want, d/moved[i])
		}
	}
	return nil
}
