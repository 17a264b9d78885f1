package command

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestFoldsGiveATableAndTheMean(t *testing.T) {
	workplace(t)
	got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-folds", "3", "-out", "three", "-epochs", "1")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	last := `(?m)^fold   validation accuracy\n1 .*\(\d+/20\)\n2 .*\(\d+/20\)\n3 .*\(\d+/20\)\nvalidation accuracy \d+\.\d\d% \+- \d+\.\d\d% \(mean and standard deviation of 3 folds\)\n$`
	if !regexp.MustCompile(last).MatchString(got.stdout) || !strings.Contains(got.stdout, "fold 2 of 3, seed 0: ") {
		t.Errorf("got\n%s", got.stdout)
	}
	s := readJSON(t, "three/summary.json")
	folds := s["folds"].([]any)
	sum := 0.0
	for _, f := range folds {
		sum += f.(map[string]any)["val_accuracy"].(float64)
	}
	if len(folds) != 3 || math.Abs(s["val_accuracy"].(float64)-sum/3) > 1e-9 || s["val_count"] != 60.0 || s["val_accuracy_std"] == nil {
		t.Errorf("summary %v", s)
	}
	// Every image is in one fold.
	var names []string
	for k := range 3 {
		val := readJSON(t, fmt.Sprintf("three/fold-%d/data.json", k+1))["val"].(map[string]any)
		for _, file := range val["files"].([]any) {
			names = append(names, file.(map[string]any)["name"].(string))
		}
	}
	seen := map[string]bool{}
	for _, name := range names {
		seen[name] = true
	}
	if len(names) != 60 || len(seen) != 60 {
		t.Errorf("%d images in the folds, %d different ones, want 60", len(names), len(seen))
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"evaluate", "three/fold-2", "-part", "val"}, "20 validation images"},
		{[]string{"evaluate", "three/fold-2"}, "no test images: pass -part val"},
		{[]string{"evaluate", "three", "-part", "val"}, "-part val: the validation images of a fold are training images of the others"},
	} {
		if got := trainer(t, c.args...); !strings.Contains(got.stdout+got.stderr, c.want) {
			t.Errorf("%v: no %q in %+v", c.args, c.want, got)
		}
	}
}

func TestFoldsLeaveTheTestSetAlone(t *testing.T) {
	workplace(t)
	got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-folds", "2", "-test", "0.2", "-out", "two", "-epochs", "1")
	if got.status != exitOK || !regexp.MustCompile(`(?m)^test accuracy .* \(mean and standard deviation of 2 trainings\)$`).MatchString(got.stdout) {
		t.Fatalf("%+v", got)
	}
	first, second := readJSON(t, "two/fold-1/data.json"), readJSON(t, "two/fold-2/data.json")
	if a, b := fmt.Sprint(first["test"]), fmt.Sprint(second["test"]); a != b || !strings.Contains(a, "images:12") {
		t.Errorf("test sets\n%s\nand\n%s", a, b)
	}
}

func TestFoldsAreResumed(t *testing.T) {
	workplace(t)
	args := []string{"-data", "pictures", "-recipe", "small.toml", "-folds", "3", "-seed", "4"}
	if got := trainer(t, append(args, "-out", "whole")...); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stderr bytes.Buffer
	p := &program{Config: config(), stdout: &stopAfter{text: "fold 2 of 3", cancel: cancel}, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now}
	if status := run(ctx, p, append(args, "-out", "part")); status != exitInterrupted {
		t.Fatalf("status %d, stderr %q", status, stderr.String())
	}
	first, err := os.Stat("part/fold-1/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if got := trainer(t, "-resume", "part"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	for k := 1; k <= 3; k++ {
		name := filepath.Join(fmt.Sprintf("fold-%d", k), "model.safetensors")
		if read(t, filepath.Join("whole", name)) != read(t, filepath.Join("part", name)) {
			t.Errorf("fold %d has other weights", k)
		}
	}
	if again, err := os.Stat("part/fold-1/model.safetensors"); err != nil || !os.SameFile(first, again) {
		t.Error("the finished fold was trained again")
	}
	for _, key := range []string{"val_accuracy", "val_accuracy_std", "val_count"} {
		if a, b := readJSON(t, "whole/summary.json")[key], readJSON(t, "part/summary.json")[key]; a != b {
			t.Errorf("%s is %v, want %v", key, b, a)
		}
	}
	if got := trainer(t, "-resume", "part/fold-3"); got.status != exitOK || !strings.Contains(got.stdout, "validation accuracy") {
		t.Errorf("one fold: %+v", got)
	}
}

func TestBadFolds(t *testing.T) {
	workplace(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-folds", "1"}, "want a whole number from 2"},
		{[]string{"-folds", "3", "-runs", "2"}, "-folds and -runs exclude each other"},
		{[]string{"-folds", "3", "-val", "0.2"}, "-folds and -val exclude each other"},
		{[]string{"-folds", "61"}, "at least 61 images for 61 folds"},
	} {
		got := trainer(t, append(c.args, "-data", "pictures", "-recipe", "small.toml")...)
		if got.status != exitUsage || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%v: no %q in %+v", c.args, c.want, got)
		}
	}
	if got := trainer(t, "-resume", "x", "-folds", "3"); got.status != exitUsage || !strings.Contains(got.stderr, "remove -folds") {
		t.Errorf("%+v", got)
	}
}
