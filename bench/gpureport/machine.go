package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"

	"trainer/gpu/doctor"
)

// machine is the head of the report: what was measured, when, and with which programs.
func (r *report) machine() error {
	if err := r.readStages(); err != nil {
		return err
	}
	d, err := r.diagnosis()
	if err != nil {
		return err
	}
	name := "no GPU"
	if d != nil && len(d.GPUs) > 0 {
		name = d.GPUs[0].Name
		r.emulated = r.emulated || strings.Contains(name, emulation)
	}
	r.line("# On a GPU: %s\n", name)
	if r.emulated {
		r.line("A dry run of `scripts/gpu-report.sh` on a %s of CUDA. It checks the script and shows nothing about a GPU. Speeds are left out.\n", emulation)
	} else {
		r.line("Written by `scripts/gpu-report.sh`. Speeds are medians, with the minimum and maximum of the samples or runs; ± is the standard deviation over seeds.\n")
	}
	rows, err := r.facts(d)
	if err != nil {
		return err
	}
	r.table([]string{"", ""}, rows)
	return nil
}

// diagnosis reads the output of trainer doctor -json; it is nil if there is none.
func (r *report) diagnosis() (*doctor.Diagnosis, error) {
	text, err := r.read("doctor.json")
	if err != nil || strings.TrimSpace(text) == "" {
		return nil, err
	}
	d := &doctor.Diagnosis{}
	if err := json.Unmarshal([]byte(text), d); err != nil {
		return nil, fmt.Errorf("doctor.json: %w", err)
	}
	return d, nil
}

// facts returns the lines of facts.tsv (name and value) and the findings of the doctor and of nvidia-smi.
func (r *report) facts(d *doctor.Diagnosis) (rows [][]string, err error) {
	text, err := r.read("facts.tsv")
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if name, value, ok := strings.Cut(line, "\t"); ok {
			rows = append(rows, []string{name, value})
		}
	}
	if d != nil {
		rows = append(rows, []string{"doctor", d.Verdict})
		for _, l := range append([]doctor.Library{d.Driver.Library}, d.Libraries...) {
			rows = append(rows, []string{l.Name, libraryText(l)})
		}
		for _, g := range d.GPUs {
			rows = append(rows, []string{fmt.Sprintf("cuda:%d", g.Index), fmt.Sprintf("%s, compute capability %s, %.1f GiB", g.Name, g.ComputeCapability, float64(g.Memory)/(1<<30))})
		}
	}
	smi, err := r.smi()
	return append(rows, smi...), err
}

// smi returns the columns of machine.csv as rows. nvidia-smi wrote one line of it per call.
func (r *report) smi() (rows [][]string, err error) {
	text, err := r.read("machine.csv")
	if err != nil || text == "" {
		return nil, err
	}
	reader := csv.NewReader(strings.NewReader(text))
	reader.TrimLeadingSpace, reader.FieldsPerRecord = true, -1
	lines, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("machine.csv: %w", err)
	}
	if len(lines) < 2 {
		return nil, nil
	}
	for column, title := range lines[0] {
		var values []string
		for _, line := range lines[1:] {
			if column < len(line) && (len(values) == 0 || values[len(values)-1] != line[column]) {
				values = append(values, line[column])
			}
		}
		rows = append(rows, []string{"nvidia-smi: " + title, strings.Join(values, " → ")})
	}
	return rows, nil
}

// libraryText returns the version of a library, or why it was not loaded.
func libraryText(l doctor.Library) string {
	text := l.Version
	if l.CUDA != "" {
		text += " for CUDA " + l.CUDA
	}
	return strings.TrimSpace(text + " " + l.Reason)
}
