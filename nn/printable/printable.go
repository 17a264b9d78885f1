// Package printable makes text of strangers safe to show: the names of files, classes, recipes and layers, what archives,
// checkpoints and configurations contain. On a terminal, control characters in a name could move the cursor, change the
// title or hide what was printed; a line break could forge a line; invisible characters that change the direction of
// writing could disguise a name.
//
// Everything the program prints goes through [Writer], the last net. Where a name must stay on its line, [Text] has made
// it so before.
package printable

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns a text in one line that is safe to show: everything that isn't printable, line breaks and tabs included, is
// written as an escape sequence of Go and JSON.
func Text(text string) string { return escape(text, isPrint) }

// isPrint reports whether a character is visible, or a space.
func isPrint(c rune) bool { return unicode.IsPrint(c) || unicode.Is(unicode.Zs, c) }

// isHarmless reports whether a character may be in the program's output. Tabs and line breaks may.
func isHarmless(c rune) bool {
	switch {
	case c == '\n', c == '\t':
		return true
	case unicode.IsControl(c), c == '\u2028', c == '\u2029':
		return false
	}
	return !unicode.Is(unicode.Bidi_Control, c)
}

// escape returns the text with escapes for the characters that aren't allowed, and for bytes that aren't UTF-8.
func escape(text string, allowed func(rune) bool) string {
	if strings.IndexFunc(text, func(c rune) bool { return c == utf8.RuneError || !allowed(c) }) < 0 {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		c, n := utf8.DecodeRuneInString(text)
		switch {
		case c == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case allowed(c):
			b.WriteString(text[:n])
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, c)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
		text = text[n:]
	}
	return b.String()
}

// Writer returns a writer to w that escapes control characters other than line breaks and tabs, those that change the
// direction of writing, and bytes that aren't UTF-8.
func Writer(w io.Writer) io.Writer { return &writer{w: w} }

type writer struct {
	w    io.Writer
	rest []byte // the beginning of a character whose other bytes come with the next Write
}

// Write returns len(p) if what became of p was written as a whole.
func (w *writer) Write(p []byte) (int, error) {
	text := append(w.rest, p...)
	whole := len(text) - incomplete(text)
	w.rest = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(w.w, escape(string(text[:whole]), isHarmless)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// incomplete returns the number of bytes at the end of a text that may begin a character.
func incomplete(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		tail := text[len(text)-n:]
		if utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
