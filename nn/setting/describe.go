package setting

import (
	"fmt"
	"strconv"
	"strings"
)

// Describe returns a short description of a recipe's value for a message, however long the value is.
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
