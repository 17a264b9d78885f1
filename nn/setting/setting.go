package setting

import (
	"errors"
	"fmt"
	"strings"
)

// Setting is one setting of a value: a key of its table in recipes.
type Setting struct {
	Key      string
	Doc      string // a phrase in lower case, without the default
	Required bool   // recipes must set it

	list  *List
	value value
	words []word
	show  func() string // the text in a figure; nil if figures don't show it
}

// value is a field that a setting is bound to.
type value interface {
	// set stores a value of a recipe: int64, float64, string, bool, []any or map[string]any. It returns errMismatch if
	// v isn't what want describes, or an error with its own message.
	set(v any) error
	// want describes valid values, such as "a number from 0".
	want() string
	// check returns an error if the field is out of bounds, such as "is -1, needs a number from 0".
	check() error
	isZero() bool
	setDefault()     // if the field is zero
	isDefault() bool // the field is zero or the default
	defaultText() string
	// text returns the field for fmt.Sprintf.
	text() any
}

// errMismatch reports a value of a recipe that isn't what the setting wants.
var errMismatch = errors.New("mismatch")

// UnknownNameError reports an unknown name.
type UnknownNameError struct {
	Name  string
	Valid []string
}

func (e *UnknownNameError) Error() string {
	return fmt.Sprintf("unknown value %q (valid: %s)", e.Name, strings.Join(e.Valid, ", "))
}

// Require makes recipes set the setting. Zero is then either out of bounds or a valid value.
func (s *Setting) Require() *Setting {
	s.Required = true
	return s
}

// Set stores a value of a recipe in the field: an int64, float64, string, bool, []any or map[string]any, as TOML
// decodes it. The error says what the setting wants and what it got, or is an *UnknownNameError.
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

// Usage returns the setting's line in a listing: its doc, the words that are valid in place of a value, and the
// default.
func (s *Setting) Usage() string {
	text := s.Doc
	if c, ok := s.value.(interface{ names() []string }); ok {
		text += ": " + strings.Join(c.names(), ", ")
	}
	for _, w := range s.words {
		text += fmt.Sprintf(", or %q", w.text)
	}
	if d := s.value.defaultText(); d != "" && !s.Required {
		text += " (" + d + ")"
	}
	return text
}

// Target returns the field that a nested setting is bound to (see [List.Nested]), and nil for any other setting.
func (s *Setting) Target() any {
	if n, ok := s.value.(*nested); ok {
		return n.target
	}
	return nil
}
