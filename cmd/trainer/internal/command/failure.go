package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"

	"trainer/nn/device"
	"trainer/nn/ranks"
	"trainer/nn/train"
)

// Messages about a device that fails or runs out of memory, before or during training: one line, with what to do. And
// advice if training diverged in a 16-bit precision.

// trainingError is an error of training, worded for the command line.
type trainingError struct {
	text string
	err  error
}

func (e *trainingError) Error() string { return e.text }

// Unwrap returns the error that training returned.
func (e *trainingError) Unwrap() error { return e.err }

// explainStart words an error from before the first step.
func (j *job) explainStart(err error, cfg train.Config) error {
	if c, ok := errors.AsType[*train.ConfigError](err); ok && c.Setting == "batch" && cfg.Batch > cfg.Data.Train.Len() {
		return &trainingError{fmt.Sprintf("%s, as in -batch %d", oneLine(err), cfg.Data.Train.Len()), err}
	}
	if !errors.Is(err, device.ErrOutOfMemory) {
		if remedy := j.kindOf(j.dev).Remedy(err); remedy != "" {
			return &trainingError{oneLine(err) + "; " + remedy, err}
		}
		return err
	}
	text := fmt.Sprintf("out of device memory on %s for batch %d: %s; ", j.dev.Name(), cfg.Batch, memoryText(err))
	if j.resume != "" { // a run can't change its batch
		return &trainingError{text + j.kindOf(j.dev).Remedy(err), err}
	}
	switch fits := train.FittingBatch(cfg); fits {
	case 0:
		text += "not even batch 1 would fit: " + j.kindOf(j.dev).Remedy(err)
	case cfg.Batch:
		text += "it would fit now: try again"
	default:
		text += fmt.Sprintf("batch %d would fit: pass -batch %d", fits, fits)
	}
	return &trainingError{text, err}
}

// memoryText says how much memory was needed and how much was free, if the error has the numbers.
func memoryText(err error) string {
	if m, ok := errors.AsType[*device.MemoryError](err); ok {
		return fmt.Sprintf("%s needed, %s free", humanize.IBytes(uint64(max(0, m.Wanted))), humanize.IBytes(uint64(max(0, m.Free))))
	}
	return oneLine(err)
}

// explainFailure words an error of a training that had begun. saved is the step of its checkpoint, negative if it has none.
func (j *job) explainFailure(err error, saved int) error {
	if isA[*train.DivergedError](err) {
		return j.explainDivergence(err)
	}
	other, ofRank := errors.AsType[*ranks.RankError](err)
	if !isA[*device.Error](err) && !ofRank {
		return err
	}
	text := oneLine(err)
	if ofRank { // it is another rank's, whatever it has done to this one's device
		text = oneLine(other)
	}
	if isA[*device.MemoryError](err) {
		text = fmt.Sprintf("out of device memory on %s: %s", j.dev.Name(), memoryText(err))
	}
	if remedy := j.kindOf(j.dev).Remedy(err); remedy != "" {
		text += "; " + remedy
	}
	if saved < 0 {
		return &trainingError{text + "; there is no checkpoint yet to resume from", err}
	}
	return &trainingError{fmt.Sprintf("%s; to continue from step %d: %s", text, saved, j.continuation()), err}
}

// explainDivergence adds advice about float16, whose largest number is 65504.
func (j *job) explainDivergence(err error) error {
	if device.PrecisionOf(j.dev) == device.FP16 {
		return &trainingError{oneLine(err) + ", or a precision with a larger range: -precision bf16 or fp32", err}
	}
	return err
}

// oneLine returns the text of an error in one line.
func oneLine(err error) string {
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
}
