package command

import (
	"fmt"
	"os"
	"path/filepath"

	"trainer/cmd/trainer/internal/report"
	"trainer/gpu"
	"trainer/nn/recipe"
)

// A run's configuration says what decides its bits and its speed. -resume takes it up again, but for flags that are given
// anew: same device, same precision, same algorithms.

// readRun takes from the folder of a stopped run what its flags were.
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
		return usageErrorf("-resume: %s has no table [run]: it was not written by a run", o.recipe)
	}
	o.before = r.Run
	return o.fillFrom(r.Run)
}

// fillFrom sets the flags that were not given.
func (o *options) fillFrom(run *recipe.Run) (err error) {
	fill(o, "data", &o.data, run.Data)
	fill(o, "data-dir", &o.dataDir, run.DataDir)
	fill(o, "val", &o.val, run.Val)
	fill(o, "seed", &o.seed, run.Seed)
	fill(o, "device", &o.device, run.Device)
	fill(o, "deterministic", &o.deterministic, run.Deterministic)
	fill(o, "autotune", &o.autotune, run.Autotune)
	fill(o, "cuda-graph", &o.graph, run.CUDAGraph)
	if o.given["precision"] {
		return nil
	}
	o.precision = gpu.FP32 // of older versions, which didn't tell
	if run.Precision != "" {
		o.precision, err = gpu.ParsePrecision(run.Precision)
	}
	return err
}

// fill sets a flag's value unless it was given.
func fill[T any](o *options, flag string, dst *T, value T) {
	if !o.given[flag] {
		*dst = value
	}
}

// compareRuns holds the device against that of the run that is resumed: on another kind the bits can't be the same,
// which a line says; and another precision is an error, because it would be another training.
func (j *job) compareRuns() error {
	if j.before == nil || j.before.Precision == "" { // older versions didn't tell what computed
		return nil
	}
	now := precisionOf(j.dev)
	then, err := gpu.ParsePrecision(j.before.Precision)
	if err != nil {
		return err
	}
	moved := kindOf(j.dev.Name()) != kindOf(j.before.Device)
	if moved && j.dev.Name() == "cpu" && then.DType() != gpu.FP32.DType() {
		return usageErrorf("-resume: the run computes in %v, which the CPU can't: want -device cuda", then)
	}
	if j.dev.Name() != "cpu" && now != then.String() {
		return usageErrorf("-resume: the run computes in %v, and this would go on in %s: want -precision %v", then, now, then)
	}
	if moved {
		fmt.Fprintf(j.stderr, "trainer: the run was on %s in %v and goes on on %s in %s, not with the same bits\n",
			spokenDevice(j.before.Device), then, spokenDevice(j.dev.Name()), now)
	}
	return nil
}

// spokenDevice returns a device's name as a sentence has it.
func spokenDevice(name string) string {
	if name == "cpu" {
		return "the CPU"
	}
	return name
}
