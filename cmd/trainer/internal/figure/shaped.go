package figure

import (
	"cmp"
	"math"
	"slices"
	"unicode"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"
	"gonum.org/v1/plot/vg"
)

// Text in scripts other than those of Liberation Sans is shaped: Arabic letters take the form of their place in a word and
// run from right to left, and Indic vowels move before their consonants. The shapes are filled like any other.

// needsShaping reports whether a text can't be drawn letter by letter in Liberation Sans.
func (t *typefaces) needsShaping(text string) bool {
	for _, r := range text {
		if r > unicode.MaxLatin1 && (!hasOutline(t.faces[0], r) || unicode.In(r, unicode.Hebrew)) {
			return true
		}
	}
	return false
}

// ResolveFace makes typefaces the fonts of a shaping.Segmenter. A character that no font has gets Liberation's box.
func (t *typefaces) ResolveFace(r rune) *font.Face {
	if face := t.resolve(r); face != nil {
		return face
	}
	return t.faces[0]
}

// shape returns the runs of a text from left to right.
func (t *typefaces) shape(text string, size float64) []shaping.Output {
	runes := []rune(text)
	whole := shaping.Input{
		Text: runes, RunEnd: len(runes), Direction: direction(runes), Size: fixed.Int26_6(math.Round(64 * size)),
		Language: language.NewLanguage("en"),
	}
	var segmenter shaping.Segmenter
	var shaper shaping.HarfbuzzShaper
	var runs []shaping.Output
	for _, run := range segmenter.Split(whole, t) {
		runs = append(runs, shaper.Shape(run))
	}
	var wrapper shaping.LineWrapper
	config := shaping.WrapConfig{Direction: whole.Direction, DisableTrailingWhitespaceTrim: true}
	lines, _ := wrapper.WrapParagraph(config, math.MaxInt32>>6, runes, shaping.NewSliceIterator(runs))
	var ordered []shaping.Output
	for _, line := range lines { // only one: no width is exceeded
		ordered = append(ordered, line...)
	}
	slices.SortStableFunc(ordered, func(a, b shaping.Output) int { return cmp.Compare(a.VisualIndex, b.VisualIndex) })
	return ordered
}

// direction returns the direction of the first letter that has one.
func direction(text []rune) di.Direction {
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Arabic, unicode.Hebrew, unicode.Syriac, unicode.Thaana, unicode.Nko):
			return di.DirectionRTL
		case unicode.IsLetter(r):
			return di.DirectionLTR
		}
	}
	return di.DirectionLTR
}

// points returns a length of 26.6 fixed-point numbers.
func points(v fixed.Int26_6) float64 { return float64(v) / 64 }

// width returns the width of shaped runs.
func width(runs []shaping.Output) float64 {
	sum := 0.0
	for _, run := range runs {
		sum += points(run.Advance)
	}
	return sum
}

// fillShaped fills the glyphs of shaped runs, whose line begins at p.
func (s *page) fillShaped(runs []shaping.Output, p point) {
	for _, run := range runs {
		scale := points(run.Size) / float64(run.Face.Upem())
		for _, g := range run.Glyphs {
			at := point{p.x + points(g.XOffset), p.y - points(g.YOffset)}
			if outline, ok := run.Face.GlyphData(g.GlyphID).(font.GlyphOutline); ok && len(outline.Segments) > 0 {
				s.canvas.Fill(s.glyph(outline, at, scale))
			}
			p.x += points(g.Advance)
		}
	}
}

// glyph returns the path of a glyph at a point, its units scaled.
func (s *page) glyph(outline font.GlyphOutline, at point, scale float64) vg.Path {
	var path vg.Path
	place := func(p opentype.SegmentPoint) vg.Point {
		return s.at(point{at.x + scale*float64(p.X), at.y - scale*float64(p.Y)})
	}
	for i, segment := range outline.Segments {
		a := segment.Args
		switch segment.Op {
		case opentype.SegmentOpMoveTo:
			if i > 0 {
				path.Close()
			}
			path.Move(place(a[0]))
		case opentype.SegmentOpLineTo:
			path.Line(place(a[0]))
		case opentype.SegmentOpQuadTo:
			path.QuadTo(place(a[0]), place(a[1]))
		case opentype.SegmentOpCubeTo:
			path.CubeTo(place(a[0]), place(a[1]), place(a[2]))
		}
	}
	path.Close()
	return path
}
