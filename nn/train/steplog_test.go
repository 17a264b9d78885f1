package train

import (
	"math"
	"slices"
	"testing"
)

// lines runs a training and returns its log.
func lines(t *testing.T, cfg Config) (log []StepMetrics, r *Result) {
	t.Helper()
	cfg.Hooks = []Hooks{{Log: func(_ *Training, m *StepMetrics) { log = append(log, *m) }}}
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return log, r
}

// TestLog: each line has the mean over its steps, so the lines of an epoch add up to the epoch's mean. An asynchronous device
// writes the same lines, and a resumed run writes the remaining ones.
func TestLog(t *testing.T) {
	logged := func() Config {
		cfg := everything(t)
		cfg.LogEvery = 7
		return cfg
	}
	all, r := lines(t, logged())
	var steps []int
	for _, m := range all {
		steps = append(steps, m.Step)
	}
	if want := []int{7, 14, 20, 21, 28, 35, 40, 42, 49, 50}; !slices.Equal(steps, want) {
		t.Fatalf("lines after the steps %v, want %v", steps, want)
	}
	// Epochs have 19 batches of 8 images and one of 4. Sums of up to 156 losses near 1 have a relative rounding error of 2^-24.
	sum := all[0].TrainLoss*56 + all[1].TrainLoss*56 + all[2].TrainLoss*(5*8+4)
	if got, want := sum/156, r.History[0].TrainLoss; math.Abs(got-want) > 156*8.0/(1<<24) {
		t.Errorf("the lines' mean is %v, the epoch's %v", got, want)
	}
	if m := all[1]; m.Epoch != 0.7 || !(m.LR > 0) || m.TrainAccuracy <= 0 || m.TrainAccuracy > 1 {
		t.Errorf("line %+v", m)
	}
	ahead, dev := onFakeGPU(t)
	cfg := logged()
	ahead.LogEvery, ahead.Epochs, ahead.Batch, ahead.Data, ahead.Schedule = 7, cfg.Epochs, cfg.Batch, cfg.Data, cfg.Schedule
	if got, _ := lines(t, ahead); dev.waits == 0 || !slices.Equal(got, all) {
		t.Errorf("a device that runs ahead logs\n%v, want\n%v", got, all)
	}
	for _, step := range []int{10, 20, 33} {
		cfg := logged()
		cfg.Resume = stopAt(t, logged(), step)
		got, _ := lines(t, cfg)
		after := slices.IndexFunc(all, func(m StepMetrics) bool { return m.Step > step })
		if want := all[after:]; !slices.Equal(got, want) {
			t.Errorf("resumed after step %d:\n%v, want\n%v", step, got, want)
		}
	}
}

// TestLogNeverWaits: one line per step needs more downloads, but the host runs as far ahead as without a log.
func TestLogNeverWaits(t *testing.T) {
	farthest := map[int]int{}
	for _, every := range []int{-1, 1, 2, 4, 7} {
		cfg, dev := onFakeGPU(t)
		dev.late = math.MaxInt - 1
		cfg.MetricsEvery, cfg.LogEvery = 3, every
		r := &run{cfg: cfg}
		defer r.close()
		r.cfg.Hooks = []Hooks{{
			Log:  func(*Training, *StepMetrics) {},
			Step: func(_ *Training, s *StepDone) { farthest[every] = max(farthest[every], s.Step-r.progress.step) },
		}}
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		if err := r.train(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for every, n := range farthest {
		if n < farthest[-1] || n > farthest[-1]+3 {
			t.Errorf("a line every %d steps: the host is %d steps ahead, without a log %d", every, n, farthest[-1])
		}
	}
}

func TestLogAllocatesNothing(t *testing.T) {
	cfg := everything(t)
	cfg.Epochs, cfg.LogEvery = 20, 1
	stepsAllocateNothing(t, cfg, 25)
}

func TestDefaultLog(t *testing.T) {
	for _, c := range []struct{ steps, metrics, want int }{{20, 1, 1}, {235, 1, 5}, {235, 10, 10}, {1563, 10, 40}, {1563, 50, 50}, {6000, 1, 120}} {
		cfg := validated(t)
		cfg.Batch, cfg.MetricsEvery = 1, c.metrics
		cfg.Data.Train = stripes(c.steps, 1)
		cfg.LastBatch = KeepLastBatch
		if got := cfg.logEvery(); got != c.want {
			t.Errorf("%d steps per epoch, metrics every %d: a line every %d, want %d", c.steps, c.metrics, got, c.want)
		}
	}
}
