package display

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"trainer/nn/printable"
	"trainer/nn/train"
)

// refresh is the time between two frames of the bar.
const refresh = 120 * time.Millisecond

// The widths of the bar's line, in letters. It is no longer than lineWidth in a wide window either, so that the line
// doesn't break when the window is made smaller: the next frame could not remove the second half.
const (
	lineWidth = 80
	barWidth  = 24 // the bar itself, if there is room
	minBar    = 10
)

// Bar is a live progress bar for a terminal, with one line per epoch above it.
type Bar struct {
	run      Run
	progress *mpb.Progress
	bar      *mpb.Bar
	epochs   float64
	steps    int
	drawn    time.Time

	mu      sync.Mutex // another goroutine draws the bar
	step    train.StepDone
	testing train.EvalProgress // Total is 0 while training
}

// NewBar returns a bar on the terminal w.
func NewBar(w io.Writer, run Run) *Bar {
	return &Bar{run: run, progress: mpb.New(mpb.WithOutput(w), mpb.WithRefreshRate(refresh), mpb.WithAutoRefresh(), mpb.WithWidth(barWidth))}
}

// Hooks move the bar.
func (b *Bar) Hooks() train.Hooks {
	return train.Hooks{
		Start:    func(_ *train.Training, s train.Start) { b.start(s) },
		Step:     func(_ *train.Training, s *train.StepDone) { b.moveTo(s) },
		Progress: func(_ *train.Training, p *train.EvalProgress) { b.set(b.step, *p) },
		Epoch: func(_ *train.Training, m train.EpochMetrics) {
			if b.run.Label == "" {
				b.println(epochLine(m))
			}
		},
		Finish: func(_ *train.Training, r *train.Result) { b.finish(r) },
	}
}

// moveTo moves the bar to a step. It ends with finish, not with the last step: a test may follow.
func (b *Bar) moveTo(s *train.StepDone) {
	b.set(*s, train.EvalProgress{})
	if b.bar != nil && (s.Step == s.Total || time.Since(b.drawn) > refresh) {
		b.drawn = time.Now()
		b.bar.SetCurrent(int64(min(s.Step, s.Total-1)))
	}
}

func (b *Bar) finish(r *train.Result) {
	if r.Stopped != "" && b.run.Label == "" {
		b.println(stoppedLine(r))
	}
	b.Close()
}

func (b *Bar) start(s train.Start) {
	b.epochs, b.steps = s.Epochs, s.Summary.Steps
	if b.run.Label == "" {
		b.describe(s)
	}
	bar, err := b.progress.Add(int64(max(s.Summary.Steps, 1)), mpb.BarStyle().Build(),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return b.left() })),
		mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string { return fit(b.right(), roomFor(s.AvailableWidth, b.left())) })),
	)
	if err != nil { // the terminal has gone
		return
	}
	b.bar = bar
	b.bar.SetCurrent(int64(min(s.Step, s.Summary.Steps-1)))
}

// describe prints the lines above the bar.
func (b *Bar) describe(s train.Start) {
	for _, line := range startLines(s, b.run) {
		b.println(line)
	}
}

// println prints a line above the bar, which has names of data sets and recipes in it.
func (b *Bar) println(line string) { fmt.Fprintln(b.progress, printable.Text(line)) }

func (b *Bar) set(step train.StepDone, testing train.EvalProgress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.step, b.testing = step, testing
}

// left is the text before the bar.
func (b *Bar) left() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.run.Label != "" {
		return fmt.Sprintf("%s, step %d/%d ", b.run.Label, b.step.Step, b.steps)
	}
	return fmt.Sprintf("epoch %d/%g ", max(b.step.Epoch, 1), b.epochs)
}

// right is the text after the bar.
func (b *Bar) right() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.testing.Total > 0 {
		return fmt.Sprintf(" testing %d%%", 100*b.testing.Done/b.testing.Total)
	}
	s := b.step
	if s.Step == 0 {
		return ""
	}
	text := fmt.Sprintf(" loss %.4f  acc %.2f%%  lr %.3g", s.Loss, 100*s.Accuracy, s.LR)
	if s.ImagesPerSecond == 0 {
		return text
	}
	return text + fmt.Sprintf("  %s img/s  %.1f GFLOP/s  ETA %s", whole(s.ImagesPerSecond), s.GFLOPS, short(s.ETA))
}

// roomFor returns the letters that the text after the bar may have. available is what the text before it has left of the
// window's width, which is asked for each frame.
func roomFor(available int, before string) int {
	const spaces = 2 // round the bar
	return min(available, lineWidth-utf8.RuneCountInString(before)) - spaces - minBar
}

// fit leaves out fields of a text, the least important first, until it has at most room letters.
func fit(text string, room int) string {
	const between = "  "
	for _, field := range []string{" GFLOP/s", "lr ", " img/s", "acc ", "loss ", "ETA "} {
		if utf8.RuneCountInString(text) <= room {
			break
		}
		fields := slices.DeleteFunc(strings.Split(strings.TrimPrefix(text, " "), between), func(f string) bool {
			return strings.HasPrefix(f, field) || strings.HasSuffix(f, field)
		})
		text = strings.TrimRight(" "+strings.Join(fields, between), " ")
	}
	return text
}

// Close removes the bar and waits until the terminal is free. It may be called twice.
func (b *Bar) Close() {
	if b.bar != nil {
		b.bar.Abort(true)
	}
	b.progress.Wait()
}
