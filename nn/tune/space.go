package tune

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Dimension is a key of a recipe whose value is searched: a range of numbers, or a list of values.
type Dimension struct {
	Key    string
	Values []string // of a list, as they were written; nil for a range

	Low, High float64 // ends of a range, both included
	Whole     bool    // whole numbers only
	Log       bool    // the logarithm is uniformly distributed, otherwise the number itself
}

// Space is the settings that are searched. No key occurs twice.
type Space []Dimension

// Error is an invalid description of a search space.
type Error struct{ Assignment, Msg string }

func (e *Error) Error() string { return e.Assignment + ": " + e.Msg }

// The prefixes by which a range says how it is distributed.
const (
	logPrefix    = "log:"
	linearPrefix = "linear:"
)

// decade is the ratio of a range's ends from which the logarithm is uniform, unless the range says otherwise.
const decade = 10

// Parse divides assignments "key=value" into those that are searched and those that are not, both in their order. A value
// that is searched is
//
//	low..high         a range; whole numbers if both ends are written as whole numbers. Its logarithm is uniform if the ends
//	                  are positive and a factor of ten apart or more, otherwise the number
//	log:low..high     a range whose logarithm is uniform
//	linear:low..high  a range of uniform numbers
//	a,b,c             a list; commas in brackets and quotes belong to a value
//
// The error is an *Error.
func Parse(assignments []string) (space Space, fixed []string, err error) {
	given := map[string]bool{}
	searched := map[string]bool{}
	for _, a := range assignments {
		key, value, _ := strings.Cut(a, "=")
		key = strings.TrimSpace(key)
		d, isSearched, err := parseDimension(key, strings.TrimSpace(value))
		if err != nil {
			return nil, nil, &Error{a, err.Error()}
		}
		if searched[key] || isSearched && given[key] {
			return nil, nil, &Error{a, fmt.Sprintf("%s is set twice, and one of the values is searched: name them in one list or range", key)}
		}
		given[key], searched[key] = true, isSearched
		if isSearched {
			space = append(space, d)
		} else {
			fixed = append(fixed, a)
		}
	}
	return space, fixed, nil
}

// parseDimension reads a value. searched is false if it is a single one.
func parseDimension(key, value string) (d Dimension, searched bool, err error) {
	parts, err := splitList(value)
	if err != nil {
		return d, false, err
	}
	if len(parts) == 1 {
		return parseRange(key, value)
	}
	for i, part := range parts {
		switch {
		case part == "":
			return d, false, fmt.Errorf("the list has an empty value")
		case slices.Contains(parts[:i], part):
			return d, false, fmt.Errorf("the list has %s twice", part)
		}
		if _, isRange, _ := parseRange(key, part); isRange {
			return d, false, fmt.Errorf("%s is a range in a list: want either a list of values or one range", part)
		}
	}
	return Dimension{Key: key, Values: parts}, true, nil
}

// splitList splits a value at the commas that are outside of brackets and quotes.
func splitList(value string) ([]string, error) {
	var parts []string
	depth, from := 0, 0
	quote := byte(0)
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quote != 0:
			if c == '\\' && quote == '"' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, strings.TrimSpace(value[from:i]))
			from = i + 1
		}
	}
	if depth != 0 || quote != 0 {
		return nil, fmt.Errorf("a bracket or a quote has no counterpart")
	}
	return append(parts, strings.TrimSpace(value[from:])), nil
}

// parseRange reads a range. isRange is false for any other value.
func parseRange(key, value string) (d Dimension, isRange bool, err error) {
	d.Key = key
	ends, hasLog := strings.CutPrefix(value, logPrefix)
	ends, hasLinear := strings.CutPrefix(ends, linearPrefix)
	low, high, dots := strings.Cut(ends, "..")
	low, high = strings.TrimSpace(low), strings.TrimSpace(high)
	var lowErr, highErr error
	d.Low, lowErr = strconv.ParseFloat(low, 64)
	d.High, highErr = strconv.ParseFloat(high, 64)
	if !hasLog && !hasLinear && (!dots || lowErr != nil && highErr != nil) {
		return d, false, nil
	}
	switch {
	case !dots || lowErr != nil || highErr != nil || math.IsInf(d.High-d.Low, 0) || math.IsNaN(d.High-d.Low):
		return d, true, fmt.Errorf("want two numbers with .. between them, such as 1e-4..1e-1")
	case d.Low >= d.High:
		return d, true, fmt.Errorf("want the smaller end of the range first, and two different ends")
	case hasLog && d.Low <= 0:
		return d, true, fmt.Errorf("a logarithmic range begins above 0, got %s", low)
	}
	_, lowErr = strconv.ParseInt(low, 10, 32)
	_, highErr = strconv.ParseInt(high, 10, 32)
	d.Whole = lowErr == nil && highErr == nil
	d.Log = hasLog || !hasLinear && d.Low > 0 && d.High >= decade*d.Low
	return d, true, nil
}

// Size returns the number of different settings, or 0 if a range of fractions has so many that they aren't counted.
func (s Space) Size() int {
	size := 1
	for _, d := range s {
		n := len(d.Values)
		if d.Values == nil && !d.Whole {
			return 0
		} else if d.Values == nil {
			n = int(d.High-d.Low) + 1
		}
		if size > math.MaxInt32/n {
			return 0
		}
		size *= n
	}
	return size
}

// Extremes returns the values of a list, or the ends of a range: those that a check of the space has to try.
func (d Dimension) Extremes() []string {
	if d.Values != nil {
		return d.Values
	}
	return []string{d.format(d.Low), d.format(d.High)}
}

// format returns a number of a range as text.
func (d Dimension) format(x float64) string {
	if d.Whole {
		return strconv.FormatInt(int64(x), 10)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}
