package main

import (
	"fmt"
	"strings"
)

// stage is one line of stages.tsv: a stage of the script and its result.
type stage struct {
	name, result   string // result: ok, failed, stopped, skipped
	seconds, limit string
	remark         string
	command        string
}

// readStages reads stages.tsv: name, result, seconds, limit, remark and command, separated by tabs. It returns the first error, after
// the lines that can be read.
func (r *report) readStages() error {
	text, err := r.read("stages.tsv")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(text, "\n") {
		f := strings.Split(line, "\t")
		switch {
		case len(f) == 6:
			r.stages = append(r.stages, stage{f[0], f[1], f[2], f[3], f[4], f[5]})
		case line != "" && err == nil:
			err = fmt.Errorf("stages.tsv: the line %q has %d fields, want 6", line, len(f))
		}
	}
	return err
}

// stageTable lists the stages.
func (r *report) stageTable() error {
	if len(r.stages) == 0 {
		return nil
	}
	r.heading("Stages", "")
	var rows [][]string
	for _, s := range r.stages {
		remark := strings.ReplaceAll(s.remark, "|", "\\|")
		result := s.result
		if result != "ok" && result != "skipped" {
			result = "**" + result + "**"
		}
		rows = append(rows, []string{s.name, result, s.seconds, s.limit, remark})
	}
	r.table([]string{"stage", "result", ">seconds", ">limit", "remark"}, rows)
	return nil
}
