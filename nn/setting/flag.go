package setting

// flag is a field for true or false.
type flag struct {
	field    *bool
	inverted bool // the field is false if the recipe says true
}

// Bool binds a flag whose default is false.
func (l *List) Bool(field *bool, key, doc string) *Setting {
	return l.add(key, doc, &flag{field, false})
}

// Unless binds a flag whose default is true to a field with the opposite meaning: the flag bias to the field NoBias.
func (l *List) Unless(field *bool, key, doc string) *Setting {
	return l.add(key, doc, &flag{field, true})
}

func (b *flag) set(v any) error {
	x, ok := v.(bool)
	if !ok {
		return errMismatch
	}
	*b.field = x != b.inverted
	return nil
}

func (b *flag) want() string    { return "true or false" }
func (b *flag) check() error    { return nil }
func (b *flag) isZero() bool    { return !*b.field }
func (b *flag) setDefault()     {}
func (b *flag) isDefault() bool { return !*b.field }
func (b *flag) text() any       { return *b.field != b.inverted }

func (b *flag) defaultText() string {
	if b.inverted {
		return "true"
	}
	return "false"
}
