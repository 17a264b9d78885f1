package command

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trainer/nn/model"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// tensorsOf returns the part of a model's file after its metadata.
func tensorsOf(t *testing.T, path string) string {
	t.Helper()
	_, after, _ := strings.Cut(read(t, path), "}}")
	return strings.TrimLeft(after, " ")
}

// TestBestWeightsBecomeTheModel trains, from the third epoch on at too high a rate, until the validation loss has not
// improved for two epochs. The run's folder has the best weights as a model, and with weights = "best" they are the run's
// model; an interrupted run ends with the same.
func TestBestWeightsBecomeTheModel(t *testing.T) {
	workplace(t)
	args := []string{"-epochs", "20", "-val", "0.25", "-set", "weights=best", "-set", "best-by=loss", "-set", "stop.patience=2",
		"-set", "schedule={kind='piecewise', points=[[0, 1], [0.1, 1], [0.11, 100], [1, 100]]}"}
	got := trainer(t, append([]string{"-data", "pictures", "-recipe", "small.toml", "-out", "whole"}, args...)...)
	if got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	s := readJSON(t, "whole/summary.json")
	stopped, _ := s["stopped"].(string)
	if !strings.Contains(stopped, "validation loss has not improved on epoch") || !strings.Contains(got.stdout, "stopped "+stopped+"\n") {
		t.Errorf("stopped %q in\n%s", stopped, got.stdout)
	}
	if s["weights"] != "best" || s["best_epoch"].(float64) >= s["epochs"].(float64) || s["scored_on"] != "validation" || s["complete"] != true || s["test_count"] != 12.0 {
		t.Errorf("summary %v", s)
	}
	if !strings.Contains(got.stdout, "the best on the validation set\n") {
		t.Errorf("the last line does not say whose accuracy it is:\n%s", got.stdout)
	}
	if tensorsOf(t, "whole/model.safetensors") != tensorsOf(t, "whole/best.safetensors") {
		t.Error("the model is not the best one")
	}
	info, err := model.ReadInfo("whole/"+model.BestName, recipe.BuiltIn())
	if err != nil || info.Run.Weights != "best" || info.Classes[0] != "bright" {
		t.Errorf("best model %+v, %v", info, err)
	}

	stoppedAt(t, "epoch   2", append([]string{"-out", "part"}, args...)...)
	if err := os.Remove("part/" + model.BestName); err != nil { // the checkpoint has it
		t.Fatal(err)
	}
	if got := trainer(t, "-resume", "part"); got.status != exitOK || !strings.Contains(got.stdout, "stopped "+stopped+"\n") {
		t.Fatalf("%+v", got)
	}
	for _, name := range []string{model.FileName, model.BestName, "steps.jsonl"} {
		if read(t, "part/"+name) != read(t, "whole/"+name) {
			t.Errorf("%s of the resumed run differs", name)
		}
	}
	refused(t, trainer(t, "-data", "pictures", "-recipe", "small.toml", "-set", "weights=best"), "weights: best needs results on a validation set, and there is none: hold out some training images, such as a tenth (-val 0.1), or keep the last weights (-set weights=last)")
	refused(t, trainer(t, "-data", "pictures", "-recipe", "small.toml", "-set", "weights=ema"), "weights: ema needs the table [optimizer.ema]")
}

// TestInterruptedSummarySpeaksOfItsModel interrupts within an epoch. The model has the weights of that moment, which
// nobody has tested; the last epoch's accuracy is not theirs.
func TestInterruptedSummarySpeaksOfItsModel(t *testing.T) {
	workplace(t)
	const perEpoch = 6
	folder, s := "", map[string]any{"steps": 0.0}
	for try := 0; int(s["steps"].(float64))%perEpoch == 0; try++ { // the event's step is not the one at which training stops
		if try == 20 {
			t.Fatal("20 runs stopped between two epochs")
		}
		folder = fmt.Sprint("run-", try)
		stoppedAt(t, `"event":"checkpoint"`, "-json", "-checkpoint-every", "8steps", "-epochs", "1000", "-out", folder)
		s = readJSON(t, folder+"/summary.json")
	}
	if s["weights"] != "last" || s["weights_step"] != s["steps"] || s["test_count"] != 0.0 || s["test_accuracy"] != 0.0 {
		t.Errorf("summary %v", s)
	}
	info, err := model.ReadInfo(folder, recipe.BuiltIn())
	if err != nil || info.Run.TestCount != 0 || info.Run.Finished {
		t.Errorf("model %+v, %v", info, err)
	}

	// Between two epochs the weights are those that were tested: evaluate finds the same.
	stopped(t, "between")
	s = readJSON(t, "between/summary.json")
	var e struct {
		Correct, Count float64
	}
	got := trainer(t, "evaluate", "-json", "between")
	if err := json.Unmarshal([]byte(got.stdout), &e); err != nil {
		t.Fatalf("%v in %+v", err, got)
	}
	if s["steps"] != 6.0 || s["test_count"] != 12.0 || s["test_correct"] != e.Correct {
		t.Errorf("summary %v, evaluate %+v", s, e)
	}
}

// TestStepsAreLogged: a run of one epoch has a curve.
func TestStepsAreLogged(t *testing.T) {
	workplace(t)
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-epochs", "1", "-set", "log-every=2", "-out", "run", "-tensorboard"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	var steps []int
	for line := range strings.Lines(read(t, "run/steps.jsonl")) {
		var m train.StepMetrics
		if err := json.Unmarshal([]byte(line), &m); err != nil || !(m.TrainLoss > 0) || !(m.LR > 0) || m.Epoch != float64(m.Step)/6 {
			t.Errorf("line %s: %v", line, err)
		}
		steps = append(steps, m.Step)
	}
	if len(steps) != 3 || steps[0] != 2 || steps[2] != 6 {
		t.Errorf("lines of the steps %v", steps)
	}
	events, err := filepath.Glob("run/tensorboard/events.out.tfevents.*")
	if err != nil || len(events) != 1 {
		t.Fatalf("event files %v, %v", events, err)
	}
	text := read(t, events[0])
	for _, tag := range []string{"loss/steps", "accuracy/test", "weights/conv1.weight", "gradients/dense1.bias", "confusion matrix", "predictions", "\x89PNG"} {
		if !strings.Contains(text, tag) {
			t.Errorf("no %s in the event file", tag)
		}
	}
	if got := trainer(t, "draw", "run", "-format", "svg", "run"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	curves := read(t, "run/figures/curves.svg")
	write(t, "run/steps.jsonl", "")
	if got := trainer(t, "draw", "run", "-format", "svg", "run"); got.status != exitOK || read(t, "run/figures/curves.svg") == curves {
		t.Errorf("the curves are the same without the steps: %+v", got)
	}
}
