package main

import "strings"

// againstCuDNN is the table of our kernels beside cuDNN's layers, as gpu/cudnn_bench_test.go measures them.
func (r *report) againstCuDNN() error {
	results, err := r.benchmarks("cudnn.log")
	if err != nil || len(results) == 0 {
		return err
	}
	r.heading("Own kernels beside cuDNN's", "cudnn")
	if r.emulated {
		r.ran(len(results))
		return nil
	}
	r.line("In float16, softmax in float32; each recorded as a CUDA graph of several calls. Microseconds are medians of a call. The ratio is cuDNN's time by ours, of " +
		"the medians, and the least and the greatest of a round: above 1 our kernel is faster. cuDNN's batch normalisation is its persistent mode " +
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
	r.line("Ours has the smaller median in %d of %d.\n", faster, len(results))
	return nil
}
