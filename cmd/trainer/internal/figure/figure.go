// Package figure draws what a reader wants to see of a network: its architecture, the
// curves of its training, its confusion matrix, its first filters, what it makes of some
// images, and the activations on the way.
//
// Every function writes one picture in the format PNG or SVG. The same input gives the
// same bytes. Colours are those of Okabe and Ito ("Color Universal Design", 2008), which
// people with any colour vision tell apart; where colour means right or wrong, the text says
// it too.
package figure

import (
	"fmt"
	"slices"
	"strings"
)

// Formats returns the formats that pictures can have.
func Formats() []string { return []string{"png", "svg"} }

// checkFormat returns an error unless the format is one of Formats.
func checkFormat(format string) error {
	if slices.Contains(Formats(), format) {
		return nil
	}
	return fmt.Errorf("format %q, need one of %s", format, strings.Join(Formats(), ", "))
}
