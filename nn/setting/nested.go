package setting

// nested is a field that the reader of recipes fills in.
type nested struct {
	target any
	usual  string
}

// Nested binds a value that has kinds or settings itself: an initialiser, a list of layers, a table. target is a
// pointer to the field, whose type tells the reader of recipes what to read; usual describes the default, and may be
// empty.
func (l *List) Nested(target any, key, usual, doc string) *Setting {
	return l.add(key, doc, &nested{target, usual})
}

func (n *nested) set(any) error       { panic("setting: a nested setting is read by its Target") }
func (n *nested) want() string        { return "a table" }
func (n *nested) check() error        { return nil }
func (n *nested) isZero() bool        { return true }
func (n *nested) setDefault()         {}
func (n *nested) isDefault() bool     { return true }
func (n *nested) defaultText() string { return n.usual }
func (n *nested) text() any           { return nil }

// custom is a setting with its own form.
type custom struct {
	setFunc func(v any) error
	form    string
}

// Func binds a setting whose form no other method has, such as a list of points. set stores a value of a recipe; its
// error says why the value is invalid. form describes valid values.
func (l *List) Func(key, form, doc string, set func(v any) error) *Setting {
	return l.add(key, doc, &custom{set, form})
}

func (c *custom) set(v any) error     { return c.setFunc(v) }
func (c *custom) want() string        { return c.form }
func (c *custom) check() error        { return nil }
func (c *custom) isZero() bool        { return true }
func (c *custom) setDefault()         {}
func (c *custom) isDefault() bool     { return true }
func (c *custom) defaultText() string { return "" }
func (c *custom) text() any           { return nil }
