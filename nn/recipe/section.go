package recipe

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"trainer/nn"
)

// section reads one table of a document. Every method notes the key as a valid one and
// a misfit as an error; finish then reports the keys that nobody asked for. The methods
// return the fallback when the key is missing or wrong.
type section struct {
	doc   *document
	path  string
	table map[string]any
	asked []string
}

// at returns the path of a key.
func (s *section) at(key string) string { return join(s.path, key) }

// lookup returns the value of a key and remembers that the key is a valid one.
func (s *section) lookup(key string) (any, bool) {
	if !slices.Contains(s.asked, key) {
		s.asked = append(s.asked, key)
	}
	v, ok := s.table[key]
	return v, ok
}

// has reports whether the key is there.
func (s *section) has(key string) bool {
	_, ok := s.lookup(key)
	return ok
}

// require reports a missing key.
func (s *section) require(key string) bool {
	if s.has(key) {
		return true
	}
	if s.path == "" {
		s.doc.errs = append(s.doc.errs, &Error{File: s.doc.file, Key: key, Msg: "missing", order: math.MaxInt})
		return false
	}
	s.doc.fail(s.path, "%s is missing", key)
	return false
}

func (s *section) fail(key, format string, args ...any) { s.doc.fail(s.at(key), format, args...) }

// finish reports unknown keys.
func (s *section) finish() {
	for key := range s.table {
		if slices.Contains(s.asked, key) {
			continue
		}
		if n := Nearest(key, s.asked); n != "" {
			s.fail(key, "unknown key, did you mean %s?", s.at(n))
			continue
		}
		s.fail(key, "unknown key (valid here: %s)", strings.Join(s.asked, ", "))
	}
}

// text reads a string.
func (s *section) text(key, fallback string) string {
	v, ok := s.lookup(key)
	if !ok {
		return fallback
	}
	str, ok := v.(string)
	if !ok {
		s.fail(key, "want a string, got %s", describe(v))
		return fallback
	}
	return str
}

// texts reads a list of strings.
func (s *section) texts(key string) []string {
	v, ok := s.lookup(key)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	var all []string
	for _, e := range list {
		str, isString := e.(string)
		ok = ok && isString
		all = append(all, str)
	}
	if !ok {
		s.fail(key, "want a list of strings, got %s", describe(v))
		return nil
	}
	return all
}

// choice reads one of some names.
func (s *section) choice(key, fallback string, valid ...string) string {
	name := s.text(key, fallback)
	if slices.Contains(valid, name) {
		return name
	}
	if s.has(key) && name != fallback {
		s.fail(key, "unknown value %q%s", name, Suggest(name, valid))
	}
	return fallback
}

// flag reads a truth value.
func (s *section) flag(key string, fallback bool) bool {
	v, ok := s.lookup(key)
	if !ok {
		return fallback
	}
	b, ok := v.(bool)
	if !ok {
		s.fail(key, "want true or false, got %s", describe(v))
		return fallback
	}
	return b
}

// maxInt bounds every size in a recipe, so that products of a few don't overflow.
const maxInt = 1 << 24

// integer reads a whole number of at least least.
func (s *section) integer(key string, least, fallback int) int {
	v, ok := s.lookup(key)
	if !ok {
		return fallback
	}
	n, ok := toInteger(v, least)
	if !ok {
		s.fail(key, "want a whole number from %d, got %s", least, describe(v))
		return fallback
	}
	return n
}

// seed reads a whole number from 0, however large.
func (s *section) seed(key string) int64 {
	v, ok := s.lookup(key)
	if !ok {
		return 0
	}
	n, ok := v.(int64)
	if !ok || n < 0 {
		s.fail(key, "want a whole number from 0, got %s", describe(v))
		return 0
	}
	return n
}

func toInteger(v any, least int) (int, bool) {
	n, ok := v.(int64)
	return int(n), ok && n >= int64(least) && n <= maxInt
}

// pair reads height and width: one number for both, or two.
func (s *section) pair(key string, least, fallback int) nn.Pair {
	v, ok := s.lookup(key)
	if !ok {
		return nn.Square(fallback)
	}
	if n, ok := toInteger(v, least); ok {
		return nn.Square(n)
	}
	if list, ok := v.([]any); ok && len(list) == 2 {
		h, okH := toInteger(list[0], least)
		w, okW := toInteger(list[1], least)
		if okH && okW {
			return nn.Pair{H: h, W: w}
		}
	}
	s.fail(key, "want a whole number from %d or a pair [height, width], got %s", least, describe(v))
	return nn.Square(fallback)
}

// bounds is an interval of numbers.
type bounds struct {
	low, high         float64
	openLow, openHigh bool
}

// The intervals that recipes need.
var (
	anyNumber   = bounds{low: -math.MaxFloat32, high: math.MaxFloat32}
	notNegative = bounds{low: 0, high: math.MaxFloat32}
	positive    = bounds{low: 0, high: math.MaxFloat32, openLow: true}
	share       = bounds{low: 0, high: 1}                 // 0 to 1, both included
	belowOne    = bounds{low: 0, high: 1, openHigh: true} // 0 included
	aboveZero   = bounds{low: 0, high: 1, openLow: true}  // 1 included
	between     = bounds{low: 0, high: 1, openLow: true, openHigh: true}
)

func (b bounds) contains(x float64) bool {
	return !(math.IsNaN(x) || x < b.low || x > b.high || b.openLow && x == b.low || b.openHigh && x == b.high)
}

func (b bounds) String() string {
	switch b {
	case anyNumber:
		return "a number"
	case notNegative:
		return "a number from 0"
	case positive:
		return "a number above 0"
	case belowOne:
		return "a number from 0 to below 1"
	case aboveZero:
		return "a number above 0, up to 1"
	case between:
		return "a number between 0 and 1"
	}
	return fmt.Sprintf("a number from %g to %g", b.low, b.high)
}

// number reads a number, whole or not.
func (s *section) number(key string, within bounds, fallback float64) float64 {
	v, ok := s.lookup(key)
	if !ok {
		return fallback
	}
	x, ok := toNumber(v)
	if !ok || !within.contains(x) {
		s.fail(key, "want %v, got %s", within, describe(v))
		return fallback
	}
	return x
}

func toNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// numbers reads a list of numbers.
func (s *section) numbers(key string, within bounds) []float64 {
	v, ok := s.lookup(key)
	if !ok {
		return nil
	}
	all, ok := toNumbers(v, within)
	if !ok {
		s.fail(key, "want a list, each of it %v, got %s", within, describe(v))
		return nil
	}
	return all
}

func toNumbers(v any, within bounds) ([]float64, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	all := make([]float64, len(list))
	for i, e := range list {
		if all[i], ok = toNumber(e); !ok || !within.contains(all[i]) {
			return nil, false
		}
	}
	return all, true
}

// sub returns the table at key, or nil when there is none.
func (s *section) sub(key string) *section {
	v, ok := s.lookup(key)
	if !ok {
		return nil
	}
	table, ok := v.(map[string]any)
	if !ok {
		s.fail(key, "want a table [%s], got %s", s.at(key), describe(v))
		return nil
	}
	return &section{doc: s.doc, path: s.at(key), table: table}
}

// subs returns the tables of the list at key.
func (s *section) subs(key string) []*section {
	v, ok := s.lookup(key)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	var all []*section
	for i, e := range list {
		table, isTable := e.(map[string]any)
		ok = ok && isTable
		all = append(all, &section{doc: s.doc, path: join(s.at(key), strconv.Itoa(i)), table: table})
	}
	if !ok {
		s.fail(key, "want tables [[%s]], got %s", s.at(key), describe(v))
		return nil
	}
	return all
}

// describe shows a value of the wrong kind in an error message.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case map[string]any:
		return "a table"
	case []any:
		if len(v) > 4 {
			return fmt.Sprintf("a list of %d", len(v))
		}
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = describe(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v)
}
