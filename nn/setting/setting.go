package setting

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Setting is one setting of a value: a key of its table in recipes.
type Setting struct {
	Key      string
	Doc      string // a phrase in lower case, without the default
	Required bool   // recipes must give it

	list  *List
	value value
	words []word
	show  func() string // the text in a figure; nil for none
}

// value is a field that a setting is bound to.
type value interface {
	// set stores a value of a recipe: int64, float64, string, bool, []any or map[string]any. It returns
	// errMismatch when that isn't what want describes, or an error with a message of its own.
	set(v any) error
	// want describes valid values, such as "a number from 0".
	want() string
	// check returns an error when the field is out of bounds, such as "is -1, needs a number from 0".
	check() error
	isZero() bool
	setDefault()     // where the field is zero
	isDefault() bool // the field is zero or the default
	defaultText() string
	// text returns the field for fmt.Sprintf.
	text() any
}

// word is a string that stands in for a value. It sets the flag, or is a constant of the list.
type word struct {
	text string
	flag *bool
}

// errMismatch is a value of a recipe that isn't what was wanted.
var errMismatch = errors.New("mismatch")

// UnknownNameError is a name that is none of the valid ones.
type UnknownNameError struct {
	Name  string
	Valid []string
}

func (e *UnknownNameError) Error() string {
	return fmt.Sprintf("unknown value %q (valid: %s)", e.Name, strings.Join(e.Valid, ", "))
}

// Require makes the setting one that recipes must give. Its zero value is then out of bounds or of use
// itself.
func (s *Setting) Require() *Setting {
	s.Required = true
	return s
}

// OrFlag lets recipes give the word in place of a value, which sets the flag. A figure that shows the setting then
// has the word.
func (s *Setting) OrFlag(text string, flag *bool) *Setting {
	s.words = append(s.words, word{text, flag})
	return s
}

// OrConstant lets recipes give the word in place of a number. It stands for a number that the reader of the
// recipe knows, such as that of the classes (see [Edit]).
func (s *Setting) OrConstant(text string) *Setting {
	s.words = append(s.words, word{text, nil})
	return s
}

// Set stores a value of a recipe in the field: an int64, float64, string, bool, []any or map[string]any, as
// TOML decodes it. The error says what was wanted and what came, or is an *UnknownNameError.
func (s *Setting) Set(v any) error {
	if text, ok := v.(string); ok {
		for _, w := range s.words {
			if w.text == text {
				return s.setWord(w)
			}
		}
	}
	err := s.value.set(v)
	if errors.Is(err, errMismatch) {
		return fmt.Errorf("want %s%s, got %s", s.value.want(), s.alternatives(), Describe(v))
	}
	return err
}

func (s *Setting) setWord(w word) error {
	if w.flag != nil {
		*w.flag = true
		return nil
	}
	n, ok := s.list.constants[w.text]
	if !ok {
		return fmt.Errorf("%s is not known here", w.text)
	}
	return s.value.set(int64(n))
}

func (s *Setting) alternatives() string {
	text := ""
	for _, w := range s.words {
		text += fmt.Sprintf(" or %q", w.text)
	}
	return text
}

// Usage is the setting's line in a listing: its doc, the words that may stand in, and the default.
func (s *Setting) Usage() string {
	text := s.Doc
	for _, w := range s.words {
		text += fmt.Sprintf(", or %q", w.text)
	}
	if d := s.value.defaultText(); d != "" && !s.Required {
		text += " (" + d + ")"
	}
	return text
}

// Target returns what a nested setting is bound to (see [List.Nested]), and nil for any other.
func (s *Setting) Target() any {
	if n, ok := s.value.(*nested); ok {
		return n.target
	}
	return nil
}

// Show puts the setting into figures where it isn't the default. format is that of fmt.Sprintf, for the
// value. A pair is 3×5 or 3×3, with %d one number where both are equal; a flag is no argument.
func (s *Setting) Show(format string) *Setting {
	s.show = func() string {
		if _, ok := s.value.(*flag); ok {
			return format
		}
		return fmt.Sprintf(format, s.value.text())
	}
	return s
}

// ShowPercent is Show for a share, as a percentage.
func (s *Setting) ShowPercent() *Setting {
	s.show = func() string { return fmt.Sprintf("%.3g%%", 100*s.value.text().(float64)) }
	return s
}

// shown returns the setting's text in a figure, "" for none.
func (s *Setting) shown() string {
	if s.show == nil {
		return ""
	}
	for _, w := range s.words {
		if w.flag != nil && *w.flag {
			return w.text
		}
	}
	if s.value.isDefault() {
		return ""
	}
	return s.show()
}

// Shown describes the settings that figures have, where they are not the default, such as "3×3, stride 2".
func (l *List) Shown() string {
	var parts []string
	for _, s := range l.settings {
		if text := s.shown(); text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ", ")
}

// Describe shows a value of a recipe in a message, in a few words however long it is.
func Describe(v any) string {
	if list, ok := v.([]any); ok && len(list) <= 4 {
		parts := make([]string, len(list))
		for i, e := range list {
			parts[i] = describeElement(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return describeElement(v)
}

func describeElement(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case map[string]any:
		return "a table"
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	}
	return fmt.Sprint(v)
}
