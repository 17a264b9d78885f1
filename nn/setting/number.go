package setting

import (
	"fmt"
	"strconv"
	"strings"
)

// number is a field for a number, integer or not.
type number[T float32 | float64] struct {
	field    *T
	fallback T
	in       Interval
}

// Float32 binds a number.
func (l *List) Float32(field *float32, key string, fallback float32, in Interval, doc string) *Setting {
	needsNonZero(key, float64(fallback), in)
	return l.add(key, doc, &number[float32]{field, fallback, in})
}

// Float64 binds a number.
func (l *List) Float64(field *float64, key string, fallback float64, in Interval, doc string) *Setting {
	needsNonZero(key, fallback, in)
	return l.add(key, doc, &number[float64]{field, fallback, in})
}

// toNumber returns a number of a recipe.
func toNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Numbers returns a list of numbers of a recipe, and false for anything else.
func Numbers(v any) ([]float64, bool) {
	list, ok := v.([]any)
	all := make([]float64, len(list))
	for i, e := range list {
		x, isNumber := toNumber(e)
		ok = ok && isNumber
		all[i] = x
	}
	return all, ok
}

func (n *number[T]) set(v any) error {
	x, ok := toNumber(v)
	// A number that is out of bounds only after rounding is out of bounds.
	if !ok || !n.in.Contains(x) || !n.in.Contains(float64(T(x))) {
		return errMismatch
	}
	*n.field = T(x)
	return nil
}

func (n *number[T]) want() string { return n.in.String() }

func (n *number[T]) check() error {
	if !n.in.Contains(float64(*n.field)) {
		return fmt.Errorf("is %v, needs %s", *n.field, n.want())
	}
	return nil
}

func (n *number[T]) isZero() bool { return *n.field == 0 }
func (n *number[T]) setDefault() {
	if *n.field == 0 {
		*n.field = n.fallback
	}
}
func (n *number[T]) isDefault() bool { return *n.field == 0 || *n.field == n.fallback }

// defaultText returns the default, or "" if the default is no number at all.
func (n *number[T]) defaultText() string {
	if !n.in.Contains(float64(n.fallback)) {
		return ""
	}
	return strings.Replace(fmt.Sprint(n.fallback), "e-0", "e-", 1)
}

// text returns the shortest decimal representation of the number.
func (n *number[T]) text() any {
	bits := 64
	if _, ok := any(*n.field).(float32); ok {
		bits = 32
	}
	x, _ := strconv.ParseFloat(strconv.FormatFloat(float64(*n.field), 'g', -1, bits), 64)
	return x
}

// optional is a number whose absence, nil, differs from zero.
type optional struct {
	field **float64
	in    Interval
	usual string
}

// OptionalFloat64 binds a number for which nil means the default; usual describes the default in words or digits.
func (l *List) OptionalFloat64(field **float64, key, usual string, in Interval, doc string) *Setting {
	return l.add(key, doc, &optional{field, in, usual})
}

func (n *optional) set(v any) error {
	x, ok := toNumber(v)
	if !ok || !n.in.Contains(x) {
		return errMismatch
	}
	*n.field = &x
	return nil
}

func (n *optional) want() string { return n.in.String() }

func (n *optional) check() error {
	if !n.in.Contains(**n.field) {
		return fmt.Errorf("is %v, needs %s", **n.field, n.want())
	}
	return nil
}

func (n *optional) isZero() bool        { return *n.field == nil }
func (n *optional) setDefault()         {}
func (n *optional) isDefault() bool     { return *n.field == nil }
func (n *optional) defaultText() string { return n.usual }
func (n *optional) text() any           { return **n.field }

// numbers is a field for a list of numbers.
type numbers[T float32 | float64] struct {
	field *[]T
	in    Interval
}

// Float32s binds a list of numbers.
func (l *List) Float32s(field *[]float32, key string, in Interval, doc string) *Setting {
	return l.add(key, doc, &numbers[float32]{field, in})
}

// Float64s binds a list of numbers.
func (l *List) Float64s(field *[]float64, key string, in Interval, doc string) *Setting {
	return l.add(key, doc, &numbers[float64]{field, in})
}

func (n *numbers[T]) set(v any) error {
	list, ok := Numbers(v)
	all := make([]T, len(list))
	for i, x := range list {
		ok = ok && n.in.Contains(x)
		all[i] = T(x)
	}
	if !ok {
		return errMismatch
	}
	*n.field = all
	return nil
}

func (n *numbers[T]) want() string { return "a list, each element " + n.in.String() }

func (n *numbers[T]) check() error {
	for i, x := range *n.field {
		if !n.in.Contains(float64(x)) {
			return fmt.Errorf("has %v at %d, needs %s", x, i, n.in)
		}
	}
	return nil
}

func (n *numbers[T]) isZero() bool        { return *n.field == nil }
func (n *numbers[T]) setDefault()         {}
func (n *numbers[T]) isDefault() bool     { return *n.field == nil }
func (n *numbers[T]) defaultText() string { return "" }
func (n *numbers[T]) text() any           { return *n.field }
