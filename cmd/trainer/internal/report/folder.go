// Package report writes the results of a run to its folder: the effective configuration, one line of metrics per epoch, a
// summary and the weights.
package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"trainer/nn/train"
)

// The files of a run's folder.
const (
	ConfigFile     = "config.toml"            // the recipe with all changes, and the settings of the run
	MetricsFile    = "metrics.jsonl"          // one object per epoch
	SummaryFile    = "summary.json"           // a Summary, or a Runs
	CheckpointFile = "checkpoint.safetensors" // for resuming
	SkippedFile    = "skipped.txt"            // the pictures that could not be read, if there are any, with the reasons
)

// Folder is the folder of one run.
type Folder struct {
	path    string
	metrics *os.File
	fresh   bool   // for a new run
	parent  string // folder that was made to hold this one, or ""
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
			f, err := open(candidate, true)
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

// Create makes the folder, or uses an existing one that holds no run.
func Create(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("making the output folder: %w", err)
	}
	for _, name := range []string{MetricsFile, SummaryFile, ConfigFile} {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			return nil, fmt.Errorf("output folder %s: %w (%s)", path, ErrHoldsRun, name)
		}
	}
	return open(path, true)
}

// Continue opens the folder of a stopped run, to add to it.
func Continue(path string) (*Folder, error) { return open(path, false) }

// open opens the metrics file, which fails at once if the folder is not writable.
func open(path string, fresh bool) (*Folder, error) {
	flag := 0
	if fresh {
		flag = os.O_EXCL
	}
	metrics, err := os.OpenFile(filepath.Join(path, MetricsFile), os.O_CREATE|os.O_RDWR|flag, 0o644)
	if err != nil {
		return nil, fmt.Errorf("output folder: %w", err)
	}
	return &Folder{path: path, metrics: metrics, fresh: fresh}, nil
}

// Rewind drops the lines of metrics after a step, and an incomplete line: the run continues from that step, and writes
// them again.
func (f *Folder) Rewind(step int) error {
	text, err := os.ReadFile(f.metrics.Name())
	if err != nil {
		return fmt.Errorf("reading metrics: %w", err)
	}
	var kept int64
	for line := range bytes.Lines(text) {
		var m train.EpochMetrics
		if json.Unmarshal(line, &m) != nil || !bytes.HasSuffix(line, []byte("\n")) || m.Step > step {
			break
		}
		kept += int64(len(line))
	}
	if err := f.metrics.Truncate(kept); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	if _, err := f.metrics.Seek(kept, io.SeekStart); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}

// Sub makes a folder in the folder, for one of several runs.
func (f *Folder) Sub(name string) (*Folder, error) { return Create(f.File(name)) }

// Path returns the folder's path.
func (f *Folder) Path() string { return f.path }

// File returns the path of a file in the folder.
func (f *Folder) File(name string) string { return filepath.Join(f.path, name) }

// AddMetrics appends one line to the metrics.
func (f *Folder) AddMetrics(m train.EpochMetrics) error {
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	if _, err := f.metrics.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}

// WriteConfig writes the effective configuration.
func (f *Folder) WriteConfig(toml []byte) error { return writeFile(f.File(ConfigFile), toml) }

// WriteSkipped writes the pictures that could not be read, one per line. There is no file if there are none.
func (f *Folder) WriteSkipped(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	return writeFile(f.File(SkippedFile), []byte(strings.Join(lines, "\n")+"\n"))
}

// WriteSummary writes the summary.
func (f *Folder) WriteSummary(s any) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", SummaryFile, err)
	}
	return writeFile(f.File(SummaryFile), append(text, '\n'))
}

// Discard removes what a new run wrote before it failed to begin, and the folder if nothing else is in it. It leaves the
// folder of a resumed run as it is.
func (f *Folder) Discard() {
	if !f.fresh {
		return
	}
	f.Close()
	// A file that can't be removed stays: the caller reports the error that matters.
	_ = os.Remove(f.File(MetricsFile))
	_ = os.Remove(f.File(ConfigFile))
	_ = os.Remove(f.File(SkippedFile))
	_ = os.Remove(f.path)
	if f.parent != "" {
		_ = os.Remove(f.parent)
	}
}

// Close closes the metrics.
func (f *Folder) Close() error { return f.metrics.Close() }

// writeFile replaces a file completely or not at all.
func writeFile(path string, content []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
