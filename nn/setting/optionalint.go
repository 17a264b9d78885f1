package setting

import (
	"fmt"
	"math"
)

// optionalInt32 is a field for a whole number that may be left out.
type optionalInt32 struct {
	field **int32
	usual string
}

// OptionalInt32 binds a whole number for which nil means the default; usual describes the default in words or digits.
func (l *List) OptionalInt32(field **int32, key, usual, doc string) *Setting {
	return l.add(key, doc, &optionalInt32{field, usual})
}

func (n *optionalInt32) set(v any) error {
	x, ok := v.(int64)
	if !ok || x < math.MinInt32 || x > math.MaxInt32 {
		return errMismatch
	}
	*n.field = new(int32(x))
	return nil
}

func (n *optionalInt32) want() string {
	return fmt.Sprintf("a whole number from %d to %d", math.MinInt32, math.MaxInt32)
}
func (n *optionalInt32) check() error        { return nil }
func (n *optionalInt32) isZero() bool        { return *n.field == nil }
func (n *optionalInt32) setDefault()         {}
func (n *optionalInt32) isDefault() bool     { return *n.field == nil }
func (n *optionalInt32) defaultText() string { return n.usual }
func (n *optionalInt32) text() any           { return **n.field }
