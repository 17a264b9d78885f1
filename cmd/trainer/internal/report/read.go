package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"trainer/nn/folder"
	"trainer/nn/train"
)

// Reading what runs left, for trainer runs and trainer compare. The folder may come from a stranger, or be half-written.

// maxEpochs bounds the lines of metrics.jsonl that are read.
const maxEpochs = 100_000

// ReadSummary returns the summary of a run, or of several, whose Runs are empty for one. It is nil if there is none yet.
func ReadSummary(dir *folder.Folder) (*Runs, error) {
	text, err := dir.Read(SummaryFile, maxSummary)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var s Runs
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", dir.File(SummaryFile), err)
	}
	if !bytes.Contains(text, []byte(`"complete"`)) { // an older version, which wrote a summary only at the end
		s.Complete = !s.Interrupted
		for k := range s.Runs {
			s.Runs[k].Complete = !s.Runs[k].Interrupted
		}
	}
	return &s, nil
}

// ReadMetrics returns a run's epochs, which are none if it has no metrics yet. A last line that was not written to its end
// is left out.
func ReadMetrics(dir *folder.Folder) ([]train.EpochMetrics, error) {
	file, err := dir.Open(MetricsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var epochs []train.EpochMetrics
	lines := bufio.NewReader(io.LimitReader(file, maxMetrics))
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return epochs, nil
		}
		var m train.EpochMetrics
		if err == nil {
			err = json.Unmarshal(line, &m)
		}
		if err == nil && len(epochs) == maxEpochs {
			err = fmt.Errorf("more than %d epochs", maxEpochs)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", dir.File(MetricsFile), len(epochs)+1, err)
		}
		epochs = append(epochs, m)
	}
}
