package cockpit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"trainer/nn"
	"trainer/nn/recipe"
)

// MistakesOf lists what an error says is wrong with the recipe in a file, by line where that is known.
func MistakesOf(file string, err error) (all []Mistake) {
	if list, ok := errors.AsType[recipe.Errors](err); ok {
		for _, e := range list {
			text := e.Msg
			if e.Key != "" {
				text = e.Key + ": " + text
			}
			all = append(all, Mistake{Line: e.Line, Text: text})
		}
		return all
	}
	if e, ok := errors.AsType[*nn.LayerError](err); ok {
		if line, err := strconv.Atoi(strings.TrimPrefix(e.Place, file+":")); err == nil {
			return []Mistake{{Line: line, Text: fmt.Sprintf("layer %s: %v", e.Layer, e.Err)}}
		}
	}
	return []Mistake{{Text: strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")}}
}
