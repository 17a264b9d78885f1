package recipe

import (
	"context"
	"errors"
	"fmt"

	"trainer/nn/bounded"
)

// Recipes come from strangers, and TOML lets a few bytes stand for much: a key of 40,000 parts is 40,000 tables within
// each other. These limits are far above what a network needs; they are checked before the text is parsed.
const (
	maxText     = 1 << 20 // bytes of a file
	maxKeys     = 10_000
	maxElements = 100_000 // of all lists and inline tables
	maxDepth    = 32      // lists and tables within each other, and parts of a key
	maxFilled   = 1 << 20 // values that blocks expand to
)

// readFile reads a recipe's file.
func readFile(path string) ([]byte, error) {
	text, err := bounded.ReadFile(context.Background(), path, maxText)
	if _, ok := errors.AsType[*bounded.LimitError](err); ok {
		return nil, Errors{{File: path, Msg: tooLarge}}
	}
	return text, err
}

var tooLarge = fmt.Sprintf("the file is too large for a recipe: want at most %d KiB", maxText>>10)

// checkLimits returns an error if a text exceeds one of the limits. It knows of TOML only what keeps strings and comments
// apart from the rest.
func checkLimits(file string, text []byte) error {
	if len(text) > maxText {
		return Errors{{File: file, Msg: tooLarge}}
	}
	c := counts{line: 1}
	for i := 0; i < len(text); {
		i += c.next(text[i:])
		if msg := c.excess(); msg != "" {
			return Errors{{File: file, Line: c.line, Msg: msg}}
		}
	}
	return nil
}

// counts are the sizes of a text so far.
type counts struct {
	line, keys, elements int
	depth, parts         int // brackets that are open, and dots of the present key or number
}

// excess says which limit is exceeded; "" if none is.
func (c *counts) excess() string {
	switch {
	case c.keys > maxKeys:
		return fmt.Sprintf("more than %d keys", maxKeys)
	case c.elements > maxElements:
		return fmt.Sprintf("more than %d elements of lists", maxElements)
	case c.depth > maxDepth:
		return fmt.Sprintf("more than %d lists or tables within each other", maxDepth)
	case c.parts > maxDepth:
		return fmt.Sprintf("a key of more than %d parts", maxDepth)
	}
	return ""
}

// next counts the token at the beginning of text and returns its length.
func (c *counts) next(text []byte) int {
	switch text[0] {
	case '\n':
		c.line++
		c.parts = 0
	case '#':
		return lineLength(text)
	case '"', '\'':
		n := stringLength(text)
		for _, b := range text[:n] {
			if b == '\n' {
				c.line++
			}
		}
		return n
	case '=':
		c.keys++
		c.parts = 0
	case ',':
		c.elements++
		c.parts = 0
	case '[', '{':
		c.depth++
		c.parts = 0
	case ']', '}':
		c.depth = max(0, c.depth-1)
	case '.':
		c.parts++
	}
	return 1
}

// lineLength returns the number of bytes before the end of the line.
func lineLength(text []byte) int {
	for i, b := range text {
		if b == '\n' {
			return i
		}
	}
	return len(text)
}

// stringLength returns the length of the string, with its quotes, that text begins with. A string of one line that isn't
// closed ends with its line, and one of several lines with the text.
func stringLength(text []byte) int {
	quote := text[0]
	n := 1 // quotes at either end
	if len(text) > 2 && text[1] == quote && text[2] == quote {
		n = 3
	}
	closing := 0
	for i := n; i < len(text); i++ {
		switch {
		case text[i] == quote:
			if closing++; closing == n {
				return i + 1
			}
			continue
		case text[i] == '\\' && quote == '"':
			i++
		case text[i] == '\n' && n == 1:
			return i
		}
		closing = 0
	}
	return len(text)
}
