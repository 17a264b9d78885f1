package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
)

func TestRunLearns(t *testing.T) {
	cfg := everything(t)
	var events []string
	steps, progress, logged := 0, 0, 0
	cfg.Hooks = []Hooks{listen(func(e Event) {
		switch e := e.(type) {
		case *StepDone:
			steps++
			if e.Step != steps || e.Total != 50 || e.Epoch != (steps-1)/20+1 || !(e.LR > 0) || !(e.ImagesPerSecond > 0) || !(e.GFLOPS > 0) || e.ETA < 0 {
				t.Errorf("event %d is %+v", steps, *e)
			}
		case *EvalProgress:
			progress = e.Done
		case *StepMetrics:
			logged++
		default:
			events = append(events, fmt.Sprintf("%T", e))
		}
	})}
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.TestAccuracy < 0.9 || r.TestCount != 50 || r.TestCorrect != int(math.Round(50*r.TestAccuracy)) {
		t.Errorf("test accuracy %v (%d/%d), want 0.9 or more of 50", r.TestAccuracy, r.TestCorrect, r.TestCount)
	}
	right, all := 0, 0
	for i, row := range r.Confusion {
		right += row[i]
		for _, n := range row {
			all += n
		}
	}
	if right != r.TestCorrect || all != 50 {
		t.Errorf("confusion %v: %d right of %d, want %d of 50", r.Confusion, right, all, r.TestCorrect)
	}
	if steps != 50 || r.Steps != 50 || r.Epochs != 2.5 || len(r.History) != 3 || progress != 50 || logged != 50 {
		t.Errorf("%d steps seen, %d logged, %d done, %v epochs, history of %d, %d images evaluated", steps, logged, r.Steps, r.Epochs, len(r.History), progress)
	}
	want := []string{"train.Start", "train.EpochDone", "train.EpochDone", "train.EpochDone", "train.Finished"}
	if !slices.Equal(events, want) {
		t.Errorf("events %v, want %v", events, want)
	}
	for i, h := range r.History {
		if h.Epoch != i+1 || h.Step != min(50, 20*(i+1)) || !h.Evaluated || !(h.TrainLoss > 0) || !(h.ImagesPerSecond > 0) {
			t.Errorf("epoch %d: %+v", i+1, h)
		}
	}
	if !(r.FinalLoss < r.History[0].TrainLoss) || r.FinalLoss != r.History[2].TrainLoss {
		t.Errorf("final loss %v, history %+v", r.FinalLoss, r.History)
	}
	if r.Params == 0 || r.FLOPs == 0 || r.Memory == 0 || !(r.TrainSeconds > 0 && r.TrainSeconds < r.TotalSeconds) || r.Interrupted {
		t.Errorf("result %+v", r)
	}
}

// TestSameBits trains twice, with another number of threads and another StatsEvery.
func TestSameBits(t *testing.T) {
	a := everything(t)
	b := everything(t)
	b.Device = newCPU(t, 3)
	b.MetricsEvery = 7
	ra, err := Run(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	rb, err := Run(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weights(t, ra.Network), weights(t, rb.Network)) {
		t.Error("the weights differ")
	}
	if math.Abs(ra.FinalLoss-rb.FinalLoss) > 1e-5 || ra.TestLoss != rb.TestLoss {
		t.Errorf("losses %v, %v, and %v, %v", ra.FinalLoss, ra.TestLoss, rb.FinalLoss, rb.TestLoss)
	}
}

// recorder is the CPU as a device that can record steps; its recording is the function itself.
type recorder struct {
	device.Device
	captures, launches, closes int
	step                       func()
}

func (r *recorder) Capture(step func()) (device.Graph, error) {
	r.captures++
	r.step = step
	return r, nil
}

func (r *recorder) Launch() {
	r.launches++
	r.step()
}

func (r *recorder) Close() error {
	r.closes++
	return nil
}

// TestRecordedStep trains on a device that records steps: one recording is used for all full
// batches except the first, and the weights equal those from a device that doesn't record.
func TestRecordedStep(t *testing.T) {
	plain, err := Run(t.Context(), everything(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := everything(t)
	dev := &recorder{Device: cfg.Device}
	cfg.Device = dev
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	// 50 steps, two of which have a smaller batch.
	if dev.captures != 1 || dev.launches != 47 || dev.closes != 1 {
		t.Errorf("%d recordings, %d launches, %d closed, want 1, 47, 1", dev.captures, dev.launches, dev.closes)
	}
	if !reflect.DeepEqual(weights(t, r.Network), weights(t, plain.Network)) {
		t.Error("the weights differ")
	}
}

// unreadable is a data set whose image 30 can't be read.
type unreadable struct{ data.Set }

var errUnreadable = errors.New("the disk is gone")

func (u unreadable) Read(i int, dst []byte) (int32, error) {
	if i == 30 {
		return 0, errUnreadable
	}
	return u.Set.Read(i, dst)
}

func TestUnreadableImage(t *testing.T) {
	cfg := everything(t)
	cfg.Data.Train = unreadable{cfg.Data.Train}
	r, err := Run(t.Context(), cfg)
	if !errors.Is(err, errUnreadable) || !strings.Contains(err.Error(), "image 30") {
		t.Errorf("error %v, want an error that names image 30", err)
	}
	if r == nil || r.Network == nil || r.Steps >= 20 {
		t.Errorf("result %+v, want the result of the steps before", r)
	}
}

// poison is a training set whose image 11 has a label that is no class.
func poison(set *data.InMemory) *data.InMemory {
	set.Labels[11] = 99
	return set
}

func TestDiverged(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  func(*Config)
		where string
	}{
		{"label", func(c *Config) { c.Data.Train = poison(stripes(156, 1)) }, ""},
		{"rate", func(c *Config) {
			c.Optimizer = optim.Config{Algorithm: "sgd", LR: 1e30}
			c.Schedule = nil
			c.Model = nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 5}, nn.ReLU{}, nn.Dense{Out: 3})
		}, "output of layer dense"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := everything(t)
			c.edit(&cfg)
			r, err := Run(t.Context(), cfg)
			var diverged *DivergedError
			if !errors.As(err, &diverged) {
				t.Fatalf("error %v, want a DivergedError", err)
			}
			if diverged.Step < 1 || diverged.Epoch != 1 || finite(diverged.Loss) || diverged.RestoredStep >= diverged.Step {
				t.Errorf("error %+v", diverged)
			}
			if c.where != "" && !strings.Contains(diverged.FirstNonFinite, c.where) {
				t.Errorf("where is %q, want %q", diverged.FirstNonFinite, c.where)
			}
			if !strings.Contains(err.Error(), fmt.Sprintf("at step %d (epoch 1)", diverged.Step)) {
				t.Errorf("the error is %q", err)
			}
			for name, values := range weights(t, r.Network) {
				for _, v := range values {
					if !finite(float64(v)) {
						t.Fatalf("%s has %v after the weights were restored", name, v)
					}
				}
			}
		})
	}
}

// TestDivergedEvaluation makes the averaged weights and the trained weights infinite. After both
// are exchanged back and restored, the network has the last good weights.
func TestDivergedEvaluation(t *testing.T) {
	r := &run{cfg: everything(t)}
	defer r.close()
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	net := r.stepper.net
	initial := weights(t, net)
	poison := func() {
		p := net.Params()[0].Value
		values := make([]float32, p.Len())
		values[0] = float32(math.NaN())
		if err := net.Device().Upload(p, device.Bytes(values)); err != nil {
			t.Fatal(err)
		}
	}
	poison()
	r.stepper.opt.SwapIn()
	poison()
	r.stepper.step = 20
	var diverged *DivergedError
	if _, err := r.evaluate(t.Context(), r.evaluator, 1); !errors.As(err, &diverged) || diverged.Step != 20 || diverged.FirstNonFinite == "" {
		t.Errorf("error %v, want a DivergedError at step 20", err)
	}
	r.stepper.opt.SwapOut() // as endEpoch does
	if !reflect.DeepEqual(weights(t, net), initial) {
		t.Error("the network has not its last good weights")
	}
}

// TestGoodStep makes a weight infinite in the second epoch: the network gets back the weights of
// the end of the first epoch.
func TestGoodStep(t *testing.T) {
	r := &run{cfg: everything(t)}
	defer r.close()
	r.cfg.Hooks = []Hooks{listen(func(e Event) {
		if s, ok := e.(*StepDone); !ok || s.Step != 30 {
			return
		}
		p := r.stepper.net.Params()[0].Value
		values := make([]float32, p.Len())
		values[0] = float32(math.Inf(1))
		if err := r.cfg.Device.Upload(p, device.Bytes(values)); err != nil {
			t.Error(err)
		}
	})}
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	var diverged *DivergedError
	if err := r.train(t.Context()); !errors.As(err, &diverged) || diverged.Step != 31 || diverged.Epoch != 2 || diverged.RestoredStep != 20 {
		t.Errorf("error %+v, want a DivergedError at step 31 that restores step 20", err)
	}
}

// TestCounters checks the numbers on the device from which augmentation and dropout draw.
func TestCounters(t *testing.T) {
	s, err := NewStepper(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	set := s.cfg.Data.Train.(*data.InMemory)
	b := &data.Batch{N: 2, Images: set.Images[:2*64], Labels: set.Labels[:2], IDs: []int32{0, 1}}
	for step := range 50 {
		if err := s.Step(b); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name   string
			tensor *device.Tensor
			want   int
		}{{"step", s.net.Step(), step}, {"epoch", s.epoch, step / 20}} {
			var got [1]int32
			if err := s.dev.Download(device.Bytes(got[:]), c.tensor); err != nil {
				t.Fatal(err)
			}
			if int(got[0]) != c.want {
				t.Errorf("step %d: the device's %s is %d, want %d", step, c.name, got[0], c.want)
			}
		}
	}
}

// TestSnapshotWaits checks that weights count as good only after a loss was computed with them.
func TestSnapshotWaits(t *testing.T) {
	s, err := NewStepper(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	snap, err := newSnapshot(s.net)
	if err != nil {
		t.Fatal(err)
	}
	snap.begin(0)
	initial := weights(t, s.net)
	set := func(v float32) {
		p := s.net.Params()[0].Value
		values := make([]float32, p.Len())
		for i := range values {
			values[i] = v
		}
		if err := s.dev.Upload(p, device.Bytes(values)); err != nil {
			t.Fatal(err)
		}
	}
	set(float32(math.NaN()))
	snap.take(100)
	snap.confirm(99)
	snap.restore()
	if snap.goodStep != 0 || !reflect.DeepEqual(weights(t, s.net), initial) {
		t.Error("weights that were not confirmed came back")
	}
	set(5)
	snap.take(200)
	set(7)
	snap.take(210) // the snapshot of step 200 is pending, and is kept
	snap.confirm(200)
	set(6)
	snap.restore()
	if got := weights(t, s.net)[s.net.Params()[0].Name][0]; snap.goodStep != 200 || got != 5 {
		t.Errorf("step %d, weight %v, want 200 and 5", snap.goodStep, got)
	}
}

func TestInterrupted(t *testing.T) {
	cfg := everything(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg.Hooks = []Hooks{listen(func(e Event) {
		if s, ok := e.(*StepDone); ok && s.Step == 23 {
			cancel()
		}
	})}
	r, err := Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Steps != 23 || len(r.History) != 1 || r.WeightsStep != 23 {
		t.Errorf("interrupted %v after %d steps, history of %d, weights after %d", r.Interrupted, r.Steps, len(r.History), r.WeightsStep)
	}
	if r.TestCount != 0 || r.TestAccuracy != 0 || r.Confusion != nil || r.ValCount != 0 {
		t.Errorf("%d of %d correct: that is the result of epoch 1, whose weights are gone", r.TestCorrect, r.TestCount)
	}
}

// TestInterruptedSpeaksOfItsWeights interrupts between two epochs: the result is the result of the network's weights, as
// another evaluation confirms.
func TestInterruptedSpeaksOfItsWeights(t *testing.T) {
	for _, w := range []Weights{WeightsLast, WeightsEMA} {
		cfg := everything(t)
		cfg.Weights = w
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		cfg.Hooks = []Hooks{{Epoch: func(*Training, EpochMetrics) { cancel() }}}
		r, err := Run(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		e, err := NewEvaluator(r.Network, cfg.Data.Test, cfg.Augment.Mean, cfg.Augment.Std, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		again, err := e.Evaluate(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Interrupted || r.Weights != w || r.TestCount != 50 || r.TestLoss != again.Loss || r.TestCorrect != again.Correct {
			t.Errorf("%s: interrupted %v, weights %s, loss %v of %d images, the network's %v", w, r.Interrupted, r.Weights, r.TestLoss, r.TestCount, again.Loss)
		}
	}
}

func TestEvalEvery(t *testing.T) {
	for every, want := range map[int][]bool{0: {true, true, true}, 2: {false, true, true}, -1: {false, false, true}} {
		cfg := everything(t)
		cfg.EvalEvery = every
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var got []bool
		for _, h := range r.History {
			got = append(got, h.Evaluated)
		}
		if !slices.Equal(got, want) {
			t.Errorf("every %d: evaluated %v, want %v", every, got, want)
		}
	}
}

// If there is a validation set, epochs are evaluated on it, and the test set is evaluated once, at the end.
func TestValidationSet(t *testing.T) {
	for _, resumed := range []bool{false, true} {
		cfg := everything(t)
		cfg.Epochs = 3
		cfg.Data = &data.Dataset{Name: "stripes", Train: stripes(156, 1), Val: stripes(40, 3), Test: stripes(50, 2)}
		if resumed { // of a finished training: both sets are evaluated again
			cfg.Checkpoint.Dir = t.TempDir()
			if _, err := Run(context.Background(), cfg); err != nil {
				t.Fatal(err)
			}
			cfg.Resume = filepath.Join(cfg.Checkpoint.Dir, "checkpoint.safetensors")
		}
		result, err := Run(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range result.History {
			if last := m.Epoch == 3; m.ValCount != 40 || m.Evaluated != last || last && m.TestCount != 50 || !last && m.TestCount != 0 {
				t.Errorf("epoch %d: %d validation and %d test images, evaluated %v", m.Epoch, m.ValCount, m.TestCount, m.Evaluated)
			}
		}
		if result.ValCount != 40 || result.TestCount != 50 || result.ValAccuracy < 0.5 || result.ValLoss <= 0 {
			t.Errorf("validation %v (%d), test %v (%d)", result.ValAccuracy, result.ValCount, result.TestAccuracy, result.TestCount)
		}
		if result.ValImages != 40 || result.TestImages != 50 {
			t.Errorf("summary: %d validation and %d test images", result.ValImages, result.TestImages)
		}
	}
}

func TestWithoutTestSet(t *testing.T) {
	cfg := everything(t)
	cfg.Data.Test = nil
	cfg.Augment = Augment{}
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.TestCount != 0 || r.Confusion != nil || r.History[0].Evaluated {
		t.Errorf("%d test images, confusion %v", r.TestCount, r.Confusion)
	}
}

// TestViews: two equal views with any weights give the result of one view, and a shifted view
// gives another.
func TestViews(t *testing.T) {
	s, err := NewStepper(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	loss := func(views ...TTAView) float64 {
		e, err := NewEvaluator(s.net, s.cfg.Data.Test, []float32{0.5}, []float32{0.3}, views)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		r, err := e.Evaluate(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Loss
	}
	plain, shifted := loss(), loss(TTAView{DX: 2})
	if plain == shifted {
		t.Error("a shifted view gives the loss of the plain one")
	}
	if same := loss(TTAView{Weight: 3}, TTAView{Weight: 0.5}); math.Abs(same-plain) > 1e-5 {
		t.Errorf("the plain view twice gives the loss %v, once %v", same, plain)
	}
	if mixed := loss(TTAView{}, TTAView{DX: 2}); mixed == plain || mixed == shifted {
		t.Errorf("mixed views give the loss %v, the plain one %v, the shifted one %v", mixed, plain, shifted)
	}
}

// TestViewsAreForTheEnd: all evaluations except the last use the plain images.
func TestViewsAreForTheEnd(t *testing.T) {
	history := func(views []TTAView) []EpochMetrics {
		cfg := everything(t)
		cfg.TTA, cfg.Epochs = views, 3
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return r.History
	}
	with, without := history([]TTAView{{DX: 2, Weight: 1}}), history(nil)
	for i := range without {
		if last := i == len(without)-1; (with[i].TestLoss == without[i].TestLoss) == last {
			t.Errorf("epoch %d of %d: test loss %v with a shifted view, %v without", i+1, len(without), with[i].TestLoss, without[i].TestLoss)
		}
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	cfg := everything(t)
	cfg.Epochs = 20
	stepsAllocateNothing(t, cfg, 25)
}

// stepsAllocateNothing takes some steps, and then checks that a step of a run allocates nothing.
func stepsAllocateNothing(t *testing.T, cfg Config, before int) {
	t.Helper()
	cfg.Hooks = []Hooks{listen(func(Event) {})}
	r := &run{cfg: cfg}
	defer r.close()
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	s := r.stepper
	step := func() {
		if s.step%s.perEpoch == 0 {
			r.loader.Start(s.step/s.perEpoch, s.batch())
		}
		if err := r.step(); err != nil {
			t.Fatal(err)
		}
		if err := r.observe(); err != nil {
			t.Fatal(err)
		}
		r.count(1)
		r.emitStep()
	}
	for range before {
		step()
	}
	if allocs := testing.AllocsPerRun(50, step); allocs != 0 {
		t.Errorf("%v allocations per step", allocs)
	}
}

func TestDryRun(t *testing.T) {
	sum, err := DryRun(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	if sum.Steps != 50 || sum.StepsPerEpoch != 20 || len(sum.Rows) != 8 || sum.TrainImages != 156 || sum.TestImages != 50 {
		t.Errorf("summary %+v", sum)
	}
	// conv 3x3x1x4+4, gain and bias of 4, conv 3x3x4x6+6, dense 3*3*6 -> 3.
	if want := 40 + 8 + 222 + 165; sum.Params != want {
		t.Errorf("%d parameters, want %d", sum.Params, want)
	}
	// Adam's two states, the copies of Lookahead and EMA, and room to exchange weights.
	if least := int64(4 * sum.Params * (2 + 2 + 2)); sum.Memory < least {
		t.Errorf("%d bytes, want at least %d", sum.Memory, least)
	}
}

func TestTotalSteps(t *testing.T) {
	for _, c := range []struct {
		images, batch int
		last          LastBatch
		epochs        float64
		perEpoch      int
		total         int
	}{
		{50000, 1024, DropLastBatch, 9.9, 48, 476}, // airbench94: ceil(48*9.9)
		{60000, 256, KeepLastBatch, 1, 235, 235},
		{100, 10, KeepLastBatch, 0.1, 10, 1},
		{100, 10, KeepLastBatch, 0.3, 10, 3}, // 0.3*10 is slightly more than 3
		{100, 10, KeepLastBatch, 1e-9, 10, 1},
	} {
		cfg := Config{Data: &data.Dataset{Train: &data.InMemory{Labels: make([]int32, c.images)}}, Batch: c.batch, LastBatch: c.last, Epochs: c.epochs}
		if cfg.stepsPerEpoch() != c.perEpoch || cfg.totalSteps() != c.total {
			t.Errorf("%+v: %d steps per epoch, %d in all", c, cfg.stepsPerEpoch(), cfg.totalSteps())
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Config)
		says string
	}{
		{"device", func(c *Config) { c.Device = nil }, "device"},
		{"network", func(c *Config) { c.Model = nil }, "network"},
		{"loss", func(c *Config) { c.Loss = nil }, "loss"},
		{"data", func(c *Config) { c.Data = &data.Dataset{Train: &data.InMemory{}} }, "no training images"},
		{"epochs", func(c *Config) { c.Epochs = 0 }, "epochs: 0"},
		{"NaN epochs", func(c *Config) { c.Epochs = math.NaN() }, "epochs: NaN"},
		{"batch", func(c *Config) { c.Batch = -1 }, "batch: -1"},
		{"accumulate", func(c *Config) { c.Accumulate = -1 }, "accumulate: -1 batches per step"},
		{"large batch", func(c *Config) { c.Batch = 157 }, "batch: 157, more than the 156 training images: use 156 or less"},
		{"crop", func(c *Config) { c.Augment.Crop = 8 }, "crop shifts by 8"},
		{"cutout", func(c *Config) { c.Augment.Cutout = 9 }, "cutout is 9"},
		{"channels", func(c *Config) { c.Augment.Mean = []float32{1, 2} }, "2 means and 1 standard"},
		{"deviation", func(c *Config) { c.Augment.Std = []float32{0} }, "standard deviation is 0"},
		{"view", func(c *Config) { c.TTA[0].DX = -8 }, "view 0 shifts"},
		{"classes", func(c *Config) { c.Data.Train.(*data.InMemory).ClassNames = []string{"a", "b"} }, "3 outputs for 2 classes of the data"},
		{"test images", func(c *Config) { c.Data.Test.(*data.InMemory).H = 4 }, "test images are 4x8x1"},
		{"checkpoint", func(c *Config) { c.Checkpoint.EverySteps = -1 }, "checkpoint"},
		{"precision", func(c *Config) { c.DType = device.Int32 }, "precision: int32, want float32, float16 or bfloat16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := everything(t)
			c.edit(&cfg)
			_, err := Run(t.Context(), cfg)
			var wrong *ConfigError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want a ConfigError with %q", err, c.says)
			}
		})
	}
	cfg := everything(t)
	cfg.Model = nn.NewSequential(nn.Conv2D{OutC: 1, Kernel: nn.Square(9)}, nn.Flatten{}, nn.Dense{Out: 3})
	var layer *nn.LayerError
	if _, err := Run(t.Context(), cfg); !errors.As(err, &layer) {
		t.Errorf("error %v, want a LayerError", err)
	}
	cfg = everything(t)
	cfg.Optimizer.Algorithm = "sdg"
	var wrong *optim.ConfigError
	if _, err := Run(t.Context(), cfg); !errors.As(err, &wrong) {
		t.Errorf("error %v, want an optim.ConfigError", err)
	}
}

func TestPeakMemory(t *testing.T) {
	if bytes, ok := PeakMemory(); ok && bytes < 1<<20 {
		t.Errorf("%d bytes at most, less than any Go program uses", bytes)
	}
}
