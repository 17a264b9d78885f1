package command

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"trainer/cmd/trainer/internal/cockpit"
	"trainer/cmd/trainer/internal/report"
	"trainer/cmd/trainer/internal/serve"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/folder"
)

// The runs that the page lists. A name that a page sends is compared with those of the list: no path is made from it.

// list returns the runs in the folder of the runs, each with its name there.
func (w *workshop) list(ctx context.Context) ([]*listedRun, []string, error) {
	found, err := w.findRuns(ctx, w.runs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	tellDifferences(found)
	slices.SortStableFunc(found, func(a, b *listedRun) int { return cmp.Or(b.Date.Compare(a.Date), cmp.Compare(a.Path, b.Path)) })
	names := make([]string, len(found))
	for i, r := range found {
		name, err := filepath.Rel(w.runs, r.Path)
		if err != nil {
			return nil, nil, err
		}
		names[i] = filepath.ToSlash(name)
	}
	return found, names, nil
}

// find returns the run of a name.
func (w *workshop) find(ctx context.Context, name string) (*listedRun, error) {
	found, names, err := w.list(ctx)
	if err != nil {
		return nil, err
	}
	if i := slices.Index(names, name); i >= 0 {
		return found[i], nil
	}
	return nil, cockpit.Failf(cockpit.Missing, "no run of this name")
}

// Runs lists the runs, the latest first.
func (w *workshop) Runs(ctx context.Context) ([]cockpit.Run, error) {
	found, names, err := w.list(ctx)
	runs := make([]cockpit.Run, len(found))
	for i, r := range found {
		runs[i] = pageRun(r, names[i])
	}
	return runs, err
}

// pageRun is a run as pages list it.
func pageRun(r *listedRun, name string) cockpit.Run {
	return cockpit.Run{
		Name: name, Date: r.Date, State: r.State, Problem: r.Problem, Data: r.Data, Recipe: r.Recipe, Seeds: r.Seeds, Epochs: r.Epochs,
		Test: known(r.Test), Val: known(r.Val), Seconds: r.Seconds, Different: r.Different,
	}
}

// known returns a number, or nil for NaN.
func known(x report.Number) *float64 {
	if f := float64(x); !math.IsNaN(f) && !math.IsInf(f, 0) {
		return &f
	}
	return nil
}

// Record reads a run's curves and configuration.
func (w *workshop) Record(ctx context.Context, name string) (*cockpit.Record, error) {
	run, dir, err := w.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return readRecord(dir, pageRun(run, name))
}

// open finds a run and opens its folder.
func (w *workshop) open(ctx context.Context, name string) (*listedRun, *folder.Folder, error) {
	run, err := w.find(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	dir, err := folder.Open(run.Path)
	return run, dir, err
}

// readRecord reads a run's curves and configuration. What is missing or broken is left out: the list says so.
func readRecord(dir *folder.Folder, run cockpit.Run) (*cockpit.Record, error) {
	r := &cockpit.Record{Run: run}
	if text, err := report.ReadConfig(dir); err == nil {
		r.Config = string(text)
	}
	r.Epochs, _ = report.ReadMetrics(dir)
	r.Steps, _ = report.ReadSteps(dir)
	return r, nil
}

// Histograms reads what was kept of a run's histograms. Of a run that no page followed it counts the weights.
func (w *workshop) Histograms(ctx context.Context, name string) (*cockpit.Histograms, error) {
	run, dir, err := w.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	content, err := keptHistograms(dir)
	if err != nil {
		return nil, err
	}
	host, err := w.openHost(1)
	if err != nil {
		return nil, err
	}
	defer host.Close()
	return cockpit.HistogramsOf(content, func() (*nn.Network, error) {
		m, err := w.openModel(run.Path, host, &inferenceOptions{batch: 1})
		if err != nil {
			return nil, cockpit.Failf(cockpit.Missing, "the run has no histograms and no network: %s", oneLine(err))
		}
		return m.Network(), nil
	})
}

// keptHistograms returns the file of a run's histograms, or nil if it has none.
func keptHistograms(dir *folder.Folder) ([]byte, error) {
	if !dir.Has(report.HistogramsFile) {
		return nil, nil
	}
	return dir.Read(report.HistogramsFile, cockpit.MaxKept)
}

// openRun returns a function that returns the network of a run for the Learn part, on a device.
func (w *workshop) openRun(shown device.Device, o *serveOptions) func(ctx context.Context, name string) (*serve.Network, error) {
	return func(ctx context.Context, name string) (*serve.Network, error) {
		run, err := w.find(ctx, name)
		if err != nil {
			return nil, err
		}
		s := &served{}
		if err := w.addModel(s, run.Path, shown, shown, o); err != nil {
			return nil, cockpit.Failf(cockpit.Invalid, "the run has no network yet: %s", oneLine(err))
		}
		n := s.networks[0]
		n.Name, n.Run = filepath.ToSlash(filepath.Join(filepath.Base(w.runs), name)), true
		return &n, nil
	}
}

// Rename gives a run's folder another name.
func (w *workshop) Rename(ctx context.Context, name, to string) error {
	return w.change(ctx, name, func(root *os.Root) error {
		if !isRunName(to) {
			return cockpit.Failf(cockpit.Invalid, "%s", wantRunName)
		}
		if w.taken(to) {
			return cockpit.Failf(cockpit.Invalid, "name: there is a folder of this name in %s", w.runs)
		}
		if err := root.Rename(filepath.FromSlash(name), to); err != nil {
			return err
		}
		if t := w.Live(); t != nil && t.State().Run == name {
			t.Name(to)
		}
		return nil
	})
}

// Delete removes a run's folder.
func (w *workshop) Delete(ctx context.Context, name string) error {
	return w.change(ctx, name, func(root *os.Root) error { return root.RemoveAll(filepath.FromSlash(name)) })
}

// change changes the folder of a run that nothing writes to. The name is that of a run in the list.
func (w *workshop) change(ctx context.Context, name string, do func(root *os.Root) error) error {
	w.changing.Lock()
	defer w.changing.Unlock()
	run, err := w.find(ctx, name)
	if err != nil {
		return err
	}
	if name == "." {
		return cockpit.Failf(cockpit.Invalid, "the folder of the runs is itself a run, and stays")
	}
	if t := w.Live(); run.State == stateRunning || t != nil && t.State().Run == name && !t.State().Phase.Over() {
		return cockpit.Failf(cockpit.Busy, "the run is training: stop it first")
	}
	root, err := os.OpenRoot(w.runs)
	if err != nil {
		return err
	}
	defer root.Close()
	return do(root)
}
