package train

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/optim"
)

// keepBest returns a configuration that keeps the best weights, and a hook that records them. The learning rate falls and then
// rises, so that the last epoch is not the best one.
func keepBest(t testing.TB) (cfg Config, best *map[string][]float32) {
	cfg = validated(t)
	cfg.Weights, cfg.BestBy = WeightsBest, ByLoss
	cfg.Schedule = rising{}
	best = new(map[string][]float32)
	cfg.Hooks = []Hooks{{Evaluation: func(tr *Training, e *EvaluationDone) {
		if e.Best {
			*best = weights(t, tr.Network())
		}
	}}}
	return cfg, best
}

// TestBestWeights: at the end the network has the weights of the best epoch, and the result is the result of these weights;
// also if the run was interrupted and resumed, before or after the best epoch.
func TestBestWeights(t *testing.T) {
	cfg, noted := keepBest(t)
	straight, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	best := straight.Best
	if best == nil || best.Epoch == len(straight.History) || straight.Weights != WeightsBest || straight.WeightsStep != best.Step {
		t.Fatalf("best %+v of %d epochs, weights %s after step %d", best, len(straight.History), straight.Weights, straight.WeightsStep)
	}
	want := weights(t, straight.Network)
	if !reflect.DeepEqual(want, *noted) {
		t.Error("the network has other weights than the best epoch")
	}
	least := math.Inf(1)
	for _, m := range straight.History {
		if m.Best != (m.ValLoss < least) {
			t.Errorf("epoch %d, with loss %v: best %v", m.Epoch, m.ValLoss, m.Best)
		}
		least = min(least, m.ValLoss)
		if m.Evaluated {
			t.Errorf("epoch %d was evaluated on the test set, although its weights are not kept", m.Epoch)
		}
	}
	if straight.ValLoss != least || straight.ValCount != 40 || straight.TestCount != 50 || len(straight.TestAnswers) != 50 {
		t.Errorf("result %v of %d, test of %d with %d answers", straight.ValLoss, straight.ValCount, straight.TestCount, len(straight.TestAnswers))
	}
	for _, step := range []int{best.Step - 7, best.Step + 3, 80} {
		cfg, _ := keepBest(t)
		stopped, _ := keepBest(t)
		cfg.Resume = stopAt(t, stopped, step)
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if *r.Best != *best || r.TestLoss != straight.TestLoss || !reflect.DeepEqual(weights(t, r.Network), want) || !reflect.DeepEqual(timeless(r.History), timeless(straight.History)) {
			t.Errorf("interrupted at step %d: best %+v, want %+v; test loss %v, want %v; or other weights or history", step, r.Best, best, r.TestLoss, straight.TestLoss)
		}
	}
}

// rising is a learning rate that is good at first, and then too high.
type rising struct{}

func (rising) Factor(p optim.Progress) float64 {
	if p.Step < 45 {
		return 0.5
	}
	return 30
}

// TestInterruptedKeepsTheBest: a run that is interrupted after its best epoch has the best weights, and its result says so.
func TestInterruptedKeepsTheBest(t *testing.T) {
	cfg, noted := keepBest(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg.Hooks = append(cfg.Hooks, Hooks{Step: func(_ *Training, s *StepDone) {
		if s.Step == 55 {
			cancel()
		}
	}})
	r, err := Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Weights != WeightsBest || r.WeightsStep != r.Best.Step || r.ValLoss != r.Best.Loss || r.TestCount != 0 || !reflect.DeepEqual(weights(t, r.Network), *noted) {
		t.Errorf("weights %s after step %d, best %+v, validation loss %v, %d tested, or other weights", r.Weights, r.WeightsStep, r.Best, r.ValLoss, r.TestCount)
	}
}

// TestDivergedSpeaksOfItsWeights: after a diverged loss the network has the last good weights, which the last evaluation did
// not evaluate.
func TestDivergedSpeaksOfItsWeights(t *testing.T) {
	cfg := validated(t)
	cfg.Hooks = []Hooks{{Step: func(tr *Training, s *StepDone) {
		if s.Step == 30 {
			ruin(t, tr.run)
		}
	}}}
	r, err := Run(t.Context(), cfg)
	if diverged := (*DivergedError)(nil); !errors.As(err, &diverged) || diverged.RestoredStep != 20 {
		t.Fatalf("error %v", err)
	}
	if r.Weights != WeightsLast || r.WeightsStep != 20 || r.ValCount != 0 {
		t.Errorf("weights %s after step %d, %d validated: that evaluation was of the averages", r.Weights, r.WeightsStep, r.ValCount)
	}
}

func TestBetter(t *testing.T) {
	low := &Best{Loss: 1, Accuracy: 0.5}
	for i, c := range []struct {
		of   Best
		by   Metric
		want bool
	}{
		{Best{Loss: 2, Accuracy: 0.6}, DefaultMetric, true},
		{Best{Loss: 0.5, Accuracy: 0.4}, ByAccuracy, false},
		{Best{Loss: 0.9, Accuracy: 0.5}, ByAccuracy, true},
		{Best{Loss: 1, Accuracy: 0.5}, ByAccuracy, false},
		{Best{Loss: 0.5, Accuracy: 0.4}, ByLoss, true},
		{Best{Loss: 2, Accuracy: 0.6}, ByLoss, false},
		{Best{Loss: 1, Accuracy: 0.6}, ByLoss, true},
		{Best{Loss: 1, Accuracy: 0.5}, ByLoss, false},
	} {
		if got := c.of.betterThan(low, c.by); got != c.want {
			t.Errorf("case %d: %v", i, got)
		}
	}
}

// TestWithBest gives the network the best weights for a moment.
func TestWithBest(t *testing.T) {
	cfg, noted := keepBest(t)
	seen := 0
	cfg.Hooks = append(cfg.Hooks, Hooks{Epoch: func(tr *Training, m EpochMetrics) {
		before := weights(t, tr.Network())
		ok, err := tr.WithBest(func() error {
			if !reflect.DeepEqual(weights(t, tr.Network()), *noted) {
				t.Errorf("epoch %d: the weights are not the best", m.Epoch)
			}
			return nil
		})
		if !ok || err != nil || !reflect.DeepEqual(weights(t, tr.Network()), before) || tr.Best() == nil {
			t.Errorf("epoch %d: %v, %v, or the weights did not come back", m.Epoch, ok, err)
		}
		seen++
	}})
	if _, err := Run(t.Context(), cfg); err != nil || seen != 5 {
		t.Errorf("%d epochs, %v", seen, err)
	}
}

// TestCheckpointOfBest: the best weights in a checkpoint are not mistaken for the network's weights, and a checkpoint without
// its best weights is refused.
func TestCheckpointOfBest(t *testing.T) {
	cfg, _ := keepBest(t)
	path := stopAt(t, cfg, 23)
	net, err := nn.Compile(cfg.Device, cfg.Model, nn.Options{Input: nn.Shape{8, 8, 1}, Batch: 3, Loss: cfg.Loss})
	if err != nil {
		t.Fatal(err)
	}
	if err := LoadWeights(path, net); err != nil {
		t.Fatal(err)
	}
	f, p, err := openCheckpoint(path)
	if err != nil || p.Best == nil || p.Best.Epoch != 1 {
		t.Fatalf("best %+v, %v", p.Best, err)
	}
	defer f.Close()
	name := networkTensors(net)[0].Name
	best := make([]float32, networkTensors(net)[0].Tensor.Len())
	if err := f.Read(bestPrefix+name, device.Bytes(best)); err != nil || reflect.DeepEqual(best, weights(t, net)[name]) {
		t.Errorf("%v, or the best weights are the last", err)
	}
	other, _ := keepBest(t)
	other.Resume, other.BestBy = path, ByAccuracy
	if _, err := Run(t.Context(), other); err == nil || !strings.Contains(err.Error(), "weights is best, in the checkpoint best by loss") {
		t.Errorf("error %v", err)
	}
}
