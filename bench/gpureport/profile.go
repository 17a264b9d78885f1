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
func (r *report) profile() error {
	if r.emulated {
		return nil
	}
	counters := profileColumns{
		name: "Kernel Name", time: "gpu__time_duration.sum",
		shares: []string{"dram__throughput.avg.pct_of_peak_sustained_elapsed", "sm__throughput.avg.pct_of_peak_sustained_elapsed"},
		titles: []string{">memory, % of peak", ">SM, % of peak"},
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
		r.table(append([]string{"kernel", ">launches", ">µs each", ">% of time"}, tool.columns.titles...), profileRows(rows, len(tool.columns.shares)))
	}
	return nil
}

// profileColumns are the titles of the columns that are read. Without a column of launches, a line is one launch.
type profileColumns struct {
	name, time, launches string
	shares               []string // percentages, whose means are shown
	titles               []string // titles of the shares in the report
}

// kernelTime is the time of all launches of a kernel.
type kernelTime struct {
	name              string
	launches, seconds float64
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

func profileRows(kernels []*kernelTime, shares int) (rows [][]string) {
	total := 0.0
	for _, k := range kernels {
		total += k.seconds
	}
	for _, k := range kernels[:min(len(kernels), maxKernels)] {
		row := []string{code(k.name), fmt.Sprintf("%.0f", k.launches), digits(1e6 * k.seconds / k.launches), fmt.Sprintf("%.1f", 100*k.seconds/total)}
		for i := range shares {
			row = append(row, fmt.Sprintf("%.0f", k.shares[i]/k.seconds))
		}
		rows = append(rows, row)
	}
	return rows
}
