package recipe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"trainer/nn/printable"
)

// Error is one mistake in a recipe.
type Error struct {
	File string // empty if the value was set by an assignment
	Line int    // in the file, from 1; 0 if unknown
	Key  string // path of the key, such as "network.0.out"; may be empty
	Msg  string

	order int
}

// Error returns "file:line: key: message", or "-set key: message" for a value that is not
// from the file.
func (e *Error) Error() string {
	where := "-set " + e.Key
	switch {
	case e.File != "" && e.Line > 0:
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	case e.File != "":
		where = e.File
	}
	if e.File != "" && e.Key != "" {
		where += ": " + e.Key
	}
	return printable.Text(where + ": " + e.Msg)
}

// SetError reports a change of a recipe with an invalid key.
type SetError struct{ Key, Msg string }

func (e *SetError) Error() string { return printable.Text("-set " + e.Key + ": " + e.Msg) }

// Errors is every mistake found in a recipe, in the order of the file.
type Errors []*Error

// maxErrorLines is the largest number of lines of Errors' text: any further mistakes are only counted.
const maxErrorLines = 3

// Error returns the first mistakes, one per line, and the number of the others.
func (e Errors) Error() string {
	var lines []string
	for i, err := range e {
		if i == maxErrorLines-1 && len(e) > maxErrorLines {
			lines = append(lines, fmt.Sprintf("and %d more mistakes", len(e)-i))
			break
		}
		lines = append(lines, err.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the individual mistakes.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i := range e {
		all[i] = e[i]
	}
	return all
}

func (e Errors) sort() {
	slices.SortStableFunc(e, func(a, b *Error) int { return a.order - b.order })
}

// Nearest returns the candidate that is closest to name by Levenshtein's distance, or "" if
// no candidate is close enough to be what was meant.
func Nearest(name string, candidates []string) string {
	best, score := "", 0.49 // 0.5: half of the letters differ
	for _, c := range candidates {
		if s := levenshtein.Similarity(strings.ToLower(name), strings.ToLower(c), nil); s > score {
			best, score = c, s
		}
	}
	return best
}

// Suggest returns the end of a message about an unknown name: the nearest valid name and
// the list of all valid names.
func Suggest(name string, valid []string) string {
	text := ""
	if n := Nearest(name, valid); n != "" {
		text = fmt.Sprintf(", did you mean %s?", n)
	}
	return text + " (valid: " + strings.Join(valid, ", ") + ")"
}
