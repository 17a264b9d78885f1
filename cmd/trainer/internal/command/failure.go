package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"

	"trainer/gpu"
	"trainer/nn/device"
	"trainer/nn/train"
)

// What a person reads when a device fails, or its memory ends, before training or in the midst of it: one line, with
// the way on. And what may help where 16-bit numbers were too small for a training.

// trainingError is an error of training in words of the command line.
type trainingError struct {
	text string
	err  error
}

func (e *trainingError) Error() string { return e.text }

// Unwrap returns what training returned.
func (e *trainingError) Unwrap() error { return e.err }

// explainStart puts an error from before the first step in words.
func (j *job) explainStart(err error, cfg train.Config) error {
	if !errors.Is(err, device.ErrOutOfMemory) {
		if remedy := gpu.Remedy(err); remedy != "" {
			return &trainingError{oneLine(err) + "; " + remedy, err}
		}
		return err
	}
	text := fmt.Sprintf("out of device memory on %s for batch %d: %s; ", j.dev.Name(), cfg.Batch, memoryText(err))
	if j.resume != "" { // the batch of a run can't change
		return &trainingError{text + gpu.Remedy(err), err}
	}
	switch fits := train.FittingBatch(cfg); fits {
	case 0:
		text += "not even batch 1 would fit: " + gpu.Remedy(err)
	case cfg.Batch:
		text += "by now it would fit: try again"
	default:
		text += fmt.Sprintf("batch %d would fit: -batch %d", fits, fits)
	}
	return &trainingError{text, err}
}

// memoryText says how much memory was wanted and how much there was, if the error knows.
func memoryText(err error) string {
	if m, ok := errors.AsType[*device.MemoryError](err); ok {
		return fmt.Sprintf("%s wanted, %s free", humanize.IBytes(uint64(max(0, m.Wanted))), humanize.IBytes(uint64(max(0, m.Free))))
	}
	return oneLine(err)
}

// explainFailure puts an error of a training that had begun in words. folder is the run's, saved the step of its
// checkpoint, below 0 if it has none.
func (j *job) explainFailure(err error, folder string, saved int) error {
	if isA[*train.DivergedError](err) {
		return j.explainDivergence(err)
	}
	if !isA[*device.Error](err) {
		return err
	}
	text := oneLine(err)
	if isA[*device.MemoryError](err) {
		text = fmt.Sprintf("out of device memory on %s: %s", j.dev.Name(), memoryText(err))
	}
	if remedy := gpu.Remedy(err); remedy != "" {
		text += "; " + remedy
	}
	if saved < 0 {
		return &trainingError{text + "; there is no checkpoint yet to go on from", err}
	}
	return &trainingError{fmt.Sprintf("%s; trainer -resume %s goes on after step %d", text, folder, saved), err}
}

// explainDivergence adds what else may help in float16, whose largest number is 65504.
func (j *job) explainDivergence(err error) error {
	if p, ok := gpu.PrecisionOf(j.dev); ok && p == gpu.FP16 {
		return &trainingError{oneLine(err) + ", or a wider range of numbers: try -precision bf16, or fp32", err}
	}
	return err
}

// oneLine returns an error's text in one line.
func oneLine(err error) string {
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
}
