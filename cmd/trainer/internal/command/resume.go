package command

import (
	"fmt"
	"os"
	"path/filepath"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

// A run's configuration has everything that decides its results and its speed. -resume continues with the same device,
// precision and algorithms, except for flags that are given again.

// readRun sets the flags to those of a stopped run, from the configuration in its folder.
func (o *options) readRun(kinds recipe.Kinds) error {
	if info, err := os.Stat(o.resume); err == nil && info.IsDir() {
		o.resume = filepath.Join(o.resume, report.CheckpointFile)
	}
	if _, err := os.Stat(o.resume); err != nil {
		return fmt.Errorf("-resume: no checkpoint: %w", err)
	}
	o.out = filepath.Dir(o.resume)
	o.recipe = filepath.Join(o.out, report.ConfigFile)
	r, err := kinds.Load(o.recipe)
	if err != nil {
		return fmt.Errorf("-resume: %w", err)
	}
	if r.Run == nil {
		return usageErrorf("-resume: %s has no table [run]: it is not the configuration of a run", o.recipe)
	}
	o.before = r.Run
	return o.fillFrom(r.Run)
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
// would be a different training; on another kind of device a line says that the results won't be bit-identical.
func (j *job) compareRuns() error {
	if j.before == nil || j.before.Precision == "" { // older versions wrote neither device nor precision
		return nil
	}
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
	case kind.Name != device.KindName(j.before.Device):
		j.note("the run started on %s in %v and continues on %s in %v: results will not be bit-identical",
			j.before.Device, then, j.dev.Name(), now)
	}
	return nil
}
