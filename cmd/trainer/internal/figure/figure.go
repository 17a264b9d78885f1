// Package figure draws a network and its results: the architecture, the curves of its training, its confusion matrix, its
// first filters, its predictions, and its feature maps.
//
// Every function writes one picture in the format PNG or SVG. The same input gives the same bytes. The colours are those of
// Okabe and Ito ("Color Universal Design", 2008), which people with any colour vision can distinguish; if a colour means
// right or wrong, a text says it too.
package figure

import (
	"fmt"
	"slices"
	"strings"
)

// Formats returns the formats of pictures.
func Formats() []string { return []string{"png", "svg"} }

// checkFormat returns an error unless the format is one of Formats.
func checkFormat(format string) error {
	if slices.Contains(Formats(), format) {
		return nil
	}
	return fmt.Errorf("format %q, want one of %s", format, strings.Join(Formats(), ", "))
}
