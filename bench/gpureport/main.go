// Command gpureport writes the results of scripts/gpu-report.sh as one Markdown file. It is not meant to be run by hand.
//
//	gpureport -in FOLDER -out report.md [-dry]
//
// The folder has the output of the stages: stages.tsv, facts.tsv, doctor.json, machine.csv, the output of benchmarks and
// tests (*.log), run folders (runs/NAME), and the tables of bench/peers (*.md) and of profilers (*.csv). Sections without a
// file are left out. For the software emulation of CUDA no speed is written, whatever the files say.
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
	in := flag.String("in", "", "`folder` with the output of the stages")
	out := flag.String("out", "", "`file` to write")
	dry := flag.Bool("dry", false, "write no speeds, because it was a dry run")
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

// emulation is the name of the devices of package cudasim.
const emulation = "software emulation"

// report is the text being written.
type report struct {
	strings.Builder
	folder   string
	emulated bool // no speeds
	stages   []stage
}

// write returns the report on a folder. It lists the files that can't be read.
func write(folder string, dry bool) string {
	r := &report{folder: folder, emulated: dry}
	var failures []error
	for _, section := range []func() error{
		r.machine, r.stageTable, r.correctness, r.steps, r.include("peers.md"), r.trainings, r.starts, r.timeTo80, r.include("torch-train.md"),
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

// read returns the text of a file in the folder, or "" if it is missing.
func (r *report) read(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(r.folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

// include returns a section that is the unchanged text of a file.
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

// heading adds a heading, and the command of the stage that measured the numbers below it.
func (r *report) heading(title, stageName string) {
	r.line("## %s\n", title)
	for _, s := range r.stages {
		if s.name == stageName && s.command != "" {
			r.line("`%s`\n", s.command)
		}
	}
}

// table adds a table. Columns whose title begins with > are aligned to the right.
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

// digits returns a number with three digits or more.
func digits(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
