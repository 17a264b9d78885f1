package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"trainer/nn/data"
	"trainer/nn/folder"
	"trainer/nn/model"
)

// The largest files that are read from a folder that may come from a stranger.
const (
	maxConfig  = 1 << 20
	maxSummary = 16 << 20
	maxData    = 1 << 30
)

// WriteData writes the fingerprint of the data.
func (f *Folder) WriteData(print *data.Fingerprint) error {
	text, err := json.Marshal(print)
	if err != nil {
		return fmt.Errorf("writing %s: %w", DataFile, err)
	}
	return f.Write(DataFile, append(text, '\n'))
}

// ReadData returns the fingerprint of a run's data, or nil if the folder has none, as those of older versions.
func ReadData(dir *folder.Folder) (*data.Fingerprint, error) {
	text, err := dir.Read(DataFile, maxData)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var print data.Fingerprint
	if err := json.Unmarshal(text, &print); err != nil {
		return nil, fmt.Errorf("%s: %w", dir.File(DataFile), err)
	}
	return &print, nil
}

// ReadConfig returns the text of a run's configuration.
func ReadConfig(dir *folder.Folder) ([]byte, error) { return dir.Read(ConfigFile, maxConfig) }

// ReadComplete returns the summary of a run that has come to its end, or nil for any other.
func (f *Folder) ReadComplete() *Summary {
	text, err := f.Read(SummaryFile, maxSummary)
	var s Summary
	if err != nil || json.Unmarshal(text, &s) != nil || !s.Complete || !f.Has(model.FileName) {
		return nil
	}
	return &s
}
