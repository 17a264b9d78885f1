package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"trainer/nn/train"
)

// metrics.jsonl has one line per epoch. A line may be lost when the machine stops, because only checkpoints make sure that
// the lines before them are on the disk; but a checkpoint has all epochs before it, so that a resumed run restores them.

// maxMetrics is the largest metrics.jsonl that is read: beyond it, something else is wrong.
const maxMetrics = 1 << 30

// AddMetrics appends one line to the metrics.
func (f *Folder) AddMetrics(m train.EpochMetrics) error {
	line, err := encodeMetrics(m)
	if err == nil {
		err = f.openMetrics()
	}
	if err == nil {
		_, err = f.metrics.Write(line)
	}
	if err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}

// RestoreMetrics makes the metrics those of the epochs before a checkpoint: it drops later lines, which the resumed run
// will write again, and writes those that are missing or broken.
func (f *Folder) RestoreMetrics(history []train.EpochMetrics) error {
	if err := f.openMetrics(); err != nil {
		return fmt.Errorf("reading metrics: %w", err)
	}
	if _, err := f.metrics.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading metrics: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f.metrics, maxMetrics))
	if err != nil {
		return fmt.Errorf("reading metrics: %w", err)
	}
	kept, lines := good(text, history)
	for _, m := range history[lines:] {
		line, err := encodeMetrics(m)
		if err != nil {
			return fmt.Errorf("writing metrics: %w", err)
		}
		kept = append(kept, line...)
	}
	return f.rewrite(kept, text)
}

// good returns the lines at the beginning of text that belong to the history's epochs, and their number.
func good(text []byte, history []train.EpochMetrics) (kept []byte, lines int) {
	for line := range bytes.Lines(text) {
		var m train.EpochMetrics
		if lines == len(history) || !bytes.HasSuffix(line, []byte("\n")) || json.Unmarshal(line, &m) != nil ||
			m.Epoch != history[lines].Epoch || m.Step != history[lines].Step {
			break
		}
		kept = append(kept, line...)
		lines++
	}
	return kept, lines
}

// rewrite makes the metrics kept, where they were text, from the first byte that differs. A crash in between loses nothing
// that the checkpoint doesn't have.
func (f *Folder) rewrite(kept, text []byte) error {
	same := int64(0)
	for same < int64(min(len(kept), len(text))) && kept[same] == text[same] {
		same++
	}
	err := f.metrics.Truncate(same)
	if err == nil {
		_, err = f.metrics.Seek(same, io.SeekStart)
	}
	if err == nil {
		_, err = f.metrics.Write(kept[same:])
	}
	if err == nil {
		err = f.metrics.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}

func (f *Folder) openMetrics() error {
	if f.metrics != nil {
		return nil
	}
	metrics, err := f.openEnd(MetricsFile)
	if err != nil {
		return err
	}
	f.metrics = metrics
	return nil
}

// openEnd opens a file to append to it.
func (f *Folder) openEnd(name string) (*os.File, error) {
	file, err := f.Update(name)
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// encodeMetrics returns a line.
func encodeMetrics(m train.EpochMetrics) ([]byte, error) {
	line, err := json.Marshal(m)
	return append(line, '\n'), err
}
