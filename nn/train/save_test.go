package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"trainer/nn/device"
	"trainer/nn/folder"
)

// A checkpoint holds the state after its step, also if the device and the disk are late and training goes on: it resumes to
// the bits of a training that was not stopped.
func TestSaveBesideTraining(t *testing.T) {
	for name, late := range map[string]int{"at once": 0, "some steps later": 5, "only when waited for": math.MaxInt - 1} {
		t.Run(name, func(t *testing.T) {
			cfg, dev := onFakeGPU(t)
			straight, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			dev.late = late
			cfg.Checkpoint = Checkpoint{Dir: t.TempDir(), EverySteps: 13}
			kept := filepath.Join(t.TempDir(), checkpointName)
			cfg.Hooks = []Hooks{listen(func(e Event) {
				if c, ok := e.(CheckpointWritten); ok && c.Step == 26 {
					bytes, err := os.ReadFile(c.Path)
					if err == nil {
						err = os.WriteFile(kept, bytes, 0o644)
					}
					if err != nil {
						t.Error(err)
					}
				}
			})}
			if _, err := Run(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			cfg.Checkpoint, cfg.Hooks, cfg.Resume = Checkpoint{}, nil, kept
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(weights(t, r.Network), weights(t, straight.Network)) {
				t.Error("the weights differ")
			}
		})
	}
}

// slowSave makes a run whose checkpoint the disk has not written yet, and returns what ends the writing.
func slowSave(t *testing.T, r *run) (finish chan error) {
	t.Helper()
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	if err := r.startSave(position{Step: 0}); err != nil {
		t.Fatal(err)
	}
	if err := <-r.save.done; err != nil {
		t.Fatal(err)
	}
	finish = make(chan error, 1)
	r.save.done = finish
	return finish
}

// While a checkpoint is being written, training goes on; an error of the disk is returned after the next step.
func TestSaveOnASlowDisk(t *testing.T) {
	cfg := everything(t)
	cfg.Checkpoint.Dir = t.TempDir()
	r := &run{cfg: cfg}
	defer r.close()
	finish := slowSave(t, r)
	step := func() error {
		if err := r.step(); err != nil {
			t.Fatal(err)
		}
		return r.observe()
	}
	r.loader.Start(0, 0)
	for range 5 {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if r.save == nil || r.stepper.step != 5 {
		t.Errorf("after %d steps the checkpoint is %v, want 5 steps beside it", r.stepper.step, r.save)
	}
	full := errors.New("disk full")
	finish <- full
	if err := step(); !errors.Is(err, full) {
		t.Errorf("the step after the error returns %v, want the error", err)
	}
	if r.save != nil {
		t.Error("the checkpoint is still being written")
	}
}

// The end of training and an interruption wait for the checkpoint.
func TestSaveIsWrittenAtTheEnd(t *testing.T) {
	for _, interrupt := range []bool{false, true} {
		cfg, dev := onFakeGPU(t)
		dev.late = math.MaxInt - 1
		cfg.Checkpoint.Dir = t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		last := 0
		cfg.Hooks = []Hooks{listen(func(e Event) {
			switch e := e.(type) {
			case *StepDone:
				if interrupt && e.Step == 22 {
					cancel()
				}
			case CheckpointWritten:
				last = e.Step
			case Finished:
				if last != e.Result.Steps {
					t.Errorf("finished after step %d, the checkpoint is of step %d", e.Result.Steps, last)
				}
			}
		})}
		r, err := Run(ctx, cfg)
		if err != nil || r.Interrupted != interrupt {
			t.Fatalf("interrupted is %v, %v", r.Interrupted, err)
		}
		if dir, err := folder.Open(cfg.Checkpoint.Dir); err != nil || !dir.Has(checkpointName) {
			t.Errorf("no checkpoint, %v", err)
		}
		if dev.underWay != 0 {
			t.Errorf("%d downloads are left", dev.underWay)
		}
	}
}

// Without memory for the copy on the device, the tensors are downloaded one after the other.
func TestSaverWithoutMemory(t *testing.T) {
	cfg, dev := onFakeGPU(t)
	s, err := NewStepper(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list := checkpointTensors(s)
	full, err := newSaver(dev, list)
	if err != nil {
		t.Fatal(err)
	}
	defer full.close()
	if full.pack == nil || full.memory() == 0 {
		t.Fatal("a device that can work during a download gets no buffer for it")
	}
	one := &saver{dev: dev, list: list}
	for _, named := range list {
		one.values = append(one.values, make([]float32, named.Tensor.Len()))
	}
	for _, s := range []*saver{full, one} {
		if err := errors.Join(s.queue(), s.wait()); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(full.values, one.values) {
		t.Error("the copies differ")
	}
}

// chooser is a device that times algorithms.
type chooser struct {
	device.Device
	chosen, kept string
}

func (c *chooser) Autotune() {}

func (c *chooser) ChosenAlgorithms() []byte { return []byte(c.chosen) }

func (c *chooser) KeepAlgorithms(chosen []byte) error {
	c.kept = string(chosen)
	return nil
}

// What a device chose by timing is in the checkpoint, and the device of a resumed training gets it.
func TestChosenAlgorithmsAreKept(t *testing.T) {
	cfg := everything(t)
	cfg.Device = &chooser{Device: newCPU(t, 1), chosen: "the third"}
	path := stopAt(t, cfg, 3)
	second := &chooser{Device: newCPU(t, 1), chosen: "another"}
	cfg.Device, cfg.Resume = second, path
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if second.kept != "the third" {
		t.Errorf("the resumed training keeps %q, want what the first one chose", second.kept)
	}
}
