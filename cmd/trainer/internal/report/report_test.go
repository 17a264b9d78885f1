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

func TestRewindDropsLaterAndBrokenLines(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	for epoch := 1; epoch <= 3; epoch++ {
		if err := f.AddMetrics(train.EpochMetrics{Epoch: epoch, Step: 10 * epoch}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.metrics.WriteString(`{"epoch":4,"st`); err != nil {
		t.Fatal(err)
	}
	f.Close()

	f, err = Continue(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Rewind(25); err != nil {
		t.Fatal(err)
	}
	if err := f.AddMetrics(train.EpochMetrics{Epoch: 9, Step: 90}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.File(MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	var epochs []int
	for line := range strings.Lines(string(text)) {
		var m train.EpochMetrics
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		epochs = append(epochs, m.Epoch)
	}
	if len(epochs) != 3 || epochs[0] != 1 || epochs[1] != 2 || epochs[2] != 9 {
		t.Errorf("epochs %v, want 1 2 9", epochs)
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
	if _, std := MeanStd([]float64{5}); std != 0 {
		t.Errorf("deviation of one value is %v", std)
	}
}
