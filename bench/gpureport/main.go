// Command gpureport writes what scripts/gpu-report.sh found as one Markdown file. It is not meant to be run by hand.
//
//	gpureport -in FOLDER -out report.md [-dry]
//
// The folder has what the stages left: stages.tsv, facts.tsv, doctor.json, machine.csv, what benchmarks and tests
// printed (*.log), runs/NAME of trainer, tables of bench/peers (*.md), and those of profilers (*.csv). What is missing is left out.
// Of the software emulation of CUDA no speed is written, whatever the files say.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	in := flag.String("in", "", "folder of what the stages left")
	out := flag.String("out", "", "file to write")
	dry := flag.Bool("dry", false, "it was a dry run: write no speeds")
	flag.Parse()
	if *in == "" || *out == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: gpureport -in FOLDER -out FILE [-dry]")
		os.Exit(2)
	}
	if err := os.WriteFile(*out, []byte(write(*in, *dry)), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "gpureport:", err)
		os.Exit(1)
	}
}

// emulation is how the devices of package cudasim are called.
const emulation = "software emulation"

// report is what is being written.
type report struct {
	strings.Builder
	folder   string
	emulated bool // no speeds
	stages   []stage
}

// write returns the report of a folder. A file that is there and can't be read is named in it, and the rest is
// written all the same.
func write(folder string, dry bool) string {
	r := &report{folder: folder, emulated: dry}
	var failures []error
	for _, section := range []func() error{
		r.machine, r.stageTable, r.correctness, r.steps, r.include("peers.md"), r.trainings, r.wayTo80, r.include("torch-train.md"),
		r.precisions, r.busy, r.kernels, r.againstCuDNN, r.profile,
	} {
		if err := section(); err != nil {
			failures = append(failures, err)
		}
	}
	if len(failures) > 0 {
		r.heading("Not shown", "")
		for _, err := range failures {
			r.line("- %v", err)
		}
	}
	return strings.TrimSpace(r.String()) + "\n"
}

// read returns the text of a file in the folder, "" where it isn't there.
func (r *report) read(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(r.folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

// include returns the section that is a file as it stands.
func (r *report) include(name string) func() error {
	return func() error {
		text, err := r.read(name)
		if text != "" {
			r.line("%s\n", strings.TrimSpace(text))
		}
		return err
	}
}

// line adds a line.
func (r *report) line(format string, args ...any) { fmt.Fprintf(r, format+"\n", args...) }

// heading adds a heading, and the command of a stage that gave the numbers below it.
func (r *report) heading(title, stageName string) {
	r.line("## %s\n", title)
	for _, s := range r.stages {
		if s.name == stageName && s.command != "" {
			r.line("`%s`\n", s.command)
		}
	}
}

// table adds a table. Columns whose title begins with > hold numbers, to the right.
func (r *report) table(titles []string, rows [][]string) {
	rule := make([]string, len(titles))
	head := make([]string, len(titles))
	for i, t := range titles {
		rule[i] = "---"
		if name, number := strings.CutPrefix(t, ">"); number {
			t, rule[i] = name, "---:"
		}
		head[i] = t
	}
	for _, row := range append([][]string{head, rule}, rows...) {
		r.line("| %s |", strings.Join(row, " | "))
	}
	r.line("")
}

// code marks a text as a name.
func code(s string) string { return "`" + strings.ReplaceAll(s, "|", "\\|") + "`" }

// digits writes a number with three digits or more.
func digits(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
