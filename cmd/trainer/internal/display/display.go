// Package display shows training to a person, on a terminal or in a log, or to a program.
package display

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"trainer/nn/printable"
	"trainer/nn/train"
)

// Display shows a run. Close ends it: what is printed afterwards is not overwritten.
type Display interface {
	Hooks() train.Hooks
	Close()
}

// Run is what a display doesn't learn from events.
type Run struct {
	Data, Recipe string
	Number, Of   int  // of several runs
	Folds        bool // the runs are the folds of a cross-validation
	Seed         uint64
	Precision    string   // of the device, such as "fp16"
	OnePrecision bool     // the device has no other, so that a text need not name it
	Pictures     []string // lines about the picture files of a folder
	Label        string   // for a bar that has no lines above it; "" for one that has
}

// Quiet shows nothing.
type Quiet struct{}

// Hooks returns none.
func (Quiet) Hooks() train.Hooks { return train.Hooks{} }

// Close does nothing.
func (Quiet) Close() {}

// Lines prints one line per epoch, for logs.
type Lines struct {
	w   io.Writer
	run Run
}

// NewLines returns a display that prints to w.
func NewLines(w io.Writer, run Run) *Lines { return &Lines{w, run} }

// Hooks print the start, the end of every epoch, and why training stopped.
func (l *Lines) Hooks() train.Hooks {
	return train.Hooks{
		Start: func(_ *train.Training, s train.Start) { l.start(s) },
		Epoch: func(_ *train.Training, m train.EpochMetrics) { l.epoch(m) },
		Finish: func(_ *train.Training, r *train.Result) {
			if r.Stopped != "" {
				l.println(stoppedLine(r))
			}
		},
	}
}

func (l *Lines) start(s train.Start) {
	for _, line := range startLines(s, l.run) {
		l.println(line)
	}
}

// startLines are the lines about a training before its first step.
func startLines(s train.Start, run Run) []string {
	lines := append(slices.Clone(run.Pictures), startLine(s, run))
	if s.Dropped > 0 {
		lines = append(lines, DroppedLine(s.Summary))
	}
	if len(s.Fallbacks) > 0 {
		lines = append(lines, fallbackLine(s.Summary))
	}
	return lines
}

func (l *Lines) epoch(m train.EpochMetrics) { l.println(epochLine(m)) }

// println prints a line, which has names of data sets and recipes in it.
func (l *Lines) println(line string) { fmt.Fprintln(l.w, printable.Text(line)) }

// Close does nothing: every line is complete.
func (l *Lines) Close() {}

// startLine describes the training and its device.
func startLine(s train.Start, run Run) string {
	images := fmt.Sprintf("%s training and %s test images", humanize.Comma(int64(s.TrainImages)), humanize.Comma(int64(s.TestImages)))
	if s.ValImages > 0 {
		images = fmt.Sprintf("%s training, %s validation and %s test images",
			humanize.Comma(int64(s.TrainImages)), humanize.Comma(int64(s.ValImages)), humanize.Comma(int64(s.TestImages)))
	}
	line := fmt.Sprintf("%s on %s: %s parameters, %s per image (forward pass); %s; %s, %s steps; %s",
		run.Recipe, run.Data, humanize.Comma(int64(s.Params)), FLOPs(s.FLOPs), images,
		Epochs(s.Epochs), humanize.Comma(int64(s.Summary.Steps)), run.device(s.Summary))
	if s.Step > 0 {
		line += fmt.Sprintf("; continuing from step %d", s.Step)
	}
	if run.Of > 1 {
		what := "run"
		if run.Folds {
			what = "fold"
		}
		line = fmt.Sprintf("%s %d of %d, seed %d: %s", what, run.Number, run.Of, run.Seed, line)
	}
	return line
}

// DroppedLine says that the last batch of each epoch is left out by default.
func DroppedLine(s train.Summary) string {
	images := "1 image"
	if s.Dropped > 1 {
		images = fmt.Sprintf("%d images", s.Dropped)
	}
	return fmt.Sprintf("each epoch leaves out its last batch, of %s, because the network has batch normalisation (to choose: last-batch = \"keep\" or \"drop\" in the recipe)", images)
}

// fallbackLine says which operations the host computes instead of the device.
func fallbackLine(s train.Summary) string {
	return fmt.Sprintf("%s has no code for: %s; the host computes them in float64, which is slow", s.Device, strings.Join(s.Fallbacks, ", "))
}

// device names the device of a run.
func (r Run) device(s train.Summary) string {
	if r.OnePrecision {
		return Device(s, "")
	}
	return Device(s, r.Precision)
}

// Device names the device of a training, such as "cuda:0 (NVIDIA L4, fp16)". precision is "" for a device that has only
// one.
func Device(s train.Summary, precision string) string {
	if precision == "" {
		return fmt.Sprintf("%s (%s)", s.Device, s.Info.Description)
	}
	return fmt.Sprintf("%s (%s, %s)", s.Device, s.Info.Description, precision)
}

// epochLine returns an epoch's results. An emulated device has no speed.
func epochLine(m train.EpochMetrics) string {
	line := fmt.Sprintf("epoch %3d  loss %.4f  accuracy %6.2f%%", m.Epoch, m.TrainLoss, 100*m.TrainAccuracy)
	if m.ValCount > 0 {
		line += fmt.Sprintf("  val loss %.4f  val accuracy %6.2f%%", m.ValLoss, 100*m.ValAccuracy)
	}
	if m.Evaluated {
		line += fmt.Sprintf("  test loss %.4f  test accuracy %6.2f%%", m.TestLoss, 100*m.TestAccuracy)
	}
	line += fmt.Sprintf("  lr %.3g", m.LR)
	if m.ImagesPerSecond == 0 {
		return line
	}
	return line + fmt.Sprintf("  %s img/s  %.1fs", whole(m.ImagesPerSecond), m.Seconds)
}

// stoppedLine says why training ended early.
func stoppedLine(r *train.Result) string { return "stopped " + r.Stopped }

// FLOPs returns a number of floating-point operations as text.
func FLOPs(n int64) string { return humanize.SIWithDigits(float64(n), 1, "FLOP") }

// Epochs returns a number of epochs as text, with three decimals at most.
func Epochs(n float64) string {
	if n == 1 {
		return "1 epoch"
	}
	return humanize.FtoaWithDigits(n, 3) + " epochs"
}

// whole returns a number without its fraction, with commas.
func whole(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "?"
	}
	return humanize.Comma(int64(x))
}

// short returns a duration to the second.
func short(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	return d.Round(time.Second).String()
}

// JSON prints one object per line, for programs: events named start, epoch, checkpoint.
type JSON struct {
	enc *json.Encoder
	run Run
}

// NewJSON returns a display that prints to w.
func NewJSON(w io.Writer, run Run) *JSON { return &JSON{json.NewEncoder(w), run} }

// Hooks print the events.
func (j *JSON) Hooks() train.Hooks {
	return train.Hooks{
		Start:      func(_ *train.Training, s train.Start) { j.start(s) },
		Epoch:      func(_ *train.Training, m train.EpochMetrics) { j.epoch(m) },
		Checkpoint: func(_ *train.Training, c train.CheckpointWritten) { j.Checkpoint(c) },
	}
}

func (j *JSON) start(s train.Start) {
	j.print(struct {
		Event      string  `json:"event"`
		Device     string  `json:"device"`
		Precision  string  `json:"precision"`
		Data       string  `json:"data"`
		Recipe     string  `json:"recipe"`
		Seed       uint64  `json:"seed"`
		Parameters int     `json:"parameters"`
		FLOPs      int64   `json:"flops"` // of the forward pass of one image
		Memory     int64   `json:"memory_bytes"`
		Epochs     float64 `json:"epochs"`
		Steps      int     `json:"steps"`
		Step       int     `json:"step"`
		Dropped    int     `json:"dropped_images,omitempty"` // of each epoch's last batch
	}{"start", s.Device, j.run.Precision, j.run.Data, j.run.Recipe, j.run.Seed, s.Params, s.FLOPs, s.Memory, s.Epochs, s.Summary.Steps, s.Step, s.Dropped})
}

func (j *JSON) epoch(m train.EpochMetrics) {
	j.print(struct {
		Event string `json:"event"`
		train.EpochMetrics
	}{"epoch", m})
}

// Checkpoint prints the event of a checkpoint, for one of which hooks are not told.
func (j *JSON) Checkpoint(c train.CheckpointWritten) {
	j.print(struct {
		Event string `json:"event"`
		Path  string `json:"path"`
		Step  int    `json:"step"`
	}{"checkpoint", c.Path, c.Step})
}

// print writes a value as a line. A closed pipe must not end training.
func (j *JSON) print(v any) { _ = j.enc.Encode(v) }

// Close does nothing: every line is complete.
func (j *JSON) Close() {}
