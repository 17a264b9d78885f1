package setting

import "fmt"

// Settable is a value that declares its settings. Settings binds the fields of its receiver, so it
// needs a pointer receiver; it must do nothing else, and bind the same keys whatever the
// fields hold.
type Settable interface{ Settings(s *List) }

// Checker is a Settable with rules that the bounds of single settings can't express, such
// as two settings that exclude each other. Check is called when every setting is within its
// bounds and has its default. Where the rule concerns one setting it returns an *Error with its key.
type Checker interface {
	Settable
	Check() error
}

// List is the settings of one value. Its methods declare a setting each: a pointer to the field, the
// key in recipes, the default if it isn't zero, the bounds, and a phrase that explains it, in lower case
// and without the default, which listings add.
//
// The zero List is empty, and may be filled by hand to read what isn't a Settable.
type List struct {
	settings  []*Setting
	constants map[string]int
	target    Settable // nil without one
}

// All returns the settings in the order of their declaration.
func (l *List) All() []*Setting { return l.settings }

// add appends a setting. It panics when the key is taken, or when a default other than zero could not be
// told from a zero that was meant.
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

// needsNonZero panics when zero is within the bounds of a setting with another default.
func needsNonZero(key string, fallback float64, in Interval) {
	if fallback != 0 && in.Contains(0) {
		panic(fmt.Sprintf("setting: %s has the default %g, so that 0 must be out of bounds", key, fallback))
	}
}

// Edit returns v with its settings changed by change. v is a value that has Settings on its
// pointer, of which change gets a copy's settings, or a pointer that has it, whose own fields are
// changed. Of any other v the list is empty. Constants are words that stand for numbers in
// recipes (see [Setting.OrConstant]); nil for none.
func Edit[T any](v T, constants map[string]int, change func(*List)) T {
	target, result := addressable(v)
	l := &List{constants: constants, target: target}
	if target != nil {
		target.Settings(l)
	}
	change(l)
	return result()
}

// Of returns the settings of v, as Edit would give them.
func Of(v any) *List {
	l := &List{}
	if target, _ := addressable(v); target != nil {
		target.Settings(l)
	}
	return l
}

// Complete gives every setting of v that is zero its default.
func Complete(v Settable) {
	l := &List{}
	v.Settings(l)
	l.Complete()
}

// Completed returns v, a value as Edit takes, with a default in place of every setting that is zero.
func Completed[T any](v T) T { return Edit(v, nil, (*List).Complete) }

// Complete gives every setting that is zero its default.
func (l *List) Complete() {
	for _, s := range l.settings {
		s.value.setDefault()
	}
}

// Finish completes the settings, each of which must be within its bounds, and returns what is wrong with them together
// (see [Checker]).
func (l *List) Finish() error {
	l.Complete()
	if c, ok := l.target.(Checker); ok {
		return c.Check()
	}
	return nil
}

// Error is a setting with a value that it can't have.
type Error struct{ Key, Msg string }

func (e *Error) Error() string { return e.Key + " " + e.Msg }

// Check returns the first mistake in the settings of v, a Settable or the value that a pointer to would be one, as an
// *Error where it concerns one setting. It leaves v as it is; zeros that mean the default are right, and so is what
// has no settings.
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
