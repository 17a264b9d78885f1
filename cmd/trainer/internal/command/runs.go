package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn/folder"
	"trainer/nn/train"
)

// runsCommand lists runs.
func runsCommand() Command {
	return Command{Name: "runs", Args: "[FOLDER]", Doc: "list runs: data, accuracy, time and what differs", run: runRuns}
}

// runsOptions are the flags of trainer runs.
type runsOptions struct {
	sort string
	json bool
}

// runOrders are the values of -sort.
var runOrders = []string{"date", "accuracy", "time"}

func runsFlags(o *runsOptions) *flag.FlagSet {
	f := flag.NewFlagSet("runs", flag.ContinueOnError)
	f.StringVar(&o.sort, "sort", "date", "`order` order: date (the latest last), accuracy (the best last; on the validation images if there are any) or time (the longest last)")
	f.BoolVar(&o.json, "json", false, "print one JSON object per run instead of a table")
	return f
}

var runsUsage = usage{
	about: "trainer runs lists the runs in a folder and in its subfolders.",
	lines: []string{"trainer runs [flags] [FOLDER]     by default the folder runs"},
	notes: `Several seeds (trainer -runs) are one row, with mean and standard deviation. The last column has the
settings that differ between runs of the same recipe and the same data. A folder that can't be read as a
run is listed with what is wrong. Links are not followed.

Examples:
  trainer runs
  trainer runs -sort accuracy runs/tuning
  trainer runs -json | jq -r 'select(.state == "interrupted").path'`,
}

func runRuns(ctx context.Context, p *program, args []string) error {
	var o runsOptions
	rest, done, err := p.parseAnywhere(runsFlags(&o), runsUsage, args)
	switch {
	case done || err != nil:
		return err
	case len(rest) > 1:
		return usageErrorf("runs takes one folder, got %s", strings.Join(rest, ", "))
	case !slices.Contains(runOrders, o.sort):
		return usageErrorf("-sort: unknown order %q%s", o.sort, suggest(o.sort, runOrders))
	}
	place := "runs"
	if len(rest) == 1 {
		place = rest[0]
	}
	runs, err := p.findRuns(ctx, place)
	if errors.Is(err, fs.ErrNotExist) && len(rest) == 0 {
		return usageErrorf("there is no folder runs here: trainer runs FOLDER lists the runs in another one")
	}
	if err != nil {
		return err
	}
	if len(runs) == 0 && !o.json {
		return usageErrorf("no runs in %s", place)
	}
	tellDifferences(runs)
	sortRuns(runs, o.sort)
	if !o.json {
		return writeRuns(p.stdout, runs)
	}
	out := json.NewEncoder(p.stdout)
	for _, r := range runs {
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// The states of a run.
const (
	stateFinished    = "finished"
	stateRunning     = "running"
	stateInterrupted = "interrupted" // it can be resumed
	stateFailed      = "failed"      // it ended with an error, or can't be resumed
	stateBroken      = "broken"      // its folder can't be read
)

// listedRun is a run, or several that differ in the seed, as trainer runs lists them.
type listedRun struct {
	Path    string    `json:"path"`
	Date    time.Time `json:"date,omitzero"` // of its configuration, that is, of its beginning or of its last resumption
	State   string    `json:"state"`
	Problem string    `json:"problem,omitempty"` // what is wrong with the folder

	Data   string   `json:"data"`
	Recipe string   `json:"recipe"`
	Seeds  []uint64 `json:"seeds"`
	Epochs float64  `json:"epochs"` // done

	Test    report.Number `json:"test_accuracy"` // null if there is none
	TestStd report.Number `json:"test_accuracy_std,omitempty"`
	Val     report.Number `json:"val_accuracy"`
	Seconds float64       `json:"seconds"` // of training

	Different map[string]string `json:"different"` // settings that differ from those of other runs of this recipe and this data

	config configuration
}

// The limits of a search for runs, in a folder that may be anything.
const (
	maxRunDepth   = 8
	maxRunFolders = 100_000
)

// findRuns returns the runs in a folder, or the one that the folder is. Links are not followed.
func (p *program) findRuns(ctx context.Context, place string) ([]*listedRun, error) {
	root, err := os.OpenRoot(place)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var runs []*listedRun
	folders := 0
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && name == ".":
			return err
		case err != nil: // a folder that may not be read
			runs = append(runs, brokenRun(filepath.Join(place, name), err))
			return fs.SkipDir
		case !d.IsDir():
			return nil
		case name != "." && strings.HasPrefix(path.Base(name), "."), strings.Count(name, "/") >= maxRunDepth:
			return fs.SkipDir
		}
		if folders++; folders > maxRunFolders {
			return usageErrorf("%s has more than %d folders: name one with fewer", place, maxRunFolders)
		}
		sub, err := root.OpenRoot(name)
		if err != nil {
			runs = append(runs, brokenRun(filepath.Join(place, name), err))
			return fs.SkipDir
		}
		defer sub.Close()
		dir := folder.In(sub)
		if !holdsRun(dir) {
			return nil
		}
		runs = append(runs, p.rowOf(dir, filepath.Join(place, name)))
		return fs.SkipDir
	})
	return runs, err
}

func brokenRun(path string, err error) *listedRun {
	nan := report.Number(math.NaN())
	return &listedRun{Path: path, State: stateBroken, Problem: oneLine(err), Test: nan, Val: nan}
}

// holdsRun reports whether a folder has files that only a run writes.
func holdsRun(dir *folder.Folder) bool {
	if dir.Has(report.SearchFile) { // its trials are the runs
		return false
	}
	for _, name := range []string{report.MetricsFile, report.SummaryFile, report.CheckpointFile, report.DataFile} {
		if dir.Has(name) {
			return true
		}
	}
	return dir.Has(report.ConfigFile) && dir.Has(folder.LockFile)
}

// rowOf returns the row of a run.
func (p *program) rowOf(dir *folder.Folder, path string) *listedRun {
	r := brokenRun(path, errors.New(""))
	r.Problem = ""
	if info, err := dir.Root().Lstat(report.ConfigFile); err == nil {
		r.Date = info.ModTime()
	}
	err := p.readSettings(r, dir)
	if err == nil {
		err = readState(r, dir)
	}
	if err != nil {
		r.State, r.Problem = stateBroken, oneLine(err)
		if dir.Locked() { // it is being written
			r.State = stateRunning
		}
	}
	return r
}

// readSettings reads the configuration of a run.
func (p *program) readSettings(r *listedRun, dir *folder.Folder) error {
	text, err := report.ReadConfig(dir)
	if err != nil {
		return err
	}
	parsed, err := p.Kinds.Parse(filepath.Join(r.Path, report.ConfigFile), text)
	if err != nil {
		return err
	}
	if parsed.Run == nil {
		return usageErrorf("%s has no table [run]: it is not the configuration of a run", filepath.Join(r.Path, report.ConfigFile))
	}
	r.Data, r.Recipe = filepath.Base(parsed.Run.Data), parsed.Name
	for i := range max(1, parsed.Run.Runs) {
		if i == maxListedSeeds {
			break
		}
		r.Seeds = append(r.Seeds, parsed.Run.Seed+uint64(i))
	}
	r.config, err = flatten(text)
	return err
}

// maxListedSeeds bounds the seeds that a configuration may ask to list.
const maxListedSeeds = 10_000

// readState finds out how far a run has come.
func readState(r *listedRun, dir *folder.Folder) error {
	s, err := report.ReadSummary(dir)
	if err != nil {
		return err
	}
	epochs, err := report.ReadMetrics(dir)
	if err != nil {
		return err
	}
	r.Epochs = float64(len(epochs))
	if s != nil {
		readResult(r, s)
	} else if len(epochs) > 0 {
		readLastEpoch(r, epochs)
	}
	done := s != nil && s.Complete && !s.Interrupted
	if s != nil && len(s.Runs) > 0 {
		done = len(s.Runs) >= len(r.Seeds)
		for _, one := range s.Runs {
			done = done && one.Complete
		}
	}
	switch {
	case done:
		r.State = stateFinished
	case dir.Locked():
		r.State = stateRunning
	case dir.Has(report.CheckpointFile), s != nil && s.Interrupted, len(r.Seeds) > 1:
		r.State = stateInterrupted
	default:
		r.State = stateFailed
	}
	return nil
}

// readResult takes the results from a summary.
func readResult(r *listedRun, s *report.Runs) {
	r.Epochs, r.Seconds = s.Epochs, s.TrainSeconds
	if s.TestCount > 0 {
		r.Test = s.TestAccuracy
	}
	if s.ValCount > 0 {
		r.Val = s.ValAccuracy
	}
	if len(s.Runs) == 0 {
		return
	}
	var val []float64
	r.TestStd, r.Seconds = s.TestAccuracyStd, 0
	for _, one := range s.Runs {
		r.Seconds += one.TrainSeconds
		val = append(val, float64(one.ValAccuracy))
	}
	if s.ValCount > 0 {
		mean, _ := report.MeanStd(val)
		r.Val = report.Number(mean)
	}
}

// readLastEpoch takes the results of a run that has no summary yet from its last epoch.
func readLastEpoch(r *listedRun, epochs []train.EpochMetrics) {
	last := epochs[len(epochs)-1]
	if last.Evaluated {
		r.Test = report.Number(last.TestAccuracy)
	}
	if last.ValCount > 0 {
		r.Val = report.Number(last.ValAccuracy)
	}
	for _, e := range epochs {
		r.Seconds += e.Seconds
	}
}

// sortRuns sorts runs in one of the runOrders. Runs without the measure come first.
func sortRuns(runs []*listedRun, order string) {
	measure := func(r *listedRun) float64 {
		switch order {
		case "time":
			return r.Seconds
		case "accuracy":
			if !math.IsNaN(float64(r.Val)) {
				return float64(r.Val)
			}
			return float64(r.Test)
		}
		return float64(r.Date.UnixNano())
	}
	slices.SortStableFunc(runs, func(a, b *listedRun) int {
		return cmp.Or(cmp.Compare(measure(a), measure(b)), cmp.Compare(a.Path, b.Path))
	})
}

// tellDifferences fills in the settings that differ between runs of the same recipe and the same data.
func tellDifferences(runs []*listedRun) {
	groups := map[[2]string][]*listedRun{}
	for _, r := range runs {
		if r.config != nil {
			key := [2]string{r.Recipe, r.Data}
			groups[key] = append(groups[key], r)
		}
	}
	for _, group := range groups {
		var configs []configuration
		for _, r := range group {
			configs = append(configs, r.config)
		}
		keys := differing(configs)
		for _, r := range group {
			r.Different = map[string]string{}
			for _, key := range keys {
				r.Different[key] = r.config.value(key)
			}
		}
	}
}
