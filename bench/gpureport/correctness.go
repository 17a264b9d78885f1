package main

import (
	"bufio"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// correctness counts tests, and shows the differences between GPU and CPU.
func (r *report) correctness() error {
	var rows [][]string
	for _, log := range []struct{ name, what string }{
		{"conformance", "every operation against a float64 reference, counting its cases"},
		{"gpu-tests", "the other tests of package gpu that run on a GPU"},
		{"training", "whole trainings, compared with the CPU, other precisions and resumed runs"},
		{"parity", "every recipe's first steps against the CPU"},
	} {
		text, err := r.read(log.name + ".log")
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		passed, failed, skipped := count(text)
		rows = append(rows, []string{log.name, log.what, fmt.Sprint(passed), fmt.Sprint(len(failed)), fmt.Sprint(skipped), strings.Join(failed, ", ")})
	}
	sanitizer, err := r.sanitizer()
	if err != nil {
		return err
	}
	if len(rows) == 0 && len(sanitizer) == 0 {
		return nil
	}
	r.heading("Correctness", "")
	if len(rows) > 0 {
		r.table([]string{"stage", "what", ">passed", ">failed", ">skipped", "failures"}, rows)
	}
	if len(sanitizer) > 0 {
		r.table([]string{"compute-sanitizer", "summary"}, sanitizer)
	}
	for _, name := range []string{"conformance", "gpu-tests", "training", "parity", "memcheck", "racecheck", "initcheck"} {
		r.command(name, name)
	}
	return r.parity()
}

var testLine = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+)`)

// maxNamed is the number of failed tests that are named.
const maxNamed = 20

// count counts the tests and subtests in a log of go test -v, and names those that failed.
func count(text string) (passed int, failed []string, skipped int) {
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m := testLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		switch m[1] {
		case "PASS":
			passed++
		case "SKIP":
			skipped++
		default:
			failed = append(failed, code(m[2]))
		}
	}
	if len(failed) > maxNamed {
		failed = append(failed[:maxNamed], fmt.Sprintf("and %d more", len(failed)-maxNamed))
	}
	return passed, failed, skipped
}

// sanitizer returns the summaries of compute-sanitizer's tools.
func (r *report) sanitizer() (rows [][]string, err error) {
	for _, tool := range []string{"memcheck", "racecheck", "initcheck"} {
		text, err := r.read(tool + ".log")
		if err != nil {
			return nil, err
		}
		for _, line := range strings.Split(text, "\n") {
			if _, summary, ok := strings.Cut(line, "SUMMARY: "); ok {
				rows = append(rows, []string{tool, summary})
			}
		}
	}
	return rows, nil
}

var (
	apart   = regexp.MustCompile(`step \d+: loss \S+ on the CPU \S+ (\S+) apart, relatively`)
	running = regexp.MustCompile(`^=== RUN\s+TestRecipes/(\S+)/(\S+)`)
)

// parity is the table of the largest differences, with one row per recipe and one column per precision.
func (r *report) parity() error {
	text, err := r.read("parity.log")
	if err != nil || text == "" {
		return err
	}
	largest := map[[2]string]float64{}
	var recipes, precisions []string
	var at [2]string
	for _, line := range strings.Split(text, "\n") {
		if m := running.FindStringSubmatch(line); m != nil {
			at = [2]string{m[1], m[2]}
			if !slices.Contains(recipes, m[1]) {
				recipes = append(recipes, m[1])
			}
			if !slices.Contains(precisions, m[2]) {
				precisions = append(precisions, m[2])
			}
		}
		if m := apart.FindStringSubmatch(line); m != nil {
			if x, err := strconv.ParseFloat(m[1], 64); err == nil {
				largest[at] = max(largest[at], x)
			}
		}
	}
	if len(largest) == 0 {
		return nil
	}
	r.line("Largest relative difference between the GPU's and the CPU's losses in the first steps:\n")
	titles := []string{"recipe"}
	for _, p := range precisions {
		titles = append(titles, ">"+p)
	}
	var rows [][]string
	for _, name := range recipes {
		row := []string{code(name)}
		for _, p := range precisions {
			text := "–"
			if x, ok := largest[[2]string{name, p}]; ok {
				text = fmt.Sprintf("%.1e", x)
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	r.table(titles, rows)
	return nil
}
