package setting

import "fmt"

// Settable is a value that declares its settings. Settings binds the fields of its receiver, so it
// needs a pointer receiver; it must do nothing else, and bind the same keys whatever the
// fields hold.
type Settable interface{ Settings(s *List) }

// Checker is a Settable with rules that the bounds of single settings can't express, such as two settings that exclude
// each other. Check is called when every setting is within its bounds and defaults are filled in. If the rule concerns
// one setting, Check returns an *Error with its key.
type Checker interface {
	Settable
	Check() error
}

// List holds the settings of one value. Each of its methods declares a setting: a pointer to the field, the key in
// recipes, the default if it isn't zero, the bounds, and an explanatory phrase, in lower case and without the default,
// which listings add.
//
// The zero List is empty. It may be filled by hand to read a value that isn't a Settable.
type List struct {
	settings  []*Setting
	constants map[string]int
	target    Settable // nil if the list was filled by hand
}

// All returns the settings in the order of their declaration.
func (l *List) All() []*Setting { return l.settings }

// add appends a setting. It panics if the key is taken, or if a deliberate zero could not be distinguished from the
// default.
func (l *List) add(key, doc string, v value) *Setting {
	for _, s := range l.settings {
		if s.Key == key {
			panic(fmt.Sprintf("setting: %s is declared twice", key))
		}
	}
	s := &Setting{Key: key, Doc: doc, list: l, value: v}
	l.settings = append(l.settings, s)
	return s
}

// needsNonZero panics if zero is within the bounds of a setting with a default other than zero.
func needsNonZero(key string, fallback float64, in Interval) {
	if fallback != 0 && in.Contains(0) {
		panic(fmt.Sprintf("setting: %s has the default %g, so that 0 must be out of bounds", key, fallback))
	}
}

// Edit returns v with its settings changed by change. If v is a value whose pointer type has
// Settings, change gets the settings of a copy; if v is such a pointer, the fields that it points
// to are changed. For any other v the list is empty. Constants are words that stand for numbers
// in recipes (see [Setting.OrConstant]); nil means none.
func Edit[T any](v T, constants map[string]int, change func(*List)) T {
	target, result := addressable(v)
	l := &List{constants: constants, target: target}
	if target != nil {
		target.Settings(l)
	}
	change(l)
	return result()
}

// Of returns the settings of v, as Edit would pass them to change.
func Of(v any) *List {
	l := &List{}
	if target, _ := addressable(v); target != nil {
		target.Settings(l)
	}
	return l
}

// Complete sets every setting of v that is zero to its default.
func Complete(v Settable) {
	l := &List{}
	v.Settings(l)
	l.Complete()
}

// Completed returns v, a value as for Edit, with every setting that is zero replaced by its default.
func Completed[T any](v T) T { return Edit(v, nil, (*List).Complete) }

// Complete sets every setting that is zero to its default.
func (l *List) Complete() {
	for _, s := range l.settings {
		s.value.setDefault()
	}
}

// Finish completes the settings, each of which must be within its bounds, and returns the error of the value's
// [Checker], if it has one.
func (l *List) Finish() error {
	l.Complete()
	if c, ok := l.target.(Checker); ok {
		return c.Check()
	}
	return nil
}

// Error reports a setting with an invalid value.
type Error struct{ Key, Msg string }

func (e *Error) Error() string { return e.Key + " " + e.Msg }

// Check returns the first mistake in the settings of v, as an *Error if it concerns one setting. v is a Settable, or a
// value whose pointer is one. Check doesn't change v. Zeros that mean the default are valid, and so is a v without
// settings.
func Check(v any) error {
	var err error
	Edit(dereference(v), nil, func(l *List) {
		l.Complete()
		for _, s := range l.settings {
			if s.value.isZero() && !s.Required {
				continue // not given
			}
			if e := s.value.check(); e != nil {
				err = &Error{s.Key, e.Error()}
				return
			}
		}
		err = l.Finish()
	})
	return err
}
