package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"trainer/nn/printable"
)

// The output of trainer compare.

func (c *comparison) writeJSON(w io.Writer) error {
	runs := []*listedRun{}
	for _, r := range c.Runs {
		r.Different = map[string]string{}
		for _, key := range c.Keys {
			r.Different[key] = r.config.value(key)
		}
		runs = append(runs, r.listedRun)
	}
	return json.NewEncoder(w).Encode(struct {
		Runs     []*listedRun `json:"runs"`
		McNemars []mcNemar    `json:"mcnemar,omitempty"`
	}{runs, c.McNemars})
}

// cell returns a text that stays one cell of a table.
func cell(text string) string { return strings.ReplaceAll(printable.Text(text), "\t", " ") }

// writeText prints the results, the settings that differ, and McNemar's tests. Letters stand for the runs.
func (c *comparison) writeText(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\trun\tdata\trecipe\tseeds\tval\ttest\ttime\tstate")
	letters := map[string]string{}
	head := "setting"
	for i, r := range c.Runs {
		letter := string(rune('A' + i))
		letters[r.Path] = letter
		head += "\t" + letter
		fmt.Fprintln(w, strings.Join([]string{letter, cell(r.Path), cell(r.Data), cell(r.Recipe), seedsText(r.Seeds),
			percent(r.Val, 0), percent(r.Test, r.TestStd), timeText(r.Seconds), stateText(r.listedRun)}, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if len(c.Keys) == 0 {
		fmt.Fprintln(out, "The settings are the same.")
	} else {
		fmt.Fprintln(w, head)
	}
	for _, key := range c.Keys {
		row := []string{cell(key)}
		for _, r := range c.Runs {
			row = append(row, cell(r.config.value(key)))
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, t := range c.McNemars {
		a, b := letters[t.A], letters[t.B]
		fmt.Fprintf(out, "%s and %s on the same %s test images: only %s is right on %d, only %s on %d; p = %.3g (McNemar)\n",
			a, b, humanize.Comma(int64(t.Images)), a, t.OnlyA, b, t.OnlyB, t.P)
	}
	for _, r := range c.Runs {
		if r.answers == nil {
			fmt.Fprintf(out, "%s is not part of McNemar's test: %s\n", letters[r.Path], r.why)
		}
	}
	return nil
}
