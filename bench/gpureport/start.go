package main

import (
	"fmt"
	"strconv"
	"strings"
)

// starts is the table of whole processes, from their start to their end, with the parts that they print. The file has a line
// with a name and seconds, separated by a tab, after the lines that the process printed.
func (r *report) starts() error {
	text, err := r.read("start.log")
	if err != nil || text == "" || r.emulated {
		return err
	}
	var rows [][]string
	var parts []string
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if part, ok := strings.CutPrefix(line, "trainer: "); ok {
			parts = append(parts, strings.ReplaceAll(part, "|", "\\|"))
			continue
		}
		name, number, ok := strings.Cut(line, "\t")
		if !ok {
			continue
		}
		seconds, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return fmt.Errorf("start.log: %w", err)
		}
		rows = append(rows, []string{name, fmt.Sprintf("%.2f s", seconds), strings.Join(parts, "<br>")})
		parts = nil
	}
	if len(rows) == 0 {
		return nil
	}
	r.heading("From process start to final line", "start")
	r.table([]string{"process", ">whole", "parts, in seconds since its start"}, rows)
	return nil
}
