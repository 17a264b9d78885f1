package command

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"trainer/nn/data"
	"trainer/nn/printable"
)

// The output of trainer data.

// The largest numbers of lines in the text; -json has all.
const (
	maxClassLines   = 100
	maxFindingLines = 5
	maxSkippedLines = 5
)

// writeExamination prints an examination for a person.
func writeExamination(w io.Writer, e *data.Examination) error {
	var b bytes.Buffer
	total := 0
	for _, p := range e.Parts {
		total += p.Images
	}
	fmt.Fprintf(&b, "%s: %s classes, %s images, read as %dx%d pixels of %d %s\n", printable.Text(e.Name), humanize.Comma(int64(len(e.Classes))),
		humanize.Comma(int64(total)), e.Shape[1], e.Shape[0], e.Shape[2], plural(e.Shape[2], "channel"))
	writeFiles(&b, e.Files)
	writeClasses(&b, e)
	writeSome(&b, "not read", e.Skipped, maxSkippedLines)
	writeSome(&b, "not used, because they have no label", e.Unused, maxSkippedLines)
	writeFindings(&b, e)
	_, err := w.Write(b.Bytes())
	return err
}

// plural returns a noun for n of a thing.
func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// writeFiles prints the statistics of picture files.
func writeFiles(w io.Writer, f *data.FileStatistics) {
	if f == nil {
		return
	}
	size := func(s [2]int) string { return fmt.Sprintf("%dx%d", s[0], s[1]) }
	fmt.Fprintf(w, "sizes: smallest %s, median %s, largest %s\n", size(f.Smallest), size(f.Median), size(f.Largest))
	fmt.Fprintf(w, "formats: %s\n", counts(f.Formats))
	fmt.Fprintf(w, "colours: %s", counts(map[string]int{"colour": f.Colour, "gray": f.Gray}))
	if f.Transparent > 0 {
		fmt.Fprintf(w, "; %s with transparent pixels", humanize.Comma(int64(f.Transparent)))
	}
	if f.Turned > 0 {
		fmt.Fprintf(w, "; %s turned upright by their EXIF orientation", humanize.Comma(int64(f.Turned)))
	}
	fmt.Fprintln(w)
	if len(f.Unsupported) > 0 {
		fmt.Fprintf(w, "unsupported formats, not read: %s\n", counts(f.Unsupported))
	}
}

// counts returns "12 jpeg, 3 png", the largest number first.
func counts(of map[string]int) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		if of[name] > 0 {
			names = append(names, name)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return of[b] - of[a] })
	for i, name := range names {
		names[i] = humanize.Comma(int64(of[name])) + " " + name
	}
	return strings.Join(names, ", ")
}

// writeClasses prints a table of the numbers of images.
func writeClasses(out io.Writer, e *data.Examination) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	row := func(name string, number func(data.ExaminedSet) int) {
		fmt.Fprintf(w, "%s\t", printable.Text(name))
		for _, p := range e.Parts {
			fmt.Fprintf(w, "%s\t", humanize.Comma(int64(number(p))))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "\nclass\t")
	for _, p := range e.Parts {
		fmt.Fprintf(w, "%s\t", p.Name)
	}
	fmt.Fprintln(w)
	for i, class := range e.Classes[:min(len(e.Classes), maxClassLines)] {
		row(strings.ReplaceAll(class, "\t", `\t`), func(p data.ExaminedSet) int { return p.PerClass[i] })
	}
	row("all", func(p data.ExaminedSet) int { return p.Images })
	_ = w.Flush() // into memory
	if n := len(e.Classes) - maxClassLines; n > 0 {
		fmt.Fprintf(out, "%s more classes (-json lists all)\n", humanize.Comma(int64(n)))
	}
}

// writeSome prints a title with the number of lines, and the first of them.
func writeSome(w io.Writer, title string, lines []string, limit int) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s: %s\n", title, humanize.Comma(int64(len(lines))))
	for _, line := range lines[:min(len(lines), limit)] {
		fmt.Fprintf(w, "  %s\n", printable.Text(line))
	}
	if n := len(lines) - limit; n > 0 {
		fmt.Fprintf(w, "  %s more (-json lists all)\n", humanize.Comma(int64(n)))
	}
}

// findingTitles returns the title of each kind of finding, in the order of the report.
func findingTitles() []struct {
	kind  data.FindingKind
	title string
} {
	return []struct {
		kind  data.FindingKind
		title string
	}{
		{data.LeakedImage, "SERIOUS: the same image in two parts, which makes the accuracy too high"},
		{data.ContradictoryImage, "the same image in two classes"},
		{data.RepeatedImage, "images that are repeated in a class"},
		{data.EmptyImage, "images of nearly a single colour"},
		{data.OddImage, "pictures of unusual size or proportions"},
		{data.SmallClass, "classes of few images"},
		{data.UntestedClass, "classes without test images"},
		{data.Imbalanced, "classes of very different numbers of images"},
		{data.SimilarNames, "classes of nearly the same name"},
	}
}

// writeFindings prints the findings by kind, or that there are none.
func writeFindings(w io.Writer, e *data.Examination) {
	if len(e.Findings) == 0 {
		fmt.Fprintln(w, "\nnothing unusual was found")
		return
	}
	for _, t := range findingTitles() {
		var lines []string
		for _, f := range e.Findings {
			if f.Kind == t.kind {
				lines = append(lines, findingText(f))
			}
		}
		writeSome(w, t.title, lines, maxFindingLines)
	}
}

// findingText returns a finding in one line.
func findingText(f data.Finding) string {
	if len(f.Images) == 0 {
		return f.Text
	}
	const most = 4
	var names []string
	for _, im := range f.Images[:min(len(f.Images), most)] {
		name := im.String()
		if f.Kind == data.ContradictoryImage {
			name += " (" + im.Class + ")"
		}
		names = append(names, name)
	}
	if n := len(f.Images) - most; n > 0 {
		names = append(names, fmt.Sprintf("%d more", n))
	}
	if len(f.Images) == 1 {
		return names[0] + ": " + f.Text
	}
	return strings.Join(names, " = ")
}
