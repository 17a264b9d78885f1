package setting

import (
	"fmt"
	"slices"
	"strings"
)

// text is a field for a string.
type text struct {
	field *string
}

// Text binds a string.
func (l *List) Text(field *string, key, doc string) *Setting {
	return l.add(key, doc, &text{field})
}

func (t *text) set(v any) error {
	s, ok := v.(string)
	if !ok {
		return errMismatch
	}
	*t.field = s
	return nil
}

func (t *text) want() string        { return "a string" }
func (t *text) check() error        { return nil }
func (t *text) isZero() bool        { return *t.field == "" }
func (t *text) setDefault()         {}
func (t *text) isDefault() bool     { return *t.field == "" }
func (t *text) defaultText() string { return "" }
func (t *text) text() any           { return *t.field }

// texts is a field for a list of strings.
type texts struct {
	field *[]string
}

// Texts binds a list of strings.
func (l *List) Texts(field *[]string, key, doc string) *Setting {
	return l.add(key, doc, &texts{field})
}

func (t *texts) set(v any) error {
	list, ok := v.([]any)
	all := make([]string, 0, len(list))
	for _, e := range list {
		s, isString := e.(string)
		ok = ok && isString
		all = append(all, s)
	}
	if !ok {
		return errMismatch
	}
	*t.field = all
	return nil
}

func (t *texts) want() string        { return "a list of strings" }
func (t *texts) check() error        { return nil }
func (t *texts) isZero() bool        { return *t.field == nil }
func (t *texts) setDefault()         {}
func (t *texts) isDefault() bool     { return *t.field == nil }
func (t *texts) defaultText() string { return "" }
func (t *texts) text() any           { return *t.field }

// Option is a name for a value.
type Option[T comparable] struct {
	Name  string
	Value T
}

// choice is a field for one of a few named values.
type choice[T comparable] struct {
	field   *T
	options []Option[T]
}

// Choice binds a field that takes one of a few values, which recipes name. The first is the default, and a zero field
// means the default.
func Choice[T comparable](l *List, field *T, key string, options []Option[T], doc string) *Setting {
	return l.add(key, doc, &choice[T]{field, options})
}

// Names returns options whose values are the names themselves.
func Names[T ~string](names ...T) []Option[T] {
	options := make([]Option[T], len(names))
	for i, n := range names {
		options[i] = Option[T]{string(n), n}
	}
	return options
}

func (c *choice[T]) names() []string {
	var names []string
	for _, o := range c.options {
		if o.Name != "" {
			names = append(names, o.Name)
		}
	}
	return names
}

func (c *choice[T]) set(v any) error {
	name, ok := v.(string)
	if !ok {
		return errMismatch
	}
	i := slices.IndexFunc(c.options, func(o Option[T]) bool { return o.Name == name })
	if i < 0 {
		return &UnknownNameError{Name: name, Valid: c.names()}
	}
	*c.field = c.options[i].Value
	return nil
}

func (c *choice[T]) want() string { return "a string" }

func (c *choice[T]) check() error {
	if slices.ContainsFunc(c.options, func(o Option[T]) bool { return o.Value == *c.field }) {
		return nil
	}
	return fmt.Errorf("is %v, needs one of %s", *c.field, strings.Join(c.names(), ", "))
}

func (c *choice[T]) isZero() bool {
	var zero T
	return *c.field == zero
}

func (c *choice[T]) setDefault() {
	if c.isZero() {
		*c.field = c.options[0].Value
	}
}

func (c *choice[T]) isDefault() bool     { return c.isZero() || *c.field == c.options[0].Value }
func (c *choice[T]) defaultText() string { return c.options[0].Name }

func (c *choice[T]) text() any {
	for _, o := range c.options {
		if o.Value == *c.field {
			return o.Name
		}
	}
	return ""
}
