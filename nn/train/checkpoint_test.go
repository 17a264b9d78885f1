package train

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/train/internal/safetensors"
)

// stopAt runs the configuration until step steps are done, and returns the checkpoint.
func stopAt(t *testing.T, cfg Config, step int) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg.Checkpoint.Dir = t.TempDir()
	cfg.Hooks = []Hooks{listen(func(e Event) {
		if s, ok := e.(*StepDone); ok && s.Step == step {
			cancel()
		}
	})}
	r, err := Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Steps != step {
		t.Fatalf("interrupted %v after %d steps, want %d", r.Interrupted, r.Steps, step)
	}
	return filepath.Join(cfg.Checkpoint.Dir, checkpointName)
}

// checkResume stops a run after step steps and resumes it: it must end with the weights of a run that was not stopped.
func checkResume(t *testing.T, configure func() Config, step int) {
	t.Helper()
	straight, err := Run(t.Context(), configure())
	if err != nil {
		t.Fatal(err)
	}
	cfg := configure()
	cfg.Resume = stopAt(t, configure(), step)
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weights(t, r.Network), weights(t, straight.Network)) {
		t.Error("the weights differ")
	}
}

// timeless returns the history without times and speeds.
func timeless(h []EpochMetrics) []EpochMetrics {
	var out []EpochMetrics
	for _, m := range h {
		m.ImagesPerSecond, m.Seconds, m.EvalSeconds = 0, 0, 0
		out = append(out, m)
	}
	return out
}

// TestResume stops in the middle of an epoch, at an epoch's last step (before its
// evaluation), after a step of Lookahead, and at the last step of training. The resumed run ends
// with the bits of a run that was not stopped.
func TestResume(t *testing.T) {
	straight, err := Run(t.Context(), everything(t))
	if err != nil {
		t.Fatal(err)
	}
	want := weights(t, straight.Network)
	for _, step := range []int{1, 12, 20, 33, 40, 50} {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			cfg := everything(t)
			cfg.Resume = stopAt(t, everything(t), step)
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			for name, values := range weights(t, r.Network) {
				if !reflect.DeepEqual(values, want[name]) {
					t.Errorf("%s differs", name)
				}
			}
			if got, want := timeless(r.History), timeless(straight.History); !reflect.DeepEqual(got, want) {
				t.Errorf("history %+v, want %+v", got, want)
			}
			if r.Steps != 50 || r.FinalLoss != straight.FinalLoss || r.TestLoss != straight.TestLoss || r.TestCorrect != straight.TestCorrect {
				t.Errorf("%d steps, losses %v, %v, %d right, want 50, %v, %v, %d", r.Steps, r.FinalLoss, r.TestLoss, r.TestCorrect,
					straight.FinalLoss, straight.TestLoss, straight.TestCorrect)
			}
		})
	}
}

// TestResumeFinished resumes a complete run: nothing is trained, and the result is returned.
func TestResumeFinished(t *testing.T) {
	cfg := everything(t)
	cfg.Checkpoint = Checkpoint{Dir: filepath.Join(t.TempDir(), "new", "folder"), EverySteps: 7}
	var written []int
	cfg.Hooks = []Hooks{listen(func(e Event) {
		if c, ok := e.(CheckpointWritten); ok {
			written = append(written, c.Step)
		}
	})}
	first, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(written) != "[7 14 21 28 35 42 49 50]" {
		t.Errorf("checkpoints at %v", written)
	}
	entries, err := os.ReadDir(cfg.Checkpoint.Dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v, want one file", entries, err)
	}
	again := everything(t)
	again.Resume = filepath.Join(cfg.Checkpoint.Dir, checkpointName)
	second, err := Run(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	if second.TestLoss != first.TestLoss || second.TestCount != 50 || !reflect.DeepEqual(first.Confusion, second.Confusion) {
		t.Errorf("test loss %v of %d, was %v", second.TestLoss, second.TestCount, first.TestLoss)
	}
}

// Checkpoints by time: a nanosecond passes with each step, an hour with none.
func TestCheckpointsByTime(t *testing.T) {
	for every, want := range map[time.Duration]string{time.Nanosecond: "[1 2 3 4 5 6 7 8 9 10]", time.Hour: "[10]"} {
		cfg := everything(t)
		cfg.Epochs = 0.5
		cfg.Checkpoint = Checkpoint{Dir: t.TempDir(), Every: every}
		var written []int
		cfg.Hooks = []Hooks{listen(func(e Event) {
			if c, ok := e.(CheckpointWritten); ok {
				written = append(written, c.Step)
			}
		})}
		if _, err := Run(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(written); got != want {
			t.Errorf("every %v: checkpoints at %v, want %v", every, got, want)
		}
	}
}

func TestResumeRefuses(t *testing.T) {
	path := stopAt(t, everything(t), 5)
	for _, c := range []struct {
		name string
		edit func(*Config)
		says string
	}{
		{"seed", func(c *Config) { c.Seed = 8 }, "seed is 8, in the checkpoint 7"},
		{"batch", func(c *Config) { c.Batch = 9 }, "batch is 9, in the checkpoint 8"},
		{"epochs", func(c *Config) { c.Epochs = 3 }, "epochs is 3, in the checkpoint 2.5"},
		{"pixels", func(c *Config) { c.Data.Train.(*data.InMemory).Images[5] ^= 1 }, "fingerprint of the images is"},
		{"test labels", func(c *Config) { l := c.Data.Test.(*data.InMemory).Labels; l[0] = 1 - l[0] }, "fingerprint of the images is"},
		{"images", func(c *Config) { c.Data.Train = stripes(153, 1) }, "training images is 153 of"},
		{"layer", func(c *Config) { c.Model.(*nn.Sequential).Layers[2] = nn.SiLU{} }, "layer 3 is silu1"},
		{"dropout", func(c *Config) { c.Model.(*nn.Sequential).Layers[5] = nn.Dropout{Rate: 0.5} }, `"Rate":0.5`},
		{"loss", func(c *Config) { c.Loss = nn.CrossEntropy{} }, "loss is nn.CrossEntropy"},
		{"rate", func(c *Config) { c.Optimizer.LR = 0.02 }, "0.02"},
		{"lookahead", func(c *Config) { c.Optimizer.Lookahead.Every = 4 }, `"Every":4`},
		{"schedule", func(c *Config) { c.Schedule = nil }, "schedule is"},
		{"augmentation", func(c *Config) { c.Augment.Crop = 2 }, `"Crop":2`},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := everything(t)
			cfg.Resume = path
			c.edit(&cfg)
			_, err := Run(t.Context(), cfg)
			var mismatch *MismatchError
			if !errors.As(err, &mismatch) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want a MismatchError with %q", err, c.says)
			}
		})
	}
}

// TestPrecision: a checkpoint of a float32 run has no setting of the precision, like checkpoints of versions without this
// setting, and differs from checkpoints that have it.
func TestPrecision(t *testing.T) {
	s, err := NewStepper(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	plain := settings(s, 0)
	for _, s := range plain {
		if s.Name == precisionSetting {
			t.Errorf("the precision %s is a setting of a float32 training", s.Value)
		}
	}
	half := append(slices.Clip(plain), condition{precisionSetting, "bfloat16"})
	for _, c := range []struct {
		ours, its []condition
		want      string
	}{
		{plain, plain, ""}, {half, half, ""},
		{half, plain, "precision is bfloat16, in the checkpoint float32"},
		{plain, half, "precision is float32, in the checkpoint bfloat16"},
	} {
		if got := strings.Join(differences(withPrecision(c.ours), withPrecision(c.its)), "; "); got != c.want {
			t.Errorf("differences %q, want %q", got, c.want)
		}
	}
}

// TestSameImagesElsewhere: the name of a data set may be a path, and the path may change.
func TestSameImagesElsewhere(t *testing.T) {
	cfg := everything(t)
	cfg.Resume = stopAt(t, everything(t), 5)
	cfg.Data.Name = "moved"
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	named := []condition{{dataSetting, "a"}, {precisionSetting, "float32"}}
	if diff := differences(alike([]condition{{dataSetting, "b"}, {imagesSetting, "1"}}, named)); len(diff) != 1 || diff[0] != "data set is b, in the checkpoint a" {
		t.Errorf("differences from a checkpoint without a fingerprint: %v", diff)
	}
}

// TestStartHasTheHistory: a listener gets the history, and can restore what was lost in a crash.
func TestStartHasTheHistory(t *testing.T) {
	cfg := everything(t)
	cfg.Resume = stopAt(t, everything(t), 25)
	var start Start
	cfg.Hooks = []Hooks{listen(func(e Event) {
		if s, ok := e.(Start); ok {
			start = s
		}
	})}
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if start.Step != 25 || len(start.History) != 1 || start.History[0].Step != 20 {
		t.Errorf("start %+v, want the history of one epoch", start)
	}
}

func TestTooManySteps(t *testing.T) {
	cfg := everything(t)
	cfg.Epochs = 1e20
	var bad *ConfigError
	if _, err := Run(t.Context(), cfg); !errors.As(err, &bad) || bad.Setting != "epochs" {
		t.Errorf("error %v, want a ConfigError for epochs", err)
	}
}

// TestCheckpointWithoutChecksum: a checkpoint whose checksum was removed is refused, because it may have been altered.
func TestCheckpointWithoutChecksum(t *testing.T) {
	path := stopAt(t, everything(t), 5)
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	header, err := json.Marshal(map[string]any{"__metadata__": f.Metadata()})
	if err != nil {
		t.Fatal(err)
	}
	bare := filepath.Join(t.TempDir(), checkpointName)
	if err := os.WriteFile(bare, append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := everything(t)
	cfg.Resume = bare
	if _, err := Run(t.Context(), cfg); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "no checksum") {
		t.Errorf("error %v, want ErrDamaged for lack of a checksum", err)
	}
}

func TestResumeBroken(t *testing.T) {
	path := stopAt(t, everything(t), 5)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	resume := func(path string) error {
		cfg := everything(t)
		cfg.Resume = path
		_, err := Run(t.Context(), cfg)
		return err
	}
	if err := os.WriteFile(path, whole[:len(whole)-100], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := resume(path); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want ErrDamaged and the path", err)
	}
	if err := resume(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
	s, err := NewStepper(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := SaveWeights(path, s.net, nil); err != nil {
		t.Fatal(err)
	}
	if err := resume(path); err == nil || !strings.Contains(err.Error(), "not a checkpoint") {
		t.Errorf("error %v for a file of weights", err)
	}
}

func TestCheckpointFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := everything(t)
	cfg.Checkpoint.Dir = filepath.Join(file, "below")
	if r, err := Run(t.Context(), cfg); err == nil || r != nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v, want one with %s before training begins", err, file)
	}
}

// TestCheckpointFails removes the folder during training: the error comes with what was trained so far, some steps after
// the checkpoint that could not be written, and at the latest before the next one.
func TestCheckpointFails(t *testing.T) {
	cfg := everything(t)
	cfg.Checkpoint.Dir = filepath.Join(t.TempDir(), "folder")
	cfg.Hooks = []Hooks{listen(func(e Event) {
		if s, ok := e.(*StepDone); ok && s.Step == 5 {
			if err := os.RemoveAll(cfg.Checkpoint.Dir); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(cfg.Checkpoint.Dir, nil, 0o644); err != nil {
				t.Error(err)
			}
		}
	})}
	r, err := Run(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "checkpoint: writing "+cfg.Checkpoint.Dir) {
		t.Errorf("error %v", err)
	}
	if r == nil || r.Steps < 20 || r.Steps > 40 || r.Network == nil {
		t.Errorf("result %+v, want the result of 20 to 40 steps", r)
	}
}

func TestWeights(t *testing.T) {
	cfg := everything(t)
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sub", "weights.safetensors")
	if err := SaveWeights(path, r.Network, map[string]string{"data": "stripes"}); err != nil {
		t.Fatal(err)
	}
	compile := func(model nn.Layer) *nn.Network {
		net, err := nn.Compile(cfg.Device, model, nn.Options{Input: nn.Shape{8, 8, 1}, Batch: 3, Seed: 99, Loss: cfg.Loss})
		if err != nil {
			t.Fatal(err)
		}
		return net
	}
	net := compile(cfg.Model)
	if reflect.DeepEqual(weights(t, net), weights(t, r.Network)) {
		t.Fatal("two seeds give the same weights")
	}
	if err := LoadWeights(path, net); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weights(t, net), weights(t, r.Network)) {
		t.Error("the weights are not those saved")
	}
	e, err := NewEvaluator(net, cfg.Data.Test, cfg.Augment.Mean, cfg.Augment.Std, cfg.TTA)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got, err := e.Evaluate(t.Context(), nil); err != nil || got.Correct != r.TestCorrect {
		t.Errorf("the loaded network has %+v right, %v, training had %d", got, err, r.TestCorrect)
	}
	// A checkpoint contains weights too.
	if err := LoadWeights(stopAt(t, everything(t), 3), net); err != nil {
		t.Error(err)
	}

	before := weights(t, net)
	other := nn.NewSequential(nn.Conv2D{OutC: 4, Kernel: nn.Square(3)}, nn.Flatten{}, nn.Dense{Out: 3})
	var mismatch *MismatchError
	if err := LoadWeights(path, compile(other)); !errors.As(err, &mismatch) || len(mismatch.Differences) < 4 {
		t.Errorf("error %v, want a MismatchError with all differences", err)
	}
	if err := os.Truncate(path, 500); err != nil {
		t.Fatal(err)
	}
	if err := LoadWeights(path, net); !errors.Is(err, ErrDamaged) {
		t.Errorf("error %v, want ErrDamaged", err)
	}
	if !reflect.DeepEqual(weights(t, net), before) {
		t.Error("a file that doesn't fit changed the weights")
	}
}
