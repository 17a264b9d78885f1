package optim

import (
	"fmt"
	"math"
	"strings"
)

// Settings is the list of a rule's settings. A rule declares each of them once, by its field:
//
//	func (r *Lion) Settings(s *Settings) {
//		s.Float64(&r.Beta1, "beta1", 0.9, Between, "weight of the old momentum in the direction")
//	}
//
// The recipe's keys, the defaults of the Go API, where zero stands for the default, the bounds and their messages all
// follow from it.
type Settings struct{ list []Setting }

// Setting is one setting of a rule: exactly one of Number, Whole and Flag is where its value is.
type Setting struct {
	Key, Doc string
	Number   *float64
	Whole    *int
	Flag     *bool
	Default  float64 // of numbers; flags begin as false
	Within   Bounds  // of numbers
}

// Float64 declares a number. A value of 0 stands for the default.
func (s *Settings) Float64(field *float64, key string, standard float64, within Bounds, doc string) {
	s.list = append(s.list, Setting{Key: key, Doc: doc, Number: field, Default: standard, Within: within})
}

// Int declares a whole number. A value of 0 stands for the default.
func (s *Settings) Int(field *int, key string, standard int, within Bounds, doc string) {
	s.list = append(s.list, Setting{Key: key, Doc: doc, Whole: field, Default: float64(standard), Within: within})
}

// Bool declares a flag, which is false by default.
func (s *Settings) Bool(field *bool, key, doc string) {
	s.list = append(s.list, Setting{Key: key, Doc: doc, Flag: field})
}

// List returns the settings in the order of their declaration.
func (s *Settings) List() []Setting { return s.list }

// Find returns the setting with the key, or nil.
func (s *Settings) Find(key string) *Setting {
	for i := range s.list {
		if s.list[i].Key == key {
			return &s.list[i]
		}
	}
	return nil
}

// keys names the settings.
func (s *Settings) keys() string {
	names := make([]string, len(s.list))
	for i, x := range s.list {
		names[i] = x.Key
	}
	return strings.Join(names, ", ")
}

// complete puts defaults where a number is zero, and returns an error for the first value out of its bounds.
func (s *Settings) complete() error {
	for _, x := range s.list {
		value := 0.0
		switch {
		case x.Number != nil:
			if *x.Number == 0 {
				*x.Number = x.Default
			}
			value = *x.Number
		case x.Whole != nil:
			if *x.Whole == 0 {
				*x.Whole = int(x.Default)
			}
			value = float64(*x.Whole)
		default:
			continue
		}
		if !x.Within.Contains(value) {
			return fmt.Errorf("%s is %v, need %v", strings.ReplaceAll(x.Key, "-", " "), value, x.Within)
		}
	}
	return nil
}

// Bounds is an interval of numbers, with or without its ends.
type Bounds struct {
	Low, High         float64
	OpenLow, OpenHigh bool
}

// The intervals that rules need.
var (
	NotNegative = Bounds{High: math.MaxFloat32}
	Positive    = Bounds{High: math.MaxFloat32, OpenLow: true}
	BelowOne    = Bounds{High: 1, OpenHigh: true}                // 0 included
	Between     = Bounds{High: 1, OpenLow: true, OpenHigh: true} // 0 to 1, neither included
)

// Contains reports whether x is in the interval; NaN is in none.
func (b Bounds) Contains(x float64) bool {
	return x >= b.Low && x <= b.High && !(b.OpenLow && x == b.Low) && !(b.OpenHigh && x == b.High)
}

// String describes the interval.
func (b Bounds) String() string {
	switch b {
	case NotNegative:
		return "0 or more"
	case Positive:
		return "a number above 0"
	case BelowOne:
		return "0 or more, and less than 1"
	case Between:
		return "a number between 0 and 1"
	}
	return fmt.Sprintf("%g to %g", b.Low, b.High)
}
