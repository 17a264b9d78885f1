package display

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"trainer/nn/device"
	"trainer/nn/train"
)

func start() train.Start {
	return train.Start{Summary: train.Summary{
		Device: "cpu", Info: device.Info{Description: "a processor, 2 threads"},
		Params: 12345, FLOPs: 2_500_000, Epochs: 1.5, Steps: 1500, TrainImages: 60000, TestImages: 10000,
	}}
}

func epoch() train.EpochMetrics {
	return train.EpochMetrics{
		Epoch: 1, Step: 1000, TrainLoss: 0.25, TrainAccuracy: 0.925, Evaluated: true, TestLoss: 0.125, TestAccuracy: 0.9712,
		LR: 0.001, ImagesPerSecond: 15234.7, Seconds: 3.94,
	}
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	l := NewLines(&out, Run{Data: "mnist", Recipe: "mine", Number: 2, Of: 3, Seed: 7})
	l.Hooks().Start(nil, start())
	l.Hooks().Epoch(nil, epoch())
	l.Close()
	want := `run 2 of 3, seed 7: mine on mnist: 12,345 parameters, 2.5 MFLOP per image (forward pass); 60,000 training and 10,000 test images; 1.5 epochs, 1,500 steps; cpu (a processor, 2 threads)
epoch   1  loss 0.2500  accuracy  92.50%  test loss 0.1250  test accuracy  97.12%  lr 0.001  15,234 img/s  3.9s
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestLinesNameTheGPUAndItsPrecision(t *testing.T) {
	s := start()
	s.Device, s.Info.Description = "cuda:0", "NVIDIA L4"
	if got := startLine(s, Run{Precision: "fp16"}); !strings.HasSuffix(got, "; cuda:0 (NVIDIA L4, fp16)") {
		t.Errorf("got %s", got)
	}
	if got := Device(start().Summary, ""); got != "cpu (a processor, 2 threads)" {
		t.Errorf("got %s", got)
	}
}

func TestWithoutASpeedNoneIsTold(t *testing.T) {
	e := epoch()
	e.ImagesPerSecond, e.Seconds = 0, 0
	if got, want := epochLine(e), "epoch   1  loss 0.2500  accuracy  92.50%  test loss 0.1250  test accuracy  97.12%  lr 0.001"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b := NewBar(&bytes.Buffer{}, Run{})
	b.Hooks().Start(nil, start())
	b.Hooks().Step(nil, &train.StepDone{Step: 400, Total: 1500, Epoch: 1, Loss: 0.5, Accuracy: 0.8, LR: 0.01})
	if got, want := b.right(), " loss 0.5000  acc 80.00%  lr 0.01"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b.Close()
}

func TestJSONIsOneObjectALine(t *testing.T) {
	var out bytes.Buffer
	j := NewJSON(&out, Run{Data: "mnist", Recipe: "mine"})
	j.Hooks().Start(nil, start())
	j.Hooks().Epoch(nil, epoch())
	j.Hooks().Checkpoint(nil, train.CheckpointWritten{Path: "p", Step: 3})
	var events []string
	for line := range strings.Lines(out.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		events = append(events, m["event"].(string))
	}
	if got := strings.Join(events, " "); got != "start epoch checkpoint" {
		t.Errorf("events %s", got)
	}
	if !strings.Contains(out.String(), `"test_accuracy":0.9712`) || !strings.Contains(out.String(), `"parameters":12345`) {
		t.Errorf("got %s", out.String())
	}
}

func TestBarShowsStepsAndEndsItself(t *testing.T) {
	var out bytes.Buffer
	b := NewBar(&out, Run{Data: "mnist", Recipe: "mine"})
	b.Hooks().Start(nil, start())
	step := &train.StepDone{Step: 400, Total: 1500, Epoch: 1, Loss: 0.5, Accuracy: 0.8, LR: 0.01, ImagesPerSecond: 20000, GFLOPS: 150.25, ETA: 65 * time.Second}
	b.Hooks().Step(nil, step)
	if got, want := b.right(), " loss 0.5000  acc 80.00%  lr 0.01  20,000 img/s  150.2 GFLOP/s  ETA 1m5s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := b.left(); got != "epoch 1/1.5 " {
		t.Errorf("got %q", got)
	}
	b.Hooks().Progress(nil, &train.EvalProgress{Epoch: 1, Done: 2500, Total: 10000})
	if got := b.right(); got != " testing 25%" {
		t.Errorf("got %q", got)
	}
	b.Hooks().Epoch(nil, epoch())
	b.Hooks().Finish(nil, &train.Result{Stopped: "after epoch 1: enough"})
	b.Close()
	if !strings.Contains(out.String(), "test accuracy  97.12%") || !strings.Contains(out.String(), "mine on mnist") ||
		!strings.Contains(out.String(), "stopped after epoch 1: enough") {
		t.Errorf("got %q", out.String())
	}
}

// A labelled bar is one of many trainings, whose results are told elsewhere.
func TestLabelledBarHasNoLines(t *testing.T) {
	var out bytes.Buffer
	b := NewBar(&out, Run{Data: "mnist", Recipe: "mine", Label: "trial 3/8"})
	b.Hooks().Start(nil, start())
	b.Hooks().Step(nil, &train.StepDone{Step: 400, Total: 1500, Epoch: 1})
	if got := b.left(); got != "trial 3/8, step 400/1500 " {
		t.Errorf("got %q", got)
	}
	b.Hooks().Epoch(nil, epoch())
	b.Hooks().Finish(nil, &train.Result{Stopped: "after epoch 1: enough"})
	b.Close()
	if strings.Contains(out.String(), "mine") || strings.Contains(out.String(), "accuracy") || strings.Contains(out.String(), "enough") {
		t.Errorf("got %q", out.String())
	}
}

func TestBarThatNeverBegan(t *testing.T) {
	b := NewBar(&bytes.Buffer{}, Run{})
	b.Close()
	b.Close()
}

func TestFallbacksAreToldOnce(t *testing.T) {
	var out bytes.Buffer
	l := NewLines(&out, Run{Data: "mnist", Recipe: "mine"})
	s := start()
	s.Device, s.Fallbacks = "cuda:0", []string{"activation mish", "gather"}
	l.Hooks().Start(nil, s)
	l.Hooks().Epoch(nil, epoch())
	const want = "\ncuda:0 has no code for: activation mish, gather; the host computes them in float64, which is slow\nepoch"
	if !strings.Contains(out.String(), want) {
		t.Errorf("got\n%swant in it%s", out.String(), want)
	}
}

// TestDroppedImagesAreToldOnce has a last batch that is left out by default.
func TestDroppedImagesAreToldOnce(t *testing.T) {
	for dropped, want := range map[int]string{1: "each epoch leaves out its last batch, of 1 image, because", 5: "each epoch leaves out its last batch, of 5 images, because"} {
		var out bytes.Buffer
		l := NewLines(&out, Run{Data: "mnist", Recipe: "mine"})
		s := start()
		s.Dropped = dropped
		l.Hooks().Start(nil, s)
		l.Hooks().Epoch(nil, epoch())
		l.Hooks().Epoch(nil, epoch())
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("got\n%swant in it, once, %s", out.String(), want)
		}
	}
}

// TestEpochs: the epochs that a number of steps makes are rarely a short number.
func TestEpochs(t *testing.T) {
	for n, want := range map[float64]string{1: "1 epoch", 0: "0 epochs", 1.5: "1.5 epochs", 100: "100 epochs", 188.0 / 938: "0.2 epochs", 46.875: "46.875 epochs"} {
		if got := Epochs(n); got != want {
			t.Errorf("%v: %q, want %q", n, got, want)
		}
	}
}
