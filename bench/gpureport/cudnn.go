package main

import "strings"

// againstCuDNN is the table that compares our kernels with cuDNN's layers, as gpu/cudnn_bench_test.go measures them.
func (r *report) againstCuDNN() error {
	results, err := r.benchmarks("cudnn.log")
	if err != nil || len(results) == 0 {
		return err
	}
	r.heading("Our kernels and cuDNN's", "cudnn")
	if r.emulated {
		r.ran(len(results))
		return nil
	}
	r.line("In float16, softmax in float32; each recorded as a CUDA graph of several calls. Times are medians per call. The ratio is cuDNN's time divided by ours, " +
		"for the medians, and its minimum and maximum over the rounds: above 1, our kernel is faster. cuDNN's batch normalisation uses the persistent mode " +
		"without the Ex calls.\n")
	var rows [][]string
	faster := 0
	for _, x := range results {
		recipe, operation, _ := strings.Cut(x.name, "/")
		rows = append(rows, []string{code(recipe), code(operation), cell(x, "us"), cell(x, "cudnn-us"), cell(x, "ratio")})
		if x.metrics["ratio"] > 1 {
			faster++
		}
	}
	r.table([]string{"recipe", "operation", ">ours, µs", ">cuDNN, µs", ">ratio"}, rows)
	r.line("Our kernel has the smaller median in %d of %d cases.\n", faster, len(results))
	return nil
}
