package train

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
)

// accumulating is everything with three batches per step. An epoch has 20 batches, so its last step has two, with 12 images
// together.
func accumulating(t testing.TB) Config {
	cfg := everything(t)
	cfg.Accumulate = 3
	return cfg
}

// plainNetwork is a training in which the gradients of each image depend on that image alone, not on the rest of the batch.
// Its images are shuffled, and the last step of an epoch is smaller.
func plainNetwork(t testing.TB, batch, accumulate int) Config {
	cfg := everything(t)
	cfg.Model = nn.NewSequential(
		nn.Conv2D{OutC: 4, Kernel: nn.Square(3)}, nn.GELU{}, nn.Flatten{}, nn.Dense{Out: 3},
	)
	cfg.Optimizer = optim.Config{Rule: optim.SGD{Momentum: 0.9}, LR: 0.1}
	cfg.Schedule, cfg.TTA = optim.Cosine{}, nil
	cfg.Epochs, cfg.Batch, cfg.Accumulate = 2, batch, accumulate
	return cfg
}

// TestAccumulateIsALargerBatch trains with batches of 15, and with 3 batches of 5 per step: steps, learning rates and averages
// are the same, and weights and losses are equal up to rounding. With 156 images an epoch has 10 steps of 15 images and one
// of 6.
func TestAccumulateIsALargerBatch(t *testing.T) {
	whole, err := Run(t.Context(), plainNetwork(t, 15, 1))
	if err != nil {
		t.Fatal(err)
	}
	parts, err := Run(t.Context(), plainNetwork(t, 5, 3))
	if err != nil {
		t.Fatal(err)
	}
	if whole.Steps != 22 || parts.Steps != 22 || whole.StepsPerEpoch != parts.StepsPerEpoch || parts.Accumulate != 3 {
		t.Errorf("%d and %d steps, want 22", whole.Steps, parts.Steps)
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

// near allows for 22 steps. In each, sums of about 500 terms are rounded in another order, with an error of 500 * 2^-24 at
// worst, and the differences left by the previous steps are amplified.
func near(a, b float64) bool { return math.Abs(a-b) < 22*500.0/(1<<24)*max(1, math.Abs(b)) }

func TestAccumulateResume(t *testing.T) {
	straight, err := Run(t.Context(), accumulating(t))
	if err != nil {
		t.Fatal(err)
	}
	if straight.Steps != 18 { // ceil(2.5 * 7)
		t.Errorf("%d steps, want 18", straight.Steps)
	}
	want := weights(t, straight.Network)
	for _, step := range []int{1, 6, 7, 12, 17} {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			cfg := accumulating(t)
			cfg.Resume = stopAt(t, accumulating(t), step)
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(weights(t, r.Network), want) {
				t.Error("the weights differ")
			}
			if got, want := timeless(r.History), timeless(straight.History); !reflect.DeepEqual(got, want) {
				t.Errorf("history %+v, want %+v", got, want)
			}
		})
	}
}

// TestAccumulateAhead: recording batches and steps changes no result. There are two recordings: one of a batch that is not the
// last of its step, and one of the last batch with the update. Of the 20 batches of an epoch, 13 are of the first kind. Of
// the 7 updates, one comes with a smaller batch, which is not recorded. Nor is the first batch of either kind.
func TestAccumulateAhead(t *testing.T) {
	want, err := Run(t.Context(), accumulating(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg, dev := onFakeGPU(t)
	cfg.Accumulate = 3
	got, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weights(t, got.Network), weights(t, want.Network)) {
		t.Error("the weights differ")
	}
	const batches, updates = 13 + 13 + 8, 7 + 7 + 4
	if launches := batches - 1 + updates - 2 - 1; dev.captures != 2 || dev.launches != launches || dev.closed != 2 {
		t.Errorf("%d recordings, %d launches, %d closed, want 2, %d, 2", dev.captures, dev.launches, dev.closed, launches)
	}
}

// TestAccumulateCounts checks the number on the device from which dropout draws its mask: it differs for each batch, also
// across epochs.
func TestAccumulateCounts(t *testing.T) {
	s, err := NewStepper(accumulating(t))
	if err != nil {
		t.Fatal(err)
	}
	set := s.cfg.Data.Train.(*data.InMemory)
	b := &data.Batch{N: 2, Images: set.Images[:2*64], Labels: set.Labels[:2], IDs: []int32{0, 1}}
	last := int32(-1)
	for batch := range 45 {
		if err := s.Step(b); err != nil {
			t.Fatal(err)
		}
		if want := batch/20*7 + (batch%20+1)/3 + batch%20/19; s.Steps() != want {
			t.Fatalf("%d steps after %d batches, want %d", s.Steps(), batch+1, want)
		}
		var got [1]int32
		if err := s.dev.Download(device.Bytes(got[:]), s.net.Step()); err != nil {
			t.Fatal(err)
		}
		if got[0] <= last {
			t.Fatalf("batch %d has the number %d, the one before %d", batch, got[0], last)
		}
		last = got[0]
	}
}

func TestAccumulateAllocatesNothing(t *testing.T) {
	cfg := accumulating(t)
	cfg.Epochs = 40
	stepsAllocateNothing(t, cfg, 25)
	cfg, _ = onFakeGPU(t)
	cfg.Epochs, cfg.Accumulate, cfg.MetricsEvery = 40, 3, 3
	stepsAllocateNothing(t, cfg, 45)
}

// TestResumeRules stops a run with each rule in the middle of an epoch. The resumed run ends with the bits of a run that was
// not stopped.
func TestResumeRules(t *testing.T) {
	for _, kind := range optim.RuleKinds() {
		t.Run(kind.Name, func(t *testing.T) {
			configure := func() Config {
				cfg := everything(t)
				cfg.Optimizer.Algorithm, cfg.Optimizer.LR = "sgd", 0.01
				cfg.Optimizer.Groups = []optim.Group{{Role: nn.Weight, Rule: kind.New(), LR: 0.003, WeightDecay: 0.1}}
				return cfg
			}
			checkResume(t, configure, 23)
		})
	}
}
