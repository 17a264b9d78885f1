package main

import (
	"regexp"
	"strconv"
	"strings"
)

// result is one line of a benchmark's output: its name without the common beginning, and its metrics by unit.
type result struct {
	name    string
	metrics map[string]float64
}

var processors = regexp.MustCompile(`-\d+$`)

// parse reads the output of go test -bench for the cases of a GPU. The name of Benchmark/cuda/gemm/fp16/x-16 is
// gemm/fp16/x.
func parse(text string) (results []result) {
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		_, name, ok := strings.Cut(f[0], "/cuda/")
		if !ok {
			continue
		}
		if _, err := strconv.Atoi(f[1]); err != nil {
			continue
		}
		x := result{processors.ReplaceAllString(name, ""), map[string]float64{}}
		for i := 2; i+1 < len(f); i += 2 {
			if v, err := strconv.ParseFloat(f[i], 64); err == nil {
				x.metrics[f[i+1]] = v
			}
		}
		results = append(results, x)
	}
	return results
}

// cell returns a metric, with its minimum and maximum if they are known.
func cell(x result, unit string) string {
	v, ok := x.metrics[unit]
	if !ok {
		return "–"
	}
	text := digits(v)
	low, high := x.metrics["min-"+unit], x.metrics["max-"+unit]
	if high > 0 {
		text += " (" + digits(low) + " to " + digits(high) + ")"
	}
	return text
}

// benchmarks reads one or more files.
func (r *report) benchmarks(names ...string) (all []result, err error) {
	for _, name := range names {
		text, err := r.read(name)
		if err != nil {
			return nil, err
		}
		all = append(all, parse(text)...)
	}
	return all, nil
}

// steps is the table of whole training steps.
func (r *report) steps() error {
	results, err := r.benchmarks("steps.log")
	if err != nil || len(results) == 0 {
		return err
	}
	r.heading("Training steps", "steps")
	if r.emulated {
		r.ran(len(results))
		return nil
	}
	r.line("On random images: shuffling, gathering, augmentation, forward, loss, backward, update. Each step is replayed as a CUDA graph, except " +
		"with *no-graph*; *autotune* times cuDNN's algorithms first. TFLOP/s count a step as three forward passes of the direct method.\n")
	var rows [][]string
	for _, x := range results {
		recipe, variant, _ := strings.Cut(strings.TrimPrefix(x.name, "step/"), "/")
		rows = append(rows, []string{code(recipe), variant, cell(x, "batch"), cell(x, "img/s"), cell(x, "TFLOP/s")})
	}
	r.table([]string{"recipe", "variant", ">batch", ">images/s", ">TFLOP/s"}, rows)
	return nil
}

// kernels are the tables of single operations.
func (r *report) kernels() error {
	results, err := r.benchmarks("memory.log", "gemm.log", "conv.log")
	if err != nil || len(results) == 0 {
		return err
	}
	r.peaks(results)
	r.operations("Memory-bound operations", "memory", "memory/", results, []string{"GB/s", "%copy", "us"})
	r.operations("Matrix products", "gemm", "gemm/", results, []string{"TFLOP/s", "%peak", "us"})
	r.operations("Convolutions", "conv", "conv/", results, []string{"TFLOP/s", "%peak", "us"})
	return nil
}

// isPeak reports whether a case measures the peak.
func isPeak(x result) bool { return strings.Contains(x.name, "/peak-") }

// peaks is the table of the rates that the percentages refer to.
func (r *report) peaks(results []result) {
	var rows [][]string
	for _, x := range results {
		if isPeak(x) {
			rows = append(rows, []string{code(x.name), cell(x, "TFLOP/s"), cell(x, "%datasheet")})
		}
	}
	if len(rows) == 0 || r.emulated {
		return
	}
	r.heading("Peaks", "")
	r.line("Square matrix products by cuBLAS on random numbers; %%peak below is relative to the faster size of the precision. %%datasheet is relative " +
		"to the dense rate in the vendor's datasheet.\n")
	r.table([]string{"product", ">TFLOP/s", ">%datasheet"}, rows)
}

// operations is the table of the cases whose names begin with a group.
func (r *report) operations(title, stageName, group string, results []result, units []string) {
	titles := []string{"case"}
	for _, u := range units {
		titles = append(titles, ">"+strings.Replace(u, "us", "µs", 1))
	}
	var rows [][]string
	for _, x := range results {
		name, ok := strings.CutPrefix(x.name, group)
		if !ok || isPeak(x) {
			continue
		}
		row := []string{code(name)}
		for _, u := range units {
			row = append(row, cell(x, u))
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return
	}
	r.heading(title, stageName)
	if r.emulated {
		r.ran(len(rows))
		return
	}
	r.table(titles, rows)
}

// ran counts the cases if their speeds mean nothing.
func (r *report) ran(cases int) { r.line("%d cases ran on the %s.\n", cases, emulation) }
