package setting

import "fmt"

// maxInt bounds every whole number of a setting, so that products of a few don't overflow.
const maxInt = 1 << 24

// tooLarge returns an error if v, a value of a recipe, is a whole number above maxInt or a list with one.
func tooLarge(v any) error {
	switch v := v.(type) {
	case int64:
		if v > maxInt {
			return fmt.Errorf("want at most %d, got %d", maxInt, v)
		}
	case []any:
		for _, e := range v {
			if err := tooLarge(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// whole is a field for a whole number.
type whole struct {
	field    *int
	fallback int
	in       Interval
}

// Int binds a whole number, of at most 2^24.
func (l *List) Int(field *int, key string, fallback int, in Interval, doc string) *Setting {
	needsNonZero(key, float64(fallback), in)
	return l.add(key, doc, &whole{field, fallback, in})
}

// toInt returns a whole number of a recipe.
func toInt(v any, in Interval) (int, bool) {
	n, ok := v.(int64)
	return int(n), ok && n <= maxInt && in.Contains(float64(n))
}

// Whole returns a whole number of a recipe within bounds. The error says what is valid.
func Whole(v any, in Interval) (int, error) {
	n, ok := toInt(v, in)
	if !ok {
		return 0, fmt.Errorf("want %s, got %s", in.whole(), Describe(v))
	}
	return n, nil
}

func (n *whole) set(v any) error {
	if err := tooLarge(v); err != nil && n.in.high >= maxInt {
		return err
	}
	x, ok := toInt(v, n.in)
	if !ok {
		return errMismatch
	}
	*n.field = x
	return nil
}

func (n *whole) want() string { return n.in.whole() }

func (n *whole) check() error {
	if *n.field > maxInt && n.in.high >= maxInt {
		return fmt.Errorf("is %d, needs at most %d", *n.field, maxInt)
	}
	if !n.in.Contains(float64(*n.field)) {
		return fmt.Errorf("is %d, needs %s", *n.field, n.want())
	}
	return nil
}

func (n *whole) isZero() bool { return *n.field == 0 }
func (n *whole) setDefault() {
	if *n.field == 0 {
		*n.field = n.fallback
	}
}
func (n *whole) isDefault() bool { return *n.field == 0 || *n.field == n.fallback }

func (n *whole) defaultText() string {
	if !n.in.Contains(float64(n.fallback)) {
		return ""
	}
	return fmt.Sprint(n.fallback)
}
func (n *whole) text() any { return *n.field }

// seed is a field for a whole number from 0, however large.
type seed struct{ field *uint64 }

// Uint64 binds a whole number from 0 to 2^63-1, the largest that TOML has.
func (l *List) Uint64(field *uint64, key, doc string) *Setting {
	return l.add(key, doc, &seed{field})
}

func (n *seed) set(v any) error {
	x, ok := v.(int64)
	if !ok || x < 0 {
		return errMismatch
	}
	*n.field = uint64(x)
	return nil
}

func (n *seed) want() string        { return "a whole number from 0" }
func (n *seed) check() error        { return nil }
func (n *seed) isZero() bool        { return *n.field == 0 }
func (n *seed) setDefault()         {}
func (n *seed) isDefault() bool     { return *n.field == 0 }
func (n *seed) defaultText() string { return "0" }
func (n *seed) text() any           { return *n.field }
