package command

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"trainer/nn/data"
	"trainer/nn/metric"
	"trainer/nn/printable"
)

// The output of trainer evaluate.

// write prints the measurements in the form that was asked for, and draws the figures.
func (e *evaluation) write(w io.Writer) error {
	if err := e.draw(); err != nil {
		return err
	}
	switch {
	case e.csv:
		answers := slices.Clone(e.answers)
		metric.WorstFirst(answers)
		return writeAnswers(w, answers, e.set, e.classes)
	case e.json:
		return json.NewEncoder(w).Encode(struct {
			Models      []string  `json:"models"`
			Data        string    `json:"data"`
			Part        string    `json:"part"`
			Single      []float64 `json:"accuracy_of_each,omitempty"`
			Temperature float64   `json:"fitted_temperature,omitempty"`
			*metric.Report
		}{e.paths, e.data, e.part, e.several(), e.fitted, e.report})
	}
	return e.writeText(w)
}

// several returns the accuracy of each model, if there are several.
func (e *evaluation) several() []float64 {
	if len(e.single) < 2 {
		return nil
	}
	return e.single
}

func (e *evaluation) writeText(w io.Writer) error {
	r := e.report
	for i, accuracy := range e.several() {
		fmt.Fprintf(w, "%s: accuracy %.2f%%\n", e.paths[i], 100*accuracy)
	}
	if len(e.paths) > 1 {
		fmt.Fprintf(w, "all %d models together:\n", len(e.paths))
	}
	fmt.Fprintf(w, "%s %s images of %s\n", humanize.Comma(int64(r.Count)), e.partName(), e.data)
	fmt.Fprintf(w, "accuracy %.2f%% (%d/%d), top 5 %.2f%%, loss %.4f, calibration error %.2f%%\n\n",
		100*r.Accuracy, r.Correct, r.Count, 100*r.Top5, r.Loss, 100*r.ECE)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "class\tprecision\trecall\tF1\timages\t")
	row := func(name string, s metric.Scores, images int) {
		fmt.Fprintf(t, "%s\t%.2f%%\t%.2f%%\t%.2f%%\t%s\t\n", name, 100*s.Precision, 100*s.Recall, 100*s.F1, humanize.Comma(int64(images)))
	}
	for _, c := range r.Classes {
		row(printable.Text(c.Name), c.Scores, c.Support)
	}
	row("macro mean", r.Macro, r.Count)
	row("weighted mean", r.Weighted, r.Count)
	if err := t.Flush(); err != nil {
		return err
	}
	if e.fitted == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\ntemperature %.4g, written to %s; the figures above are those before it\n", e.fitted, e.paths[0])
	return err
}

// writeAnswers writes a row per answer.
func writeAnswers(w io.Writer, answers []metric.Answer, set data.Set, classes []string) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"image", "path", "label", "answer", "probability", "loss"}); err != nil {
		return err
	}
	for _, a := range answers {
		err := out.Write([]string{
			strconv.Itoa(a.Image), imagePath(set, a.Image), classes[a.Label], classes[a.Class],
			strconv.FormatFloat(a.Probability, 'g', 6, 64), strconv.FormatFloat(a.Loss, 'g', 6, 64),
		})
		if err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// imagePath returns the path of an image's file, also in an archive (set.zip:cat/1.jpg), or "" if it has none of its own.
func imagePath(set data.Set, i int) string {
	if f, ok := set.(data.Filed); ok {
		return f.File(i).String()
	}
	return ""
}
