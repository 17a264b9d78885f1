package command

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"trainer/cmd/trainer/internal/display"
	"trainer/cmd/trainer/internal/report"
)

// The table of trainer runs.

// writeRuns prints a row per run.
func writeRuns(out io.Writer, runs []*listedRun) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "run\tdate\tdata\trecipe\tseeds\tval\ttest\ttime\tstate\tsettings")
	for _, r := range runs {
		date := ""
		if !r.Date.IsZero() {
			date = r.Date.Format("2006-01-02 15:04")
		}
		last := settingsText(r.Different)
		if r.Problem != "" {
			last = r.Problem
		}
		cells := []string{
			r.Path, date, r.Data, r.Recipe, seedsText(r.Seeds), percent(r.Val, 0), percent(r.Test, r.TestStd), timeText(r.Seconds), stateText(r), last,
		}
		for i := range cells {
			cells[i] = cell(cells[i])
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return w.Flush()
}

// percent returns an accuracy, with its standard deviation over seeds unless that is 0; empty for NaN.
func percent(accuracy, std report.Number) string {
	switch {
	case math.IsNaN(float64(accuracy)):
		return ""
	case std > 0:
		return fmt.Sprintf("%.2f%% +- %.2f%%", 100*accuracy, 100*std)
	}
	return fmt.Sprintf("%.2f%%", 100*accuracy)
}

// seedsText returns successive seeds, such as "0" or "0-9".
func seedsText(seeds []uint64) string {
	switch len(seeds) {
	case 0:
		return ""
	case 1:
		return fmt.Sprint(seeds[0])
	}
	return fmt.Sprintf("%d-%d", seeds[0], seeds[len(seeds)-1])
}

func timeText(seconds float64) string {
	if seconds <= 0 {
		return ""
	}
	return humanDuration(seconds)
}

// stateText returns the state, with the epochs that an unfinished run has done.
func stateText(r *listedRun) string {
	if r.State == stateFinished || r.State == stateBroken || len(r.Seeds) > 1 {
		return r.State
	}
	return r.State + " after " + display.Epochs(r.Epochs)
}

// settingsText returns the first settings in one line.
func settingsText(settings map[string]string) string {
	const most = 4
	var parts []string
	// Mean and standard deviation usually follow from the data, and a checksum from the file.
	last := func(key string) bool {
		return key == "augment.mean" || key == "augment.std" || key == "run.init-sha256"
	}
	keys := slices.Sorted(maps.Keys(settings))
	slices.SortStableFunc(keys, func(a, b string) int {
		switch {
		case last(a) == last(b):
			return 0
		case last(a):
			return 1
		}
		return -1
	})
	for _, key := range keys {
		parts = append(parts, key+"="+settings[key])
	}
	if len(parts) > most {
		parts = append(parts[:most], fmt.Sprintf("and %d more", len(parts)-most))
	}
	return strings.Join(parts, ", ")
}
