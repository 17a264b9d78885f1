package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn/device"
	"trainer/nn/folder"
	"trainer/nn/recipe"
)

// A run's configuration has everything that decides its results and its speed. -resume continues with the same device,
// precision and algorithms, except for flags that are given again. A run's folder may come from a stranger, so that all
// files are opened through package folder.

// readRun sets the flags to those of a stopped run, from the configuration in its folder.
func (o *options) readRun(kinds recipe.Kinds) error {
	o.out, o.checkpointFile = o.resume, report.CheckpointFile
	if info, err := os.Stat(o.resume); err == nil && !info.IsDir() {
		o.out, o.checkpointFile = filepath.Dir(o.resume), filepath.Base(o.resume)
	}
	switch err := o.readFolder(kinds, o.out); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("-resume: no run to continue: %w", err)
	case err != nil:
		return fmt.Errorf("-resume: %w", err)
	}
	o.runs, o.folds, o.fold = max(1, o.before.Runs), o.before.Folds, o.before.Fold
	o.plannedEpochs = o.before.PlannedEpochs
	return o.fillFrom(o.before)
}

// readFolder reads the configuration of a run and the fingerprint of its data.
func (o *options) readFolder(kinds recipe.Kinds, path string) error {
	dir, err := folder.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if dir.Has(report.SearchFile) && !o.searches {
		return usageErrorf("%s holds a search (to continue it: trainer tune -resume %s); its trials are runs in its subfolders", path, shellWord(path))
	}
	if o.configText, err = report.ReadConfig(dir); err != nil {
		return err
	}
	o.recipe = dir.File(report.ConfigFile)
	r, err := kinds.Parse(o.recipe, o.configText)
	if err != nil {
		return err
	}
	o.epochsBefore = r.Epochs
	if r.Run == nil {
		return usageErrorf("%s has no table [run]: it is not the configuration of a run", o.recipe)
	}
	if o.before = r.Run; o.before.Fold > o.before.Folds || o.before.Folds == 1 {
		return usageErrorf("%s: fold %d of %d folds", o.recipe, o.before.Fold, o.before.Folds)
	}
	o.runData, err = report.ReadData(dir)
	return err
}

// fillFrom sets the flags that were not given to those of a run.
func (o *options) fillFrom(run *recipe.Run) (err error) {
	fill(o, "data", &o.data, run.Data)
	fill(o, "data-dir", &o.dataDir, run.DataDir)
	fill(o, "val", &o.val, run.Val)
	fill(o, "test", &o.test, run.Test)
	fill(o, "seed", &o.seed, run.Seed)
	fill(o, "device", &o.device, run.Device)
	fill(o, "deterministic", &o.deterministic, run.Deterministic)
	fill(o, "autotune", &o.autotune, run.Autotune)
	fill(o, "cuda-graph", &o.graph, run.CUDAGraph)
	o.initFrom, o.sha256 = run.InitFrom, run.InitSHA256 // for a run that was stopped before its first checkpoint
	if o.given["precision"] {
		return nil
	}
	o.precision = device.FP32 // older versions, which wrote no precision, had no other
	if run.Precision != "" {
		o.precision, err = device.ParsePrecision(run.Precision)
	}
	return err
}

// fill sets a flag's value unless it was given.
func fill[T any](o *options, flag string, dst *T, value T) {
	if !o.given[flag] {
		*dst = value
	}
}

// compareRuns checks the device against the one of the run that is resumed. Another precision is an error, because it
// would be a different training. If the results won't be bit-identical for another reason, a line says so, or with -exact
// an error.
func (j *job) compareRuns() error {
	if j.resume == "" {
		return nil
	}
	if j.before.Precision != "" { // older versions wrote neither device nor precision
		if err := j.comparePrecision(); err != nil {
			return err
		}
	}
	why := j.whyNotIdentical()
	if why == "" && j.exact {
		why = j.whyUncertain()
	}
	switch {
	case why == "":
		return nil
	case j.exact:
		return usageErrorf("-exact: %s: results might not be bit-identical", why)
	}
	j.note("%s: results will not be bit-identical", why)
	return nil
}

// comparePrecision returns an error if the device would compute in another precision than the run.
func (j *job) comparePrecision() error {
	now := device.PrecisionOf(j.dev)
	then, err := device.ParsePrecision(j.before.Precision)
	if err != nil {
		return err
	}
	kind := j.kindOf(j.dev)
	switch {
	case kind.Has(then) && now != then:
		return usageErrorf("-resume: the run computes in %v and would continue in %v: use -precision %v", then, now, then)
	case now.DType() != then.DType():
		return usageErrorf("-resume: the run computes in %v, which device %s can't: use -device %s", then, kind.Name, j.otherDevices(kind))
	}
	return nil
}

// whyNotIdentical says what differs from the run that is resumed and changes the last bits of its results, or "".
func (j *job) whyNotIdentical() string {
	b := j.before
	switch {
	case b.Precision != "" && j.kindOf(j.dev).Name != device.KindName(b.Device):
		return fmt.Sprintf("the run started on %s in %s and continues on %s in %v", b.Device, b.Precision, j.dev.Name(), device.PrecisionOf(j.dev))
	case b.Features != "" && b.Features != features(j.dev):
		return fmt.Sprintf("the run computed with %s and continues with %s", b.Features, features(j.dev))
	case b.Version != "" && b.Version != j.version():
		return fmt.Sprintf("the run was made by trainer %s and continues with trainer %s", b.Version, j.version())
	}
	return ""
}

// whyUncertain says why the results of the run that is resumed may differ in their last bits although nothing is known to
// be different, or "".
func (j *job) whyUncertain() string {
	host := j.Devices[len(j.Devices)-1].Name // deterministic, as every machine's processor
	switch {
	case j.before.Features == "" || j.before.Version == "":
		return "the run's configuration doesn't say what instructions and what version of trainer computed"
	case j.kindOf(j.dev).Name != host && !j.deterministic:
		return "the run is not deterministic on " + j.dev.Name() + " (see -deterministic)"
	}
	return ""
}

// features names what decides the last bits of a device's results: the instruction set, or the GPU's kind and libraries.
func features(dev device.Device) string { return strings.Join(dev.Info().Features, ", ") }
