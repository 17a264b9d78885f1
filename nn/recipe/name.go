package recipe

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"trainer/nn/setting"
)

// maxName is the largest number of characters of a recipe's name.
const maxName = 100

// setName sets the name. Pictures and folders get names from it and it is printed, so it can be neither a path nor a
// control sequence.
func (r *Recipe) setName(v any) error {
	name, ok := v.(string)
	if !ok {
		return fmt.Errorf("want a string, got %s", setting.Describe(v))
	}
	if !isFileName(name) {
		return fmt.Errorf("want 1 to %d printable characters, none of them / \\ or :, the first not a dot, got %.200q", maxName, name)
	}
	r.Name = name
	return nil
}

// isFileName reports whether a name can be part of a file's name, on any system.
func isFileName(name string) bool {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxName || name[0] == '.' || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) || strings.ContainsRune(`/\:`, c) })
}
