package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"trainer/nn/folder"
)

// The files of a search for settings: what is searched, and the results so far. They are replaced as a whole, so that a
// search that was killed has the results of a moment.

// Search is tune.json: what trainer tune needs besides the configuration to go on.
type Search struct {
	Trials    int      `json:"trials"`
	Strategy  string   `json:"strategy"`
	Eta       int      `json:"eta"`
	MinEpochs float64  `json:"min_epochs"` // of the first rung
	Space     []string `json:"space"`      // assignments as they were given
	Arguments []string `json:"arguments"`  // of trainer, for a training without the searched settings
}

// Trial is a line of trials.jsonl: the result of a trial at the end of a rung.
type Trial struct {
	Number   int               `json:"trial"` // from 1
	Rung     int               `json:"rung"`  // from 1
	Settings map[string]string `json:"settings"`
	State    string            `json:"state"`
	Problem  string            `json:"problem,omitempty"`

	Epochs      float64 `json:"epochs"` // done
	ValAccuracy Number  `json:"val_accuracy"`
	ValCorrect  int     `json:"val_correct"`
	ValCount    int     `json:"val_count"`
	ValLoss     Number  `json:"val_loss"`
	Seconds     float64 `json:"seconds"`          // of training, in all rungs
	Folder      string  `json:"folder,omitempty"` // of its run; "" if training didn't begin
}

// The limits of a search's files, which may come from a stranger.
const (
	maxSearch = 1 << 20
	maxTrials = 64 << 20
)

// WriteSearch writes tune.json.
func (f *Folder) WriteSearch(s *Search) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", SearchFile, err)
	}
	return f.Write(SearchFile, append(text, '\n'))
}

// ReadSearch reads tune.json.
func ReadSearch(dir *folder.Folder) (*Search, error) {
	text, err := dir.Read(SearchFile, maxSearch)
	if err != nil {
		return nil, err
	}
	var s Search
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", dir.File(SearchFile), err)
	}
	return &s, nil
}

// WriteTrials writes trials.jsonl.
func (f *Folder) WriteTrials(all []Trial) error {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for _, t := range all {
		if err := lines.Encode(t); err != nil {
			return fmt.Errorf("writing %s: %w", TrialsFile, err)
		}
	}
	return f.Write(TrialsFile, b.Bytes())
}

// ReadTrials reads trials.jsonl; there are none if it is missing.
func ReadTrials(dir *folder.Folder) ([]Trial, error) {
	text, err := dir.Read(TrialsFile, maxTrials)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Trial
	for line := range bytes.Lines(text) {
		var t Trial
		if err := json.Unmarshal(line, &t); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", dir.File(TrialsFile), len(all)+1, err)
		}
		all = append(all, t)
	}
	return all, nil
}
