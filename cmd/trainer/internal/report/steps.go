package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"trainer/nn/train"
)

// steps.jsonl has one line for every few steps. A resumed run drops the lines after its checkpoint and writes them again.

// AddSteps appends one line to the steps. After the first lines it allocates nothing, and it seldom writes to the disk.
func (f *Folder) AddSteps(m *train.StepMetrics) error {
	f.lines = appendSteps(f.lines, m)
	if len(f.lines) < maxLines {
		return nil
	}
	return f.flushSteps()
}

// maxLines is the number of bytes that are kept back.
const maxLines = 1 << 14

// appendSteps appends the line, which is JSON. Package json would allocate.
func appendSteps(b []byte, m *train.StepMetrics) []byte {
	b = strconv.AppendInt(append(b, `{"step":`...), int64(m.Step), 10)
	for _, field := range [...]struct {
		key   string
		value float64
	}{
		{`,"epoch":`, m.Epoch}, {`,"train_loss":`, m.TrainLoss}, {`,"train_accuracy":`, m.TrainAccuracy}, {`,"learning_rate":`, m.LR},
	} {
		b = strconv.AppendFloat(append(b, field.key...), field.value, 'g', -1, 64)
	}
	return append(b, '}', '\n')
}

// flushSteps writes the lines that are kept back.
func (f *Folder) flushSteps() error {
	if len(f.lines) == 0 {
		return nil
	}
	err := f.openSteps()
	if err == nil {
		_, err = f.steps.Write(f.lines)
		f.lines = f.lines[:0]
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", StepsFile, err)
	}
	return nil
}

// SyncLines writes the lines of metrics and steps that are kept back, and returns a function that waits until all of them
// are on the disk. Another goroutine may call it while further lines are added.
func (f *Folder) SyncLines() func() error {
	err := f.flushSteps()
	metrics, steps := f.metrics, f.steps
	return func() error {
		if err != nil {
			return err
		}
		return errors.Join(syncFile(metrics, MetricsFile), syncFile(steps, StepsFile))
	}
}

// syncFile waits until a file is on the disk, if it is open.
func syncFile(f *os.File, name string) error {
	if f == nil {
		return nil
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// RestoreSteps drops the lines after a step, and what follows a broken line.
func (f *Folder) RestoreSteps(step int) error {
	if !f.Has(StepsFile) {
		return nil
	}
	err := f.openSteps()
	if err == nil {
		_, err = f.steps.Seek(0, io.SeekStart)
	}
	var text []byte
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(f.steps, maxMetrics))
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", StepsFile, err)
	}
	kept := int64(0)
	for line := range bytes.Lines(text) {
		var m train.StepMetrics
		if !bytes.HasSuffix(line, []byte("\n")) || json.Unmarshal(line, &m) != nil || m.Step > step {
			break
		}
		kept += int64(len(line))
	}
	if err = f.steps.Truncate(kept); err == nil {
		_, err = f.steps.Seek(kept, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", StepsFile, err)
	}
	return nil
}

func (f *Folder) openSteps() (err error) {
	if f.steps == nil {
		f.steps, err = f.openEnd(StepsFile)
	}
	return err
}
