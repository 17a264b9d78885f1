package report

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trainer/nn/folder"
	"trainer/nn/model"
	"trainer/nn/train"
)

func TestDefaultPath(t *testing.T) {
	day := time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC)
	for _, c := range []struct{ data, recipe, want string }{
		{"mnist", "mnist", "2026-01-31-mnist-mnist"},
		{"../my pictures/", "/a/b/own net.toml", "2026-01-31-my-pictures-own-net"},
		{".", "x", "2026-01-31-data-x"},
	} {
		if got := DefaultPath(day, c.data, c.recipe); got != filepath.Join("runs", c.want) {
			t.Errorf("DefaultPath(%q, %q) = %s, want %s", c.data, c.recipe, got, c.want)
		}
	}
}

func TestUnusedNeverTakesAFolderTwice(t *testing.T) {
	base := filepath.Join(t.TempDir(), "runs", "r")
	for _, want := range []string{base, base + "-2", base + "-3"} {
		f, err := Unused(base)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Path() != want {
			t.Errorf("got %s, want %s", f.Path(), want)
		}
	}
}

func TestCreateRefusesARun(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(dir) // an empty folder will do
	if err != nil {
		t.Fatal(err)
	}
	if err := f.AddMetrics(train.EpochMetrics{}); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := Create(dir); !errors.Is(err, ErrHoldsRun) {
		t.Errorf("error %v, want ErrHoldsRun", err)
	}
}

func TestDiscardLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	f, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.WriteConfig([]byte("a = 1\n")); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// TestRestoreMetrics: a resumed run's lines are those of its checkpoint's history, whatever a crash left.
func TestRestoreMetrics(t *testing.T) {
	history := []train.EpochMetrics{{Epoch: 1, Step: 10}, {Epoch: 2, Step: 20}, {Epoch: 3, Step: 30}}
	line := func(epoch int) string {
		text, err := encodeMetrics(train.EpochMetrics{Epoch: epoch, Step: 10 * epoch})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	want := line(1) + line(2) + line(3)
	for name, left := range map[string]string{
		"as it should be": want, "missing": "", "gap": line(1) + line(3), "later lines": want + line(4) + line(5),
		"half a line": want + `{"epoch":4,"st`, "no line break": strings.TrimSpace(want),
		"zeros": line(1) + strings.Repeat("\x00", 40) + "\n" + line(3), "others": line(7) + line(8),
	} {
		f, err := Create(filepath.Join(t.TempDir(), "run"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.File(MetricsFile), []byte(left), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := f.RestoreMetrics(history); err != nil {
			t.Fatal(err)
		}
		if err := f.AddMetrics(train.EpochMetrics{Epoch: 4, Step: 40}); err != nil {
			t.Fatal(err)
		}
		f.Close()
		text, err := os.ReadFile(f.File(MetricsFile))
		if err != nil || string(text) != want+line(4) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

// TestAFolderIsUsedOnce: a second process is refused, and a new run never replaces results.
func TestAFolderIsUsedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	f, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v, want ErrInUse", err)
	}
	if _, err := Continue(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v, want ErrInUse", err)
	}
	f.Close()
	for _, name := range resultFiles() {
		if err := os.WriteFile(f.File(name), []byte("precious"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Create(dir); !errors.Is(err, ErrHoldsRun) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want ErrHoldsRun", name, err)
		}
		if text, err := os.ReadFile(f.File(name)); err != nil || string(text) != "precious" {
			t.Errorf("%s has %q, %v", name, text, err)
		}
		if err := os.Remove(f.File(name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKilledWritersLeaveNothing: temporary files go at the next start.
func TestKilledWritersLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{CheckpointFile + ".123.tmp", model.FileName + ".9.tmp", "." + ConfigFile + "-5", "mine.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Continue(dir)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 || left[1].Name() != "mine.tmp" { // after the lock's file
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestLinkedMetricsAreRefused(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, MetricsFile)); err != nil {
		t.Skip(err)
	}
	f, err := Continue(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.RestoreMetrics(nil); err == nil {
		t.Error("a link was followed")
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("the target has %q, %v", text, err)
	}
}

func TestSummaryHasItsKeys(t *testing.T) {
	f, err := Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.WriteSummary(Summary{FinalLoss: Number(math.NaN())}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.File(SummaryFile))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range strings.Fields(`device data recipe parameters epochs steps seed test_accuracy train_seconds
		total_seconds images_per_second final_loss go cpu peak_memory_bytes`) {
		if _, ok := got[key]; !ok {
			t.Errorf("no %s in %s", key, text)
		}
	}
	if got["final_loss"] != nil {
		t.Errorf("a NaN loss became %v", got["final_loss"])
	}
}

func TestSummarize(t *testing.T) {
	got := Summarize([]Summary{{TestAccuracy: 0.98, TrainSeconds: 2, TotalSeconds: 3, PeakMemory: 7}, {TestAccuracy: 0.99, TrainSeconds: 4, TotalSeconds: 9, PeakMemory: 5}})
	if math.Abs(float64(got.TestAccuracy)-0.985) > 1e-12 || math.Abs(float64(got.TestAccuracyStd)-math.Sqrt(0.5)*0.01) > 1e-12 {
		t.Errorf("accuracy %v +- %v", got.TestAccuracy, got.TestAccuracyStd)
	}
	if got.TrainSeconds != 3 || got.TotalSeconds != 9 || got.PeakMemory != 7 || len(got.Runs) != 2 {
		t.Errorf("%+v", got)
	}
	// A run that was stopped counts for no mean, unless all were.
	stopped := Summary{TestAccuracy: 0.5, TrainSeconds: 1, TotalSeconds: 12, Interrupted: true}
	got = Summarize([]Summary{{TestAccuracy: 0.98, TrainSeconds: 2, TotalSeconds: 3}, stopped})
	if got.TestAccuracy != 0.98 || got.TestAccuracyStd != 0 || got.TrainSeconds != 2 || got.TotalSeconds != 12 || !got.Interrupted || len(got.Runs) != 2 {
		t.Errorf("with a run that was stopped: %+v", got)
	}
	if got = Summarize([]Summary{stopped}); got.TestAccuracy != 0.5 {
		t.Errorf("of a run that was stopped: %+v", got)
	}
	if _, std := MeanStd([]float64{5}); std != 0 {
		t.Errorf("deviation of one value is %v", std)
	}
}

// TestSteps: the lines are JSON, those after a checkpoint and a broken one go when the run is resumed, and a line costs no
// allocation.
func TestSteps(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := train.StepMetrics{Step: 3, Epoch: 0.1, TrainLoss: 1e-7, TrainAccuracy: 0.125, LR: 3e-4}
	var back train.StepMetrics
	if err := json.Unmarshal(appendSteps(nil, &m), &back); err != nil || back != m {
		t.Errorf("line %s has %+v, %v", appendSteps(nil, &m), back, err)
	}
	for step := 1; step <= 9; step++ {
		if err := f.AddSteps(&train.StepMetrics{Step: step}); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	lines, err := os.OpenFile(f.File(StepsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = lines.WriteString(`{"step":10,"epo`)
	}
	if err != nil || lines.Close() != nil {
		t.Fatal(err)
	}
	if f, err = Continue(dir); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.RestoreSteps(7); err != nil {
		t.Fatal(err)
	}
	if err := f.AddSteps(&train.StepMetrics{Step: 8, TrainLoss: 2}); err != nil {
		t.Fatal(err)
	}
	if err := f.SyncLines()(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.File(StepsFile))
	if err != nil || strings.Count(string(text), "\n") != 8 || !strings.HasSuffix(string(text), `{"step":8,"epoch":0,"train_loss":2,"train_accuracy":0,"learning_rate":0}`+"\n") {
		t.Errorf("%v\n%s", err, text)
	}
	if allocs := testing.AllocsPerRun(1000, func() {
		if err := f.AddSteps(&m); err != nil {
			t.Error(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations per line", allocs)
	}
}

// A summary of a version that did not say whether the run was complete.
func TestOlderSummariesAreComplete(t *testing.T) {
	for text, want := range map[string]bool{
		`{"test_accuracy": 0.9, "interrupted": false}`: true,
		`{"test_accuracy": 0.9, "interrupted": true}`:  false,
		`{"complete": false, "interrupted": false}`:    false,
	} {
		dir, err := folder.Make(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := dir.Write(SummaryFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if s, err := ReadSummary(dir); err != nil || s.Complete != want {
			t.Errorf("%s: %+v, %v, want complete %v", text, s, err, want)
		}
		dir.Close()
	}
}
