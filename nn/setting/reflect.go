package setting

import "reflect"

// addressable returns v itself or, if only a pointer to v is a Settable, a pointer to a copy, and a function that
// returns the value after changes. The Settable is nil if v has no settings.
func addressable[T any](v T) (Settable, func() T) {
	if s, ok := any(v).(Settable); ok {
		return s, func() T { return v }
	}
	t := reflect.TypeOf(v)
	if t == nil {
		return nil, func() T { return v }
	}
	p := reflect.New(t)
	p.Elem().Set(reflect.ValueOf(v))
	s, ok := p.Interface().(Settable)
	if !ok {
		return nil, func() T { return v }
	}
	return s, func() T { return p.Elem().Interface().(T) }
}

// dereference returns the value that v points to.
func dereference(v any) any {
	if r := reflect.ValueOf(v); r.Kind() == reflect.Pointer {
		return r.Elem().Interface()
	}
	return v
}
