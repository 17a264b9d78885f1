package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trainer/nn/data"
	"trainer/nn/device"
)

// The tests of this file train on a fake of an asynchronous device.

// onFakeGPU is the configuration everything on a fake GPU.
func onFakeGPU(t testing.TB) (Config, *fakeGPU) {
	cfg, dev := everything(t), newFakeGPU(t)
	cfg.Device = dev
	return cfg, dev
}

// TestAheadSameBits: no result depends on whether the data set is on the device, steps are recorded, and statistics and
// evaluations arrive late.
func TestAheadSameBits(t *testing.T) {
	want, err := Run(t.Context(), everything(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, late := range []int{0, 1, 7, math.MaxInt - 1} {
		cfg, dev := onFakeGPU(t)
		cfg.MetricsEvery, dev.late = 1, late
		got, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(weights(t, got.Network), weights(t, want.Network)) {
			t.Errorf("late by %d: the weights differ", late)
		}
		if g, w := timeless(got.History), timeless(want.History); !reflect.DeepEqual(g, w) {
			t.Errorf("late by %d: history %+v, want %+v", late, g, w)
		}
		if got.TestLoss != want.TestLoss || !reflect.DeepEqual(got.Confusion, want.Confusion) || got.FinalLoss != want.FinalLoss {
			t.Errorf("late by %d: losses %v, %v, want %v, %v", late, got.FinalLoss, got.TestLoss, want.FinalLoss, want.TestLoss)
		}
		if !got.Resident || !got.Recorded || want.Resident || want.Recorded {
			t.Errorf("data on the device: %v, CPU %v; recorded: %v, CPU %v", got.Resident, want.Resident, got.Recorded, want.Recorded)
		}
		if dev.images != 2 {
			t.Errorf("images were copied %d times, want once for training and once for evaluation", dev.images)
		}
		if dev.captures != 1 || dev.launches != 47 || dev.closed != 1 {
			t.Errorf("%d recordings, %d launches, %d closed, want 1, 47, 1", dev.captures, dev.launches, dev.closed)
		}
		// An evaluation has two downloads per batch: the statistics and the outputs.
		if limit := 2 * maxRequests; dev.most > limit || dev.underWay != 0 {
			t.Errorf("%d downloads at once, %d left, want at most %d and none", dev.most, dev.underWay, limit)
		}
	}
}

// TestAheadNeverWaits checks what the host does between two steps: it downloads nothing, copies a few numbers to the device,
// and waits only if it is two requests ahead.
func TestAheadNeverWaits(t *testing.T) {
	for _, c := range []struct {
		late, waits int
	}{
		{0, 0},
		{math.MaxInt - 1, 2}, // requests at the steps 24, 28, 32 (waits for 24) and 36 (waits for 28)
	} {
		cfg, dev := onFakeGPU(t)
		cfg.MetricsEvery, dev.late = 4, c.late
		var uploads, downloads, waits [51]int
		cfg.Hooks = []Hooks{listen(func(e Event) {
			if e, ok := e.(*StepDone); ok {
				uploads[e.Step], downloads[e.Step], waits[e.Step] = dev.uploads, dev.downloads, dev.waits
			}
		})}
		if _, err := Run(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		// From step 21, the first of the second epoch, to step 39, its second to last.
		if n := downloads[39] - downloads[21]; n != 0 {
			t.Errorf("late by %d: %d downloads in an epoch", c.late, n)
		}
		// Per step: the images' indices, the step, hyperparameters, the EMA's decay; every third step also Lookahead's.
		if n := uploads[39] - uploads[21]; n != 18*4+6 {
			t.Errorf("late by %d: %d uploads in 18 steps, want %d", c.late, n, 18*4+6)
		}
		if n := waits[39] - waits[21]; n != c.waits {
			t.Errorf("late by %d: %d waits in 18 steps, want %d", c.late, n, c.waits)
		}
	}
}

// TestAheadShowsNoNonsense: from the first event on, loss, accuracy and speed are of steps whose statistics have arrived.
func TestAheadShowsNoNonsense(t *testing.T) {
	cfg, dev := onFakeGPU(t)
	dev.late = math.MaxInt - 1
	cfg.Epochs = 2
	var last StepDone
	changes := 0
	cfg.Hooks = []Hooks{listen(func(e Event) {
		s, ok := e.(*StepDone)
		if !ok {
			return
		}
		if !(s.Loss > 0 && s.Loss < 10) || !(s.Accuracy >= 0 && s.Accuracy <= 1) || !(s.ImagesPerSecond > 0 && s.ImagesPerSecond < 1e9) ||
			!(s.GFLOPS > 0) || s.ETA < 0 {
			t.Errorf("step %d shows %+v", s.Step, *s)
		}
		if s.Loss != last.Loss {
			changes++
		}
		last = *s
	})}
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	// Statistics arrive after step 1 and at the end of an epoch of 20 steps, when the host is two requests ahead.
	if changes != 3 {
		t.Errorf("the loss changed %d times, want 3", changes)
	}
}

// TestAheadTime: an asynchronous device continues to train while a listener runs, so the listener's time counts as training.
// Here time passes in the listener only.
func TestAheadTime(t *testing.T) { synctest.Test(t, aheadTime) }

func aheadTime(t *testing.T) {
	const pause = time.Second
	cfg, dev := onFakeGPU(t)
	dev.late = math.MaxInt - 1
	cfg.Epochs, cfg.Hooks = 1, []Hooks{listen(func(e Event) {
		if _, ok := e.(*StepDone); ok {
			time.Sleep(pause)
		}
	})}
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	// All 20 steps except the first and the last, after which everything has arrived.
	if want := 18 * pause.Seconds(); r.TrainSeconds != want {
		t.Errorf("training took %v s, want %v, the listener's", r.TrainSeconds, want)
	}
}

// TestAheadWindow: the host is less than 3 StatsEvery steps ahead.
func TestAheadWindow(t *testing.T) {
	cfg, dev := onFakeGPU(t)
	dev.late = math.MaxInt - 1
	cfg.MetricsEvery = 3
	r := &run{cfg: cfg}
	defer r.close()
	farthest := 0
	r.cfg.Hooks = []Hooks{listen(func(e Event) {
		if e, ok := e.(*StepDone); ok {
			farthest = max(farthest, e.Step-r.progress.step)
		}
	})}
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	if err := r.train(t.Context()); err != nil {
		t.Fatal(err)
	}
	if farthest != 3*3-1 {
		t.Errorf("the host was %d steps ahead, want 8", farthest)
	}
}

// ruin makes a weight infinite.
func ruin(t *testing.T, r *run) {
	t.Helper()
	p := r.stepper.net.Params()[0].Value
	values := make([]float32, p.Len())
	values[0] = float32(math.Inf(1))
	if err := r.cfg.Device.Upload(p, device.Bytes(values)); err != nil {
		t.Error(err)
	}
}

// TestAheadDiverges makes a weight infinite. The host learns of the non-finite loss some steps later. The error names the
// range of steps in which the loss became non-finite, and the network gets back earlier weights, even if a snapshot was taken
// in between.
func TestAheadDiverges(t *testing.T) {
	for _, c := range []struct {
		after             int // steps before the weight becomes infinite; epochs have 156
		first, last, good int
	}{
		{12, 11, 20, 0},
		{98, 91, 100, 0},     // the snapshot of step 100 has bad weights, and is pending
		{103, 101, 110, 0},   // the snapshot of step 100 is good, but this is not known yet
		{112, 111, 120, 100}, // the finite losses up to step 110 have shown that it is good
		{170, 167, 176, 156}, // the end of the epoch
	} {
		t.Run(fmt.Sprint(c.after), func(t *testing.T) {
			cfg, dev := onFakeGPU(t)
			dev.late = math.MaxInt - 1
			cfg.Batch, cfg.Epochs = 1, 2
			r := &run{cfg: cfg}
			defer r.close()
			r.cfg.Hooks = []Hooks{listen(func(e Event) {
				if s, ok := e.(*StepDone); ok && s.Step == c.after {
					ruin(t, r)
				}
			})}
			if err := r.open(); err != nil {
				t.Fatal(err)
			}
			err := r.train(t.Context())
			var diverged *DivergedError
			if !errors.As(err, &diverged) {
				t.Fatalf("error %v, want a DivergedError", err)
			}
			d := *diverged
			if d.First > c.after+1 || d.Step <= c.after || d.Step-d.First != 9 || d.RestoredStep != c.good || d.CheckedAtStep <= d.Step || d.FirstNonFinite == "" {
				t.Errorf("error %+v, want a range of ten steps with step %d, and the weights of step %d", d, c.after+1, c.good)
			}
			for _, text := range []string{
				fmt.Sprintf("within steps %d to %d (epoch %d)", d.First, d.Step, (d.Step-1)/156+1),
				fmt.Sprintf("(checked after step %d)", d.CheckedAtStep), fmt.Sprintf("the weights after step %d were restored", c.good),
			} {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("the error is %q, want %q in it", err, text)
				}
			}
			for name, values := range weights(t, r.stepper.net) {
				if slices.ContainsFunc(values, func(v float32) bool { return !finite(float64(v)) }) {
					t.Errorf("%s is not finite after the weights were restored", name)
				}
			}
		})
	}
}

// TestAheadInterrupted: an interrupted run waits for all statistics, and the resumed run ends with the bits of a run that was
// not stopped.
func TestAheadInterrupted(t *testing.T) {
	straightConfig, _ := onFakeGPU(t)
	straight, err := Run(t.Context(), straightConfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []int{1, 13, 20, 38} {
		cfg, dev := onFakeGPU(t)
		dev.late = math.MaxInt - 1
		path := stopAt(t, cfg, step)
		again, _ := onFakeGPU(t)
		again.Resume = path
		r := &run{cfg: again}
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		images := 8*(step%20) - 4*(step%20/20)
		if step == 20 {
			images = 156 // not evaluated yet
		}
		if r.epoch.Count != images || r.epoch.Images != images || dev.underWay != 0 {
			t.Errorf("stopped at step %d: the loss is of %d images, %d were trained, want %d; %d downloads are left", step,
				r.epoch.Count, r.epoch.Images, images, dev.underWay)
		}
		r.close()
		got, err := Run(t.Context(), again)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(weights(t, got.Network), weights(t, straight.Network)) {
			t.Errorf("stopped at step %d: the weights differ", step)
		}
	}
}

// TestAheadCheckpoints: a checkpoint within an epoch has the statistics of all steps before it.
func TestAheadCheckpoints(t *testing.T) {
	cfg, dev := onFakeGPU(t)
	dev.late = math.MaxInt - 1
	cfg.Checkpoint = Checkpoint{Dir: t.TempDir(), EverySteps: 7}
	r := &run{cfg: cfg}
	defer r.close()
	r.cfg.Hooks = []Hooks{listen(func(e Event) {
		c, ok := e.(CheckpointWritten)
		if !ok {
			return
		}
		f, p, err := openCheckpoint(c.Path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if p.Step != c.Step || c.Step%20 != 0 && p.Totals.Count != min(156, c.Step%20*8) && c.Step != 50 {
			t.Errorf("the checkpoint of step %d is of step %d and has the loss of %d images", c.Step, p.Step, p.Totals.Count)
		}
	})}
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	if err := r.train(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestAheadAllocatesNothing is TestStepAllocatesNothing on the fake GPU.
func TestAheadAllocatesNothing(t *testing.T) {
	cfg, _ := onFakeGPU(t)
	cfg.Epochs, cfg.MetricsEvery = 20, 3
	stepsAllocateNothing(t, cfg, 45)
}

// counted is a data set that is not in memory. It counts how often its images are read.
type counted struct {
	data.Set
	reads chan int
}

func (c counted) Read(i int, dst []byte) (int32, error) {
	c.reads <- i
	return c.Set.Read(i, dst)
}

// TestStreamed: of a data set that isn't in memory, the first step doesn't wait for all images; from the second epoch on the
// set is on the device, and is not read again. The weights are those of a set in memory, also after a stop in any epoch.
func TestStreamed(t *testing.T) {
	want, err := Run(t.Context(), everything(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range []int{0, 7, 20, 27} { // an epoch has 20 steps
		cfg, dev := onFakeGPU(t)
		set := counted{cfg.Data.Train, make(chan int, 10000)}
		cfg.Data.Train, cfg.DataHash = set, "known" // computing it would read the images
		if stop > 0 {
			cfg.Resume = stopAt(t, cfg, stop)
			dev.images, dev.captures = 0, 0
			for range len(set.reads) {
				<-set.reads
			}
		}
		first, later := 0, 0 // reads until the first step, and until one of the next epoch
		cfg.Hooks = []Hooks{listen(func(e Event) {
			switch e, ok := e.(*StepDone); {
			case ok && e.Step == stop+1:
				first = len(set.reads)
			case ok && e.Step == stop/20*20+22:
				later = len(set.reads)
			}
		})}
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(weights(t, r.Network), weights(t, want.Network)) {
			t.Errorf("stop %d: the weights differ", stop)
		}
		if g, w := timeless(r.History), timeless(want.History); !reflect.DeepEqual(g, w) {
			t.Errorf("stop %d: history %+v, want %+v", stop, g, w)
		}
		if !r.Resident || dev.captures != 2 {
			t.Errorf("stop %d: on the device: %v; %d recordings, want 2", stop, r.Resident, dev.captures)
		}
		// Batches are copied one by one to the end of the epoch, then the set, and the test set twice at most.
		if batches := 20 - stop%20; dev.images < batches+1 || dev.images > batches+3 {
			t.Errorf("stop %d: %d copies of images for %d batches", stop, dev.images, batches)
		}
		if first > 60 || stop < 20 && len(set.reads) != later {
			t.Errorf("stop %d: %d reads until the first step, %d in the first epoch, %d at the end", stop, first, later, len(set.reads))
		}
		close(set.reads)
		times := map[int]int{}
		for i := range set.reads {
			times[i]++
		}
		for i := range 156 {
			if times[i] == 0 && stop/20 == 0 {
				t.Errorf("stop %d: image %d was not read", stop, i)
			}
		}
	}
}

// TestStreamedUnreadable: an unreadable image is named.
func TestStreamedUnreadable(t *testing.T) {
	cfg, _ := onFakeGPU(t)
	cfg.Data.Train = unreadable{cfg.Data.Train}
	r, err := Run(t.Context(), cfg)
	if !errors.Is(err, errUnreadable) || !strings.Contains(err.Error(), "loader: image 30") {
		t.Errorf("error %v, want an error that names image 30", err)
	}
	if r == nil || r.Steps >= 20 {
		t.Errorf("result %+v, want the result of less than an epoch", r)
	}
}

// TestResidentCancelled: an interruption stops the reading of a data set.
func TestResidentCancelled(t *testing.T) {
	cfg, dev := onFakeGPU(t)
	cfg.Data.Train = counted{cfg.Data.Train, make(chan int, 10000)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := Run(ctx, cfg)
	if err != nil || !r.Interrupted || r.Steps != 0 || dev.images != 0 {
		t.Errorf("error %v, result %+v, %d copies of images, want an interruption before the first step", err, r, dev.images)
	}
}

// TestResidentWhereItFits: a data set may take half of the free memory. If it doesn't fit, it is copied batch by batch.
func TestResidentWhereItFits(t *testing.T) {
	const bytes = 156 * (64 + 4)
	want, err := Run(t.Context(), everything(t))
	if err != nil {
		t.Fatal(err)
	}
	for free, fits := range map[int64]bool{2 * bytes: true, 2*bytes - 1: false, 0: false} {
		cfg, dev := onFakeGPU(t)
		dev.free = free
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if r.Resident != fits {
			t.Errorf("with %d bytes free the set of %d is on the device: %v", free, bytes, r.Resident)
		}
		if !fits && dev.images < 50 {
			t.Errorf("images were copied %d times in 50 steps", dev.images)
		}
		if !reflect.DeepEqual(weights(t, r.Network), weights(t, want.Network)) {
			t.Errorf("with %d bytes free the weights differ", free)
		}
	}
	cfg, dev := onFakeGPU(t)
	dev.free = 0
	without, err := DryRun(cfg)
	if err != nil {
		t.Fatal(err)
	}
	dev.free = 1 << 30
	with, err := DryRun(cfg)
	if err != nil {
		t.Fatal(err)
	}
	// Both data sets, instead of a batch of bytes for each.
	if more := with.Memory - without.Memory; more != (156+50)*(64+4)-2*8*64 {
		t.Errorf("the data sets on the device take %d more bytes, want %d", more, (156+50)*(64+4)-2*8*64)
	}
}

// TestHugeSet: a huge data set that isn't in memory is not assembled in memory.
func TestHugeSet(t *testing.T) {
	dev := newFakeGPU(t)
	dev.free = math.MaxInt64
	huge := &data.InMemory{H: 1 << 10, W: 1 << 10, C: 3, Labels: make([]int32, 1<<10)}
	if !fits(dev, huge) {
		t.Error("a set in memory does not fit")
	}
	if !fits(dev, data.Subset(huge, []int{0, 1})) {
		t.Error("two images of a set do not fit")
	}
	if fits(dev, counted{Set: huge}) {
		t.Error("3 GiB are to be read into memory")
	}
}

// TestNoRecording: steps are not recorded if the configuration says so, or if the device can't record them. Any other error
// of the recording ends training.
func TestNoRecording(t *testing.T) {
	broken := errors.New("the driver is broken")
	refused := fmt.Errorf("softmax: %w", device.ErrNotSupported)
	want, err := Run(t.Context(), everything(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		noGraph  bool
		refusal  error
		captures int
		start    bool // what the summary reports at the start
	}{{"not wanted", true, nil, 0, false}, {"not supported", false, refused, 1, true}, {"broken", false, broken, 1, true}} {
		t.Run(c.name, func(t *testing.T) {
			cfg, dev := onFakeGPU(t)
			cfg.NoGraph, dev.refusal = c.noGraph, c.refusal
			cfg.Hooks = []Hooks{listen(func(e Event) {
				if s, ok := e.(Start); ok && s.Recorded != c.start {
					t.Errorf("at the start recorded is %v", s.Recorded)
				}
			})}
			r, err := Run(t.Context(), cfg)
			if dev.captures != c.captures || dev.launches != 0 {
				t.Errorf("%d recordings, %d launches", dev.captures, dev.launches)
			}
			if c.refusal == broken {
				if !errors.Is(err, broken) || !strings.Contains(err.Error(), "recording the step") || r.Steps != 1 {
					t.Errorf("error %v after %d steps, want the error of the recording", err, r.Steps)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Recorded || !reflect.DeepEqual(weights(t, r.Network), weights(t, want.Network)) {
				t.Errorf("recorded is %v, or the weights differ", r.Recorded)
			}
		})
	}
}

// TestFailureInMidRun: if the device runs out of memory in the middle of a run, the error comes with what was trained so far,
// and the last checkpoint remains.
func TestFailureInMidRun(t *testing.T) {
	cfg, dev := onFakeGPU(t)
	cfg.Checkpoint.Dir = t.TempDir()
	dev.late = 2
	dev.failure = &device.Error{Device: "fake", Op: "upload", Err: &device.MemoryError{Wanted: 9, Free: 1}}
	path := filepath.Join(cfg.Checkpoint.Dir, checkpointName)
	var before []byte
	cfg.Hooks = []Hooks{listen(func(e Event) {
		var err error
		switch e := e.(type) {
		case CheckpointWritten:
			if before, err = os.ReadFile(path); err != nil {
				t.Error(err)
			}
		case *StepDone:
			if e.Step == 30 {
				dev.failAfter = 3
			}
		}
	})}
	r, err := Run(t.Context(), cfg)
	if !errors.Is(err, device.ErrOutOfMemory) || r == nil || r.Steps < 30 || r.Steps > 31 || len(r.History) != 1 {
		t.Errorf("error %v, result %+v, want an out-of-memory error at step 31", err, r)
	}
	after, err := os.ReadFile(path)
	if err != nil || len(before) == 0 || !slices.Equal(before, after) {
		t.Errorf("the checkpoint has changed: %d bytes, %d before; %v", len(after), len(before), err)
	}
	entries, err := os.ReadDir(cfg.Checkpoint.Dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v, want the checkpoint", entries, err)
	}
	resumed := everything(t)
	resumed.Resume = path
	if r, err := Run(t.Context(), resumed); err != nil || r.Steps != 50 {
		t.Errorf("resuming from it: %v", err)
	}
}

// TestFittingBatch gives the device enough memory for four images at a time.
func TestFittingBatch(t *testing.T) {
	cfg, dev := onFakeGPU(t)
	dev.free = 0
	uses := func(batch int) int64 {
		cfg.Batch = batch
		r := &run{cfg: cfg}
		defer r.close()
		dev.live = nil
		if err := r.build(); err != nil {
			t.Fatal(err)
		}
		collect()
		defer runtime.KeepAlive(r)
		return dev.used()
	}
	four, eight, one := uses(4), uses(8), uses(1)
	for _, c := range []struct {
		budget int64
		batch  int
		want   int
	}{{0, 16, 16}, {(3*four + eight) / 4, 16, 4}, {(3*four + eight) / 4, 12, 3}, {eight, 8, 8}, {one / 2, 16, 0}, {0, 1000, 0}} {
		dev.budget, dev.live, cfg.Batch = c.budget, nil, c.batch
		if got := FittingBatch(cfg); got != c.want {
			t.Errorf("%d bytes, batch %d: %d fits, want %d", c.budget, c.batch, got, c.want)
		}
	}
	cfg.Batch, cfg.Optimizer.Algorithm = 8, "sdg"
	if got := FittingBatch(cfg); got != 0 {
		t.Errorf("with a wrong setting %d fits, want 0", got)
	}
}

// TestEvaluateAhead: an evaluation may be cancelled while downloads are pending, and then started again; an invalid label is
// named as on the CPU.
func TestEvaluateAhead(t *testing.T) {
	cfg, dev := onFakeGPU(t)
	dev.late = 3
	s, err := NewStepper(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEvaluator(s.net, cfg.Data.Test, cfg.Augment.Mean, cfg.Augment.Std, cfg.TTA)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	whole, err := e.Evaluate(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := e.Evaluate(ctx, func(done int) {
		if done >= 16 {
			cancel()
		}
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the error of the context", err)
	}
	again, err := e.Evaluate(t.Context(), nil)
	if err != nil || !reflect.DeepEqual(again, whole) || whole.Count != 50 {
		t.Errorf("after the evaluation was cancelled: %+v, %v, want %+v", again, err, whole)
	}

	wrong := stripes(50, 2)
	wrong.Labels[20] = 3
	bad, err := NewEvaluator(s.net, wrong, cfg.Augment.Mean, cfg.Augment.Std, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	for range 2 {
		if _, err := bad.Evaluate(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "image 20 has label 3, want 0 to 2") {
			t.Errorf("error %v, want an error that names image 20", err)
		}
	}
}
