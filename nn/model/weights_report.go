package model

import (
	"fmt"
	"strings"
)

// Report says which weights Weights.Apply used.
type Report struct {
	Path    string
	Loaded  int      // tensors of the network that have the file's values
	ByShape int      // of these, how many were matched by their shape
	Fresh   []Fresh  // tensors of the network that keep their first values
	Left    []string // tensors of the file that are unused
}

// Fresh is a tensor that keeps its first values.
type Fresh struct {
	Name string
	Why  string // such as "not in the file"
}

// String returns the report in one line.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: loaded %d of %d tensors", r.Path, r.Loaded, r.Loaded+len(r.Fresh))
	if r.ByShape > 0 {
		fmt.Fprintf(&b, ", %d of them by their shape", r.ByShape)
	}
	var reasons []string
	names := map[string][]string{} // by reason
	for _, f := range r.Fresh {
		if names[f.Why] == nil {
			reasons = append(reasons, f.Why)
		}
		names[f.Why] = append(names[f.Why], f.Name)
	}
	for _, why := range reasons {
		fmt.Fprintf(&b, "; fresh: %s (%s)", shortList(names[why]), why)
	}
	if len(r.Left) > 0 {
		fmt.Fprintf(&b, "; unused in the file: %s", shortList(r.Left))
	}
	return b.String()
}

// shortList joins the first names of a list.
func shortList(names []string) string {
	const shown = 4
	text := strings.Join(names[:min(shown, len(names))], ", ")
	if more := len(names) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
