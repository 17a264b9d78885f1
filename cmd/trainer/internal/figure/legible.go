package figure

import (
	"golang.org/x/image/font/sfnt"
	"gonum.org/v1/plot/font/liberation"
)

// Legible reports whether the figures' font (Liberation Sans, which has Latin, Greek, Cyrillic and Hebrew) has every
// character of a text. An SVG figure needs no such font: its viewer chooses one.
func Legible(text string) bool {
	var buffer sfnt.Buffer
	for _, face := range liberation.Collection() {
		if face.Font.Variant != "Sans" {
			continue
		}
		for _, r := range text {
			if glyph, err := face.Face.GlyphIndex(&buffer, r); err != nil || glyph == 0 {
				return false
			}
		}
		return true
	}
	return false
}
