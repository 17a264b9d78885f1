// Package report writes the results of a run to its folder: the effective configuration, one line of metrics per epoch, a
// summary and the weights. A folder is locked while a run writes to it, and may come from a stranger: see package
// nn/folder.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"trainer/nn/folder"
	"trainer/nn/model"
)

// The files of a run's folder.
const (
	ConfigFile     = "config.toml"            // the recipe with all changes, and the settings of the run
	MetricsFile    = "metrics.jsonl"          // one object per epoch
	StepsFile      = "steps.jsonl"            // one object for every few steps
	HistogramsFile = "histograms.json"        // of weights, gradients and activations, after the first epoch and the last, if a page followed
	SummaryFile    = "summary.json"           // a Summary, or a Runs
	CheckpointFile = "checkpoint.safetensors" // for resuming
	SkippedFile    = "skipped.txt"            // the pictures that could not be read, if there are any, with the reasons
	AnswersFile    = "predictions.csv"        // the answer to each test image, the worst mistakes first
	DataFile       = "data.json"              // the fingerprint of the data: a data.Fingerprint
)

// The files of a range test's folder.
const (
	RatesFile       = "lr.json" // the rates with their losses, and the suggested one
	RatesFigureFile = "lr.png"
)

// The files of a search's folder, beside those of several runs. Each trial has the folder of a run in it.
const (
	SearchFile       = "tune.json"    // a Search
	TrialsFile       = "trials.jsonl" // a Trial for each rung that a trial has done
	SearchFigureFile = "tune.png"
	BestRecipeFile   = "best.toml" // the recipe with the settings of the best trial
)

// allFiles are the files that a run writes; resultFiles those that are never overwritten by another run.
func allFiles() []string {
	return append(resultFiles(), SkippedFile, DataFile, AnswersFile, HistogramsFile)
}

func resultFiles() []string {
	return append([]string{MetricsFile, StepsFile, SummaryFile, ConfigFile, CheckpointFile, model.BestName, RatesFile, RatesFigureFile, SearchFile, TrialsFile, SearchFigureFile, BestRecipeFile}, model.Files()...)
}

// Folder is the locked folder of one run, or of several runs that differ in the seed.
type Folder struct {
	*folder.Folder
	unlock  func() error
	metrics *os.File // nil before the first line
	steps   *os.File // nil before lines are written
	lines   []byte   // of steps, not yet written
	fresh   bool     // for a new run
	parent  string   // folder that was made to hold this one, or ""
}

// DefaultPath is the folder of a run without -out: runs/<date>-<data>-<recipe>. data and recipe may be paths.
func DefaultPath(now time.Time, data, recipe string) string {
	return filepath.Join("runs", now.Format("2006-01-02")+"-"+slug(data)+"-"+slug(recipe))
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9._]+`)

// slug makes a part of a folder's name from a name or a path.
func slug(name string) string {
	name = strings.TrimSuffix(filepath.Base(filepath.Clean(name)), ".toml")
	name = strings.Trim(notInNames.ReplaceAllString(name, "-"), "-.")
	if name == "" {
		return "data"
	}
	return name
}

// Unused makes a new folder: path, or path-2, path-3 and so on if that exists.
func Unused(path string) (*Folder, error) {
	parent := filepath.Dir(path)
	if _, err := os.Stat(parent); err == nil {
		parent = ""
	} else if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("making the output folder: %w", err)
	}
	for i := 1; ; i++ {
		candidate := path
		if i > 1 {
			candidate = fmt.Sprintf("%s-%d", path, i)
		}
		err := os.Mkdir(candidate, 0o755)
		if err == nil {
			f, err := Create(candidate)
			if f != nil {
				f.parent = parent
			}
			return f, err
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("making the output folder: %w", err)
		}
	}
}

// ErrHoldsRun is a folder with the results of another run, which are never overwritten.
var ErrHoldsRun = errors.New("it already holds a run")

// ErrInUse is a folder that another process is writing to.
var ErrInUse = folder.ErrLocked

// Create makes the folder, or uses an existing one that holds no run.
func Create(path string) (*Folder, error) {
	dir, err := folder.Make(path)
	if err != nil {
		return nil, fmt.Errorf("making the output folder: %w", err)
	}
	f, err := lock(dir, func() error {
		for _, name := range resultFiles() {
			if dir.Has(name) {
				return fmt.Errorf("output folder %s: %w (%s)", path, ErrHoldsRun, name)
			}
		}
		return nil
	})
	if f != nil {
		f.fresh = true
	}
	return f, err
}

// Continue opens the folder of a stopped run, to add to it.
func Continue(path string) (*Folder, error) {
	dir, err := folder.Open(path)
	if err != nil {
		return nil, err
	}
	return lock(dir, func() error { return nil })
}

// lock locks the folder and removes the temporary files of runs that were killed. check is called before, so that a folder
// that is refused stays as it is, and again when no other process can change the folder.
func lock(dir *folder.Folder, check func() error) (*Folder, error) {
	if err := check(); err != nil {
		_ = dir.Close()
		return nil, err
	}
	unlock, err := dir.Lock()
	if err != nil {
		_ = dir.Close()
		return nil, fmt.Errorf("output folder %w", err)
	}
	f := &Folder{Folder: dir, unlock: unlock}
	err = check()
	if err == nil {
		err = dir.RemovePartial(allFiles()...)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Sub makes a folder in the folder, for one of several runs, or opens it if a killed process left it.
func (f *Folder) Sub(name string) (*Folder, error) {
	if f.fresh || !f.Has(name) {
		return Create(f.File(name))
	}
	return f.ContinueSub(name)
}

// ContinueSub opens a folder in the folder, to add to its run.
func (f *Folder) ContinueSub(name string) (*Folder, error) {
	// Links are not followed out of the folder: the sub-folder must be where it seems to be.
	root, err := f.Root().OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.File(name), err)
	}
	_ = root.Close()
	return Continue(f.File(name))
}

// Fresh reports whether the folder is that of a new run.
func (f *Folder) Fresh() bool { return f.fresh }

// WriteConfig writes the effective configuration.
func (f *Folder) WriteConfig(toml []byte) error { return f.Write(ConfigFile, toml) }

// WriteSkipped writes the pictures that could not be read, one per line. There is no file if there are none.
func (f *Folder) WriteSkipped(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	return f.Write(SkippedFile, []byte(strings.Join(lines, "\n")+"\n"))
}

// WriteSummary writes the summary: a Summary or a Runs.
func (f *Folder) WriteSummary(s any) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", SummaryFile, err)
	}
	return f.Write(SummaryFile, append(text, '\n'))
}

// Discard removes what a new run wrote before it failed to begin, and the folder if nothing else is in it. It leaves the
// folder of a resumed run as it is.
func (f *Folder) Discard() {
	if !f.fresh {
		return
	}
	// A file that can't be removed stays: the caller reports the error that matters.
	f.Close()
	for _, name := range append(allFiles(), folder.LockFile) {
		_ = os.Remove(f.File(name))
	}
	_ = os.Remove(f.Path())
	if f.parent != "" {
		_ = os.Remove(f.parent)
	}
}

// Close closes the metrics and unlocks the folder. It may be called twice.
func (f *Folder) Close() {
	if f.metrics != nil {
		// What a failure loses, a resumed run restores from its checkpoint.
		_ = f.metrics.Sync()
		_ = f.metrics.Close()
		f.metrics = nil
	}
	_ = f.flushSteps() // the lines matter less than the error that ended the run
	if f.steps != nil {
		_ = f.steps.Close()
		f.steps = nil
	}
	if f.unlock != nil {
		_ = f.unlock()
		_ = f.Folder.Close()
		f.unlock = nil
	}
}
