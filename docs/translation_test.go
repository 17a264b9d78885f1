package docs_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// A translation can fall behind its original without anybody noticing. What doesn't depend on the language must be the same in
// each section of both: the level and the number of the heading, formulas, blocks of code, code in the text, figures, links, numbers,
// and how many paragraphs, items and rows of tables there are.

// originals are the documents that are translated, by their translations. Paths are those of this project.
var originals = map[string]string{
	"docs/README.vi.md":          "README.md",
	"docs/backpropagation.vi.md": "docs/backpropagation.md",
}

// section is a heading and what follows it up to the next one, without what depends on the language.
type section struct {
	heading string // as it is written, for messages
	parts   map[string][]string
}

// The syntax of the documents.
var (
	fence         = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")
	headingLine   = regexp.MustCompile(`^(#+) +((\d+)\.)?`)
	shellComment  = regexp.MustCompile(`(?m) *#.*$`)
	formulaText   = regexp.MustCompile(`\\text\{[^}]*\}`)
	inlineFormula = regexp.MustCompile("(?s)\\$`(.+?)`\\$|\\$(.+?)\\$")
	inlineCode    = regexp.MustCompile("(?s)`(.+?)`")
	figureOrLink  = regexp.MustCompile(`(!?)\[[^\]]*\]\(([^)\s]+)\)`)
	numeral       = regexp.MustCompile(`\d+([.,]\d+)*`)
)

func TestTranslations(t *testing.T) {
	for translation, original := range originals {
		t.Run(translation, func(t *testing.T) {
			got, want := sections(t, translation), sections(t, original)
			for i := range min(len(got), len(want)) {
				for _, part := range slices.Sorted(maps.Keys(want[i].parts)) {
					if a, b := got[i].parts[part], want[i].parts[part]; !slices.Equal(a, b) {
						t.Errorf("%q and %q: %s differ\ntranslation: %q\noriginal:    %q", got[i].heading, want[i].heading, part, without(a, b), without(b, a))
					}
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d headings, the original has %d", len(got), len(want))
			}
		})
	}
}

// sections reads a document, whose path is that in this project.
func sections(t *testing.T, document string) (all []section) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(document)))
	if err != nil {
		t.Fatal(err)
	}
	// Code is put in place of its block as one line, in which a line with # is no heading.
	blocks := map[string]string{}
	prose := fence.ReplaceAllStringFunc(string(text), func(block string) string {
		name := fmt.Sprintf("\x00block%c", 'A'+rune(len(blocks)))
		blocks[name] = block
		return name
	})
	var headings []string
	var bodies [][]string
	for line := range strings.Lines(prose) {
		line = strings.TrimSuffix(line, "\n")
		if headingLine.MatchString(line) {
			headings, bodies = append(headings, line), append(bodies, nil)
		} else if len(bodies) > 0 {
			bodies[len(bodies)-1] = append(bodies[len(bodies)-1], line)
		}
	}
	for i, heading := range headings {
		all = append(all, section{heading, partsOf(t, document, heading, bodies[i], blocks, headings)})
	}
	return all
}

// partsOf collects what must be the same in a section of the original and of the translation.
func partsOf(t *testing.T, document, heading string, lines []string, blocks map[string]string, headings []string) map[string][]string {
	t.Helper()
	m := headingLine.FindStringSubmatch(heading)
	parts := map[string][]string{"headings": {m[1], m[3]}, "blocks of code": nil}
	count := func(part string, is func(line, before string) bool) {
		n, before := 0, ""
		for _, line := range lines {
			if is(line, before) {
				n++
			}
			before = line
		}
		parts["numbers of "+part] = []string{fmt.Sprint(n)}
	}
	count("paragraphs", func(line, before string) bool { return line != "" && before == "" })
	count("items", func(line, _ string) bool {
		return strings.HasPrefix(line, "- ") || regexp.MustCompile(`^\d+\. `).MatchString(line)
	})
	count("rows of tables", func(line, _ string) bool { return strings.HasPrefix(line, "|") })
	text := strings.Join(lines, "\n")
	for _, name := range regexp.MustCompile("\x00block.").FindAllString(text, -1) {
		parts["blocks of code"] = append(parts["blocks of code"], withoutWords(blocks[name]))
	}
	text = regexp.MustCompile("\x00block.").ReplaceAllString(text, "")
	take := func(part string, pattern *regexp.Regexp, value func(m []string) string) {
		for _, m := range pattern.FindAllStringSubmatch(text, -1) {
			parts[part] = append(parts[part], strings.Join(strings.Fields(value(m)), " "))
		}
		slices.Sort(parts[part]) // the order of words is the language's
		text = pattern.ReplaceAllString(text, "")
	}
	take("formulas", inlineFormula, func(m []string) string { return m[1] + m[2] })
	take("figures and links", figureOrLink, func(m []string) string { return m[1] + target(t, document, m[2], headings) })
	take("code in the text", inlineCode, func(m []string) string { return m[1] })
	take("numbers", numeral, func(m []string) string { return strings.NewReplacer(".", "", ",", "").Replace(m[0]) })
	return parts
}

// withoutWords returns a block of code without what a translation changes in it: the words in a formula, and the comments of a shell.
func withoutWords(block string) string {
	switch {
	case strings.HasPrefix(block, "```math"):
		return formulaText.ReplaceAllString(block, `\text{}`)
	case strings.HasPrefix(block, "```sh"):
		return shellComment.ReplaceAllString(block, "")
	}
	return block
}

// target returns where a link leads to: a path in this project, in place of a translation its original, and in place of a heading of
// the document itself its number.
func target(t *testing.T, document, link string, headings []string) string {
	t.Helper()
	if strings.Contains(link, "://") {
		return link
	}
	if anchor, ok := strings.CutPrefix(link, "#"); ok {
		i := slices.IndexFunc(headings, func(h string) bool { return anchorOf(h) == anchor })
		if i < 0 {
			t.Errorf("%s: no heading has the anchor #%s", document, anchor)
		}
		return fmt.Sprintf("heading %d", i)
	}
	file, anchor, _ := strings.Cut(link, "#")
	whole := path.Join(path.Dir(document), file)
	if original, ok := originals[whole]; ok {
		whole = original
	}
	return whole + "#" + anchor
}

// anchorOf returns the name that GitHub gives to a heading.
func anchorOf(heading string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return '-'
		case unicode.IsLetter(c), unicode.IsMark(c), unicode.IsDigit(c), c == '-', c == '_':
			return unicode.ToLower(c)
		}
		return -1
	}, strings.TrimLeft(heading, "# "))
}

// without returns the elements of a that b doesn't have as often.
func without(a, b []string) (rest []string) {
	b = slices.Clone(b)
	for _, x := range a {
		if i := slices.Index(b, x); i >= 0 {
			b = slices.Delete(b, i, i+1)
		} else {
			rest = append(rest, x)
		}
	}
	return rest
}
