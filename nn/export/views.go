package export

import (
	"fmt"

	"trainer/nn/model"
)

// Test-time views are left to the caller: an exported network answers for an image as it is, in the time of one view. A
// file says so if its recipe averages the test over several.

// viewsNote returns what a file says about the views of its recipe, or "".
func viewsNote(m *model.Model) string {
	n := len(m.Views())
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("none: the network computes each image as it is; the recipe's test averages its outputs over %d views", n)
}

// addViews adds the note to a file's metadata.
func addViews(meta map[string]string, m *model.Model) {
	if note := viewsNote(m); note != "" {
		meta[model.KeyViews] = note
	}
}
