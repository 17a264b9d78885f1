package setting

import (
	"fmt"
	"strings"
)

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
