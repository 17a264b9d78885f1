package command

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trainer/nn/metric"
)

func TestEvaluate(t *testing.T) {
	trainedRun(t)
	summary := readJSON(t, "run/summary.json")
	want := fmt.Sprintf("accuracy %.2f%% (%v/%v)", 100*summary["test_accuracy"].(float64), summary["test_correct"], summary["test_count"])

	// A run's folder knows its data and their split; the report agrees with that of the training.
	got := trainer(t, "evaluate", "run", "-figures", "figures")
	if got.status != exitOK || !strings.Contains(got.stdout, want) || !strings.Contains(got.stdout, "weighted mean") {
		t.Errorf("%+v, want %q", got, want)
	}
	for _, name := range []string{"confusion.png", "reliability.png"} {
		if read(t, filepath.Join("figures", name)) == "" {
			t.Errorf("no %s", name)
		}
	}

	// A model in another place, on a folder of its own, with a row per image.
	if err := os.Rename("run/model.safetensors", "m.safetensors"); err != nil {
		t.Fatal(err)
	}
	got = trainer(t, "evaluate", "-data", "pictures", "-part", "train", "m.safetensors", "-csv")
	rows, err := csv.NewReader(strings.NewReader(got.stdout)).ReadAll()
	if err != nil || got.status != exitOK || len(rows) != 49 {
		t.Fatalf("%d rows, %v, %+v", len(rows), err, got)
	}
	for _, row := range rows[1:] {
		if class := filepath.Base(filepath.Dir(row[1])); row[2] != class {
			t.Errorf("row %v: want the label %s", row, class)
		}
	}

	// Several models are averaged; twice the same one is the same one.
	decode := func(args ...string) (r struct {
		metric.Report
		Single []float64 `json:"accuracy_of_each"`
	}) {
		t.Helper()
		got := trainer(t, append([]string{"evaluate", "-data", "pictures", "-json"}, args...)...)
		if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || got.status != exitOK {
			t.Fatalf("%v, %+v", err, got)
		}
		return r
	}
	one, two := decode("m.safetensors"), decode("m.safetensors", "m.safetensors")
	if math.Abs(one.Loss-two.Loss) > 1e-12 || len(two.Single) != 2 || two.Single[0] != one.Accuracy {
		t.Errorf("one model: %+v, twice: %+v", one, two)
	}

	// Calibration makes the loss no larger, and is kept in the model.
	got = trainer(t, "evaluate", "m.safetensors", "-data", "pictures", "-calibrate")
	if got.status != exitOK || !strings.Contains(got.stdout, "temperature ") || !strings.Contains(got.stderr, "-part val") {
		t.Errorf("%+v", got)
	}
	if after := decode("m.safetensors"); !(after.Loss < one.Loss) || after.Correct != one.Correct {
		t.Errorf("loss %v and %d right before the calibration, %v and %d after it", one.Loss, one.Correct, after.Loss, after.Correct)
	}
}

func TestEvaluateSeeds(t *testing.T) {
	workplace(t)
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-out", "seeds", "-runs", "2", "-quiet"); got.status != exitOK {
		t.Fatalf("training: %+v", got)
	}
	got := trainer(t, "evaluate", "seeds")
	if got.status != exitOK || !strings.Contains(got.stdout, "seeds/seed-1: accuracy") || !strings.Contains(got.stdout, "all 2 models together") {
		t.Errorf("%+v", got)
	}
}

func TestEvaluateRefuses(t *testing.T) {
	trainedRun(t)
	if err := os.CopyFS("others", os.DirFS("pictures")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename("others/dark", "others/drak"); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"empty", "alone"} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, "alone/model.safetensors", read(t, "run/model.safetensors"))
	for _, tt := range []struct {
		args, want string
	}{
		{"", "evaluate takes a model"},
		{"run -part vla", `unknown part "vla" (valid: test, val, train)`},
		{"run -json -csv", "-json and -csv"},
		{"empty", "the folder has no model"},
		{"alone", "pass -data"},
		{"alone run -calibrate -data pictures", "-calibrate takes one model, got 2"},
		{"run -part val", "has no validation images: pass -val 0.1"},
		{"run -data others", `the model doesn't know the class "drak" of the data, did you mean dark?`},
		{"run -data mnist", "the images of mnist are 28x28x1, and the model takes 8x8x1"},
		{"run -data nowhere", "nowhere"},
	} {
		got := trainer(t, append([]string{"evaluate"}, strings.Fields(tt.args)...)...)
		if got.status != exitUsage || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%s: %+v, want %q", tt.args, got, tt.want)
		}
	}
}

func TestEvaluateHelp(t *testing.T) {
	got := trainer(t, "evaluate", "-h")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	golden(t, "evaluate.txt", got.stdout)
}
