package cockpit

import (
	"bytes"
	"context"
	"errors"
	"math"
	"path/filepath"
	"testing"
	"time"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/inspect"
	"trainer/nn/optim"
	"trainer/nn/train"
)

// squares is a set of n dark and bright images.
func squares(n int) *data.InMemory {
	set := &data.InMemory{Name: "squares", H: 4, W: 4, C: 1, ClassNames: []string{"dark", "bright"}}
	for i := range n {
		set.Images = append(set.Images, bytes.Repeat([]byte{byte(40 + 150*(i%2) + i%7)}, 16)...)
		set.Labels = append(set.Labels, int32(i%2))
	}
	return set
}

// begin trains 200 steps in a goroutine, and returns the training and a channel with the result.
func begin(t *testing.T) (*Training, chan error) {
	t.Helper()
	return beginWith(t, nil, t.TempDir(), "")
}

// beginWith is begin with a keeper of histograms, in a folder, from a checkpoint unless it is "".
func beginWith(t *testing.T, keeper *Keeper, dir, resume string) (*Training, chan error) {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	model := nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 2})
	test := squares(10)
	test.Labels[3] = 0 // a mistake to find
	tr, ctx := New(context.Background(), "run")
	probe := &Probe{Pictures: [][]byte{test.Images[:16]}, Open: func() (*inspect.Session, error) {
		return inspect.New(dev, model, inspect.Options{Input: nn.Shape{4, 4, 1}})
	}}
	cfg := train.Config{
		Device: dev, Model: model, Loss: nn.CrossEntropy{}, Data: &data.Dataset{Name: "squares", Train: squares(40), Test: test},
		Optimizer: optim.Config{Algorithm: "sgd", LR: 0.1}, Epochs: 20, Batch: 4, Checkpoint: train.Checkpoint{Dir: dir}, Resume: resume, KeepAnswers: true,
		Hooks: []train.Hooks{tr.Hooks(Data{Test: test, Classes: test.ClassNames, Probe: probe, Keeper: keeper, CanSteer: true}), {Step: func(*train.Training, *train.StepDone) { time.Sleep(time.Millisecond) }}},
	}
	done := make(chan error, 1)
	go func() {
		result, err := train.Run(ctx, cfg)
		phase := Finished
		if result != nil && result.Interrupted {
			phase = Interrupted
		}
		tr.End(phase, "")
		done <- err
	}()
	return tr, done
}

// until waits for a state.
func until(t *testing.T, tr *Training, what string, ok func(State) bool) State {
	t.Helper()
	for range 1000 {
		if s := tr.State(); ok(s) {
			return s
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s: the state stays %+v", what, tr.State())
	return State{}
}

// TestSteer pauses, changes the rate in the pause, goes on and stops.
func TestSteer(t *testing.T) {
	tr, done := begin(t)
	l := tr.Listen()
	until(t, tr, "beginning", func(s State) bool { return s.Phase == Running })
	steer := func(o Order) {
		t.Helper()
		if err := tr.Steer(o); err != nil {
			t.Fatal(err)
		}
	}
	steer(Order{Action: Pause})
	s := until(t, tr, "pausing", func(s State) bool { return s.Phase == Paused })
	if s.SavedStep != s.Step {
		t.Errorf("paused after step %d, saved after step %d", s.Step, s.SavedStep)
	}
	steer(Order{Action: ChangeRate, Factor: 0.5})
	until(t, tr, "another rate", func(s State) bool { return len(s.RateChanges) == 1 })
	if now := tr.State(); now.Step != s.Step || now.Phase != Paused || now.RateChanges[0] != (optim.RateChange{Step: s.Step, Factor: 0.5}) {
		t.Errorf("in the pause: %+v", now)
	}
	steer(Order{Action: Continue})
	until(t, tr, "going on", func(s State) bool { return s.Histograms > 0 && s.Mistakes > 0 })
	if a := tr.Answers(); len(a.Mistakes) == 0 || a.Mistakes[0].Image != 3 || len(a.Pixels) != 16*len(a.Mistakes) || a.Confusion == nil {
		t.Errorf("answers %+v", a)
	}
	counted := tr.Histograms()
	kinds := map[string]int{}
	for _, h := range counted.Last {
		kinds[h.Of]++
	}
	if kinds["weights"] != 2 || kinds["gradients"] != 2 || kinds["activations"] < 2 || len(counted.First) != len(counted.Last) {
		t.Errorf("histograms %v", kinds)
	}
	steer(Order{Action: Stop})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s := tr.State(); s.Phase != Finished || s.Problem != "by hand" || s.Step >= 200 {
		t.Errorf("stopped: %+v", s)
	}
	for _, o := range []Order{{Action: Pause}, {Action: ChangeRate, Factor: 1}} {
		if e, ok := errors.AsType[*Error](tr.Steer(o)); !ok || e.Kind != Busy {
			t.Errorf("%+v after the end: %v", o, e)
		}
	}
	kindsTold := map[string]bool{}
	for {
		select {
		case e := <-l.Events():
			kindsTold[e.Kind] = true
			continue
		default:
		}
		break
	}
	if !kindsTold["state"] || !kindsTold["steps"] || !kindsTold["epoch"] {
		t.Errorf("told %v", kindsTold)
	}
}

// TestInterruptInAPause: the end of the program ends a pause, and the run can be continued.
func TestInterruptInAPause(t *testing.T) {
	tr, done := begin(t)
	until(t, tr, "beginning", func(s State) bool { return s.Phase == Running })
	if err := tr.Steer(Order{Action: Pause}); err != nil {
		t.Fatal(err)
	}
	until(t, tr, "pausing", func(s State) bool { return s.Phase == Paused })
	tr.Interrupt()
	if err := <-done; err != nil || tr.State().Phase != Interrupted {
		t.Errorf("%v, %+v", err, tr.State())
	}
}

// TestHistogramsOutlastTheProgram: a run that is continued has the histograms of its first epoch and of its last one at once, and the weights
// of its checkpoint if nothing was kept, or nothing of this program's.
func TestHistogramsOutlastTheProgram(t *testing.T) {
	dir := t.TempDir()
	var content []byte
	keeper := &Keeper{Load: func() ([]byte, error) { return content, nil }, Save: func(b []byte) error {
		content = b
		return nil
	}}
	tr, done := beginWith(t, keeper, dir, "")
	until(t, tr, "three epochs", func(s State) bool { return s.Histograms >= 30 })
	tr.Interrupt()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	kept := tr.Histograms()
	step, last, first := kept.Step, kept.Last, kept.First
	for name, c := range map[string]struct {
		content             []byte
		step, last, first   int
		firstMean, lastMean float64
	}{
		"kept":          {content, step, len(last), len(first), first[0].Mean, last[0].Mean},
		"nothing kept":  {nil, tr.State().Step, 2, 0, 0, 0},
		"no JSON":       {[]byte("{"), tr.State().Step, 2, 0, 0, 0},
		"no histograms": {bytes.ReplaceAll(content, []byte(`"counts":[`), []byte(`"counts":[-1,`)), tr.State().Step, 2, 0, 0, 0},
		"later steps":   {bytes.ReplaceAll(content, []byte(`"step":`), []byte(`"step":1000`)), tr.State().Step, 2, 0, 0, 0},
	} {
		again := &Keeper{Load: func() ([]byte, error) { return c.content, nil }, Save: func([]byte) error { return nil }}
		tr, done := beginWith(t, again, t.TempDir(), filepath.Join(dir, "checkpoint.safetensors"))
		until(t, tr, "beginning again", func(s State) bool { return s.Phase == Running })
		if err := tr.Steer(Order{Action: Pause}); err != nil {
			t.Fatal(err)
		}
		h := tr.Histograms()
		step, last, first := h.Step, h.Last, h.First
		if step < c.step || step == c.step && (len(last) != c.last || len(first) != c.first || c.first > 0 && (first[0].Mean != c.firstMean || last[0].Mean != c.lastMean)) {
			t.Errorf("%s: step %d, %d histograms, %d of the first epoch, want %+v", name, step, len(last), len(first), c)
		}
		tr.Interrupt()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadOrders(t *testing.T) {
	tr, _ := New(t.Context(), "run")
	if e, ok := errors.AsType[*Error](tr.Steer(Order{Action: Pause})); !ok || e.Kind != Busy {
		t.Errorf("before the first step: %v", e)
	}
	tr.update(func(s *State) { s.Phase = Running })
	for _, o := range []Order{{}, {Action: "explode"}, {Action: ChangeRate, Factor: -1}, {Action: ChangeRate, Factor: math.NaN()}, {Action: ChangeRate, Factor: 1e9}, {Action: ChangeRate, Factor: 1}} {
		if e, ok := errors.AsType[*Error](tr.Steer(o)); !ok || e.Kind != Invalid {
			t.Errorf("%+v: %v", o, e)
		}
	}
	for range maxOrders {
		if err := tr.Steer(Order{Action: Save}); err != nil {
			t.Fatal(err)
		}
	}
	if e, ok := errors.AsType[*Error](tr.Steer(Order{Action: Save})); !ok || e.Kind != Busy {
		t.Errorf("too many orders: %v", e)
	}
}

// TestWhoFallsBehindIsLeftOut: training waits for no page.
func TestWhoFallsBehindIsLeftOut(t *testing.T) {
	tr, _ := New(t.Context(), "run")
	slow, gone := tr.Listen(), tr.Listen()
	tr.StopListening(gone)
	for range maxEvents + 1 {
		tr.Note("x")
	}
	n := 0
	for range slow.Events() {
		n++
	}
	if n != maxEvents || len(gone.Events()) != 0 || len(tr.State().Notes) != maxNotes {
		t.Errorf("%d events before the end, %d for one who left, %d notes", n, len(gone.Events()), len(tr.State().Notes))
	}
}

func TestHistogram(t *testing.T) {
	h := newHistogram("w", "weights", []float32{-1, 0, 0, 3, float32(math.NaN()), float32(math.Inf(1))})
	sum := float32(0)
	for _, n := range h.Counts {
		sum += n
	}
	if h.Low != -1 || h.High != 3 || h.Mean != 0.5 || h.NotFinite != 2 || h.Count != 6 || sum != 4 || h.Counts[0] != 1 || h.Counts[len(h.Counts)-1] != 1 {
		t.Errorf("%+v", h)
	}
	for _, values := range [][]float32{{}, {2, 2}, {float32(math.NaN())}} {
		if h := newHistogram("w", "weights", values); math.IsNaN(h.Mean+h.Std+h.Low+h.High) || math.IsInf(h.Low, 0) {
			t.Errorf("%v: %+v", values, h)
		}
	}
}
