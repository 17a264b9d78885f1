package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// profile lists the kernels of a training by their time, from the table of Nsight Systems (nsys.csv) or of Nsight
// Compute (ncu-RECIPE.csv), whose counters show what limits a kernel. ncu runs each kernel alone, which takes longer.
//
// A kernel that moves memory can be as fast as a copy: its share is the bytes that it reads and writes in DRAM per second,
// relative to the copy of the stage memory. A kernel on the tensor cores can be as fast as a product: its share is the load
// of the SMs, whose peak only large products come near. What stays in the second-level cache is in neither.
func (r *report) profile() error {
	if r.emulated {
		return nil
	}
	copySpeed, err := r.copySpeed()
	if err != nil {
		return err
	}
	counters := profileColumns{
		name: "Kernel Name", time: "gpu__time_duration.sum",
		shares: []string{"dram__throughput.avg.pct_of_peak_sustained_elapsed", "sm__throughput.avg.pct_of_peak_sustained_elapsed"},
		titles: []string{">memory, % of peak", ">SM, % of peak"},
		bytes:  []string{"dram__bytes_read.sum", "dram__bytes_write.sum"}, tensor: "sm__inst_executed_pipe_tensor.sum", copySpeed: copySpeed,
	}
	for _, tool := range []struct {
		file, title string
		columns     profileColumns
	}{
		{"nsys.csv", "Profile of a training (nsys)", profileColumns{name: "Name", time: "Total Time (ns)", launches: "Instances"}},
		{"ncu-airbench94.csv", "Profile of a step of airbench94 (ncu, without CUDA graph)", counters},
		{"ncu-mnist.csv", "Profile of a step of mnist (ncu, without CUDA graph)", counters},
	} {
		text, err := r.read(tool.file)
		if err != nil {
			return err
		}
		rows, err := readProfile(text, tool.columns)
		if err != nil {
			return fmt.Errorf("%s: %w", tool.file, err)
		}
		if len(rows) == 0 {
			continue
		}
		stageName, _, _ := strings.Cut(tool.file, ".")
		r.heading(tool.title, stageName)
		titles := append([]string{"kernel", ">launches", ">µs each", ">% of time"}, tool.columns.titles...)
		if len(tool.columns.bytes) > 0 {
			titles = append(titles, ">MB", ">% of a copy", ">% of a product")
		}
		r.table(titles, profileRows(rows, tool.columns))
	}
	return nil
}

// profileColumns are the titles of the columns that are read. Without a column of launches, a line is one launch.
type profileColumns struct {
	name, time, launches string
	shares               []string // percentages, whose means are shown
	titles               []string // titles of the shares in the report; the second is the load of the SMs
	bytes                []string // bytes read and written in DRAM
	tensor               string   // instructions of the tensor cores
	copySpeed            float64  // bytes per second of a copy; 0 if it was not measured
}

// kernelTime is the time of all launches of a kernel.
type kernelTime struct {
	name              string
	launches, seconds float64
	bytes, tensor     float64
	shares            []float64 // sums of percentage times seconds
}

// readProfile reads a table, whose times are in nanoseconds, and sums the lines of each kernel. It skips lines before the
// header, and lines without a time (of units).
func readProfile(text string, c profileColumns) ([]*kernelTime, error) {
	start := -1
	for _, first := range []string{`"ID"`, "Time (%)", `"Time (%)"`} {
		if i := strings.Index("\n"+text, "\n"+first); i >= 0 {
			start = i
		}
	}
	if start < 0 {
		return nil, nil
	}
	reader := csv.NewReader(strings.NewReader(text[start:]))
	reader.FieldsPerRecord, reader.LazyQuotes = -1, true
	lines, err := reader.ReadAll()
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for i, title := range lines[0] {
		at[title] = i
	}
	number := func(line []string, title string) (float64, bool) {
		i, ok := at[title]
		if !ok || i >= len(line) {
			return 0, false
		}
		x, err := strconv.ParseFloat(strings.ReplaceAll(line[i], ",", ""), 64)
		return x, err == nil
	}
	byName := map[string]*kernelTime{}
	var all []*kernelTime
	for _, line := range lines[1:] {
		time, ok := number(line, c.time)
		if !ok || at[c.name] >= len(line) {
			continue
		}
		name := shortKernel(line[at[c.name]])
		k := byName[name]
		if k == nil {
			k = &kernelTime{name: name, shares: make([]float64, len(c.shares))}
			byName[name] = k
			all = append(all, k)
		}
		launches := 1.0
		if n, ok := number(line, c.launches); ok {
			launches = n
		}
		for _, title := range c.bytes {
			n, _ := number(line, title)
			k.bytes += n
		}
		if n, ok := number(line, c.tensor); ok {
			k.tensor += n
		}
		k.launches += launches
		k.seconds += time / 1e9
		for i, title := range c.shares {
			share, _ := number(line, title)
			k.shares[i] += share * time / 1e9
		}
	}
	slices.SortStableFunc(all, func(a, b *kernelTime) int { return cmp.Compare(b.seconds, a.seconds) })
	return all, nil
}

const (
	maxKernels  = 25 // that are listed
	longestName = 70 // of a kernel, in the report
)

// shortKernel returns a kernel's name without its parameters.
func shortKernel(name string) string {
	if i := strings.LastIndex(name, "("); i > 0 {
		name = name[:i]
	}
	if len(name) > longestName {
		name = name[:longestName] + "…"
	}
	return name
}

func profileRows(kernels []*kernelTime, c profileColumns) (rows [][]string) {
	total := 0.0
	for _, k := range kernels {
		total += k.seconds
	}
	shown := kernels
	if len(c.bytes) == 0 { // of a whole training; a step is shown with all its kernels
		shown = kernels[:min(len(kernels), maxKernels)]
	}
	for _, k := range shown {
		row := []string{code(k.name), fmt.Sprintf("%.0f", k.launches), digits(1e6 * k.seconds / k.launches), fmt.Sprintf("%.1f", 100*k.seconds/total)}
		for i := range c.shares {
			row = append(row, fmt.Sprintf("%.0f", k.shares[i]/k.seconds))
		}
		if len(c.bytes) > 0 {
			row = append(row, k.ofMachine(c)...)
		}
		rows = append(rows, row)
	}
	return rows
}

// ofMachine returns the kernel's megabytes, and its shares of the speeds of a copy and of a product.
func (k *kernelTime) ofMachine(c profileColumns) []string {
	ofCopy, ofProduct := "–", "–"
	if c.copySpeed > 0 {
		ofCopy = fmt.Sprintf("%.0f", 100*k.bytes/k.seconds/c.copySpeed)
	}
	if k.tensor > 0 {
		ofProduct = fmt.Sprintf("%.0f", k.shares[1]/k.seconds)
	}
	return []string{digits(k.bytes / 1e6), ofCopy, ofProduct}
}

// copySpeed returns the bytes per second of the fastest copy that was measured, or 0.
func (r *report) copySpeed() (fastest float64, err error) {
	results, err := r.benchmarks("memory.log")
	for _, x := range results {
		if strings.HasSuffix(x.name, "/copy") {
			fastest = max(fastest, 1e9*x.metrics["GB/s"])
		}
	}
	return fastest, err
}
