package setting

import (
	"fmt"
	"strings"
)

// Show makes figures show the setting if it isn't the default. format is for fmt.Sprintf, with the value as its
// argument. A pair is shown as 3×5 or 3×3, or with %d as one number if both are equal; for a flag there is no argument.
func (s *Setting) Show(format string) *Setting {
	s.show = func() string {
		if _, ok := s.value.(*flag); ok {
			return format
		}
		return fmt.Sprintf(format, s.value.text())
	}
	return s
}

// ShowPercent is Show for a fraction, as a percentage.
func (s *Setting) ShowPercent() *Setting {
	s.show = func() string { return fmt.Sprintf("%.3g%%", 100*s.value.text().(float64)) }
	return s
}

// shown returns the setting's text in a figure, or "".
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

// Shown describes the settings that figures show and that are not at their defaults, such as "3×3, stride 2".
func (l *List) Shown() string {
	var parts []string
	for _, s := range l.settings {
		if text := s.shown(); text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ", ")
}
