package recipe

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"trainer/nn"
	"trainer/nn/optim"
	"trainer/nn/setting"
)

// reader reads one document with a program's kinds. It records mistakes in the document.
type reader struct {
	doc   *document
	kinds Kinds
	// constants are the words that stand for numbers, such as the number of classes.
	constants map[string]int
	blocks    map[string]*block // see blocks.go
	tables    int               // number of layers read so far
	filled    int               // number of values that blocks have expanded to
}

// section reads one table of a document. Every method records its key as valid, and a value
// that doesn't fit as an error; finish then reports the keys that no method asked for.
type section struct {
	*reader
	path   string
	table  map[string]any
	asked  []string
	failed bool // there was an error in the table

	// For a table in a block (see blocks.go): use is the table that names the block, and aliases says which path of use
	// a value came from. Otherwise all are nil.
	block   *block
	use     *section
	aliases map[string]string
}

// at returns the path of a key.
func (s *section) at(key string) string { return join(s.path, key) }

// inner returns the section of a table at a path below s.
func (s *section) inner(path string, table map[string]any) *section {
	return &section{reader: s.reader, path: path, table: table, aliases: s.aliases, block: s.block, use: s.use}
}

// lookup returns the value of a key and records the key as valid.
func (s *section) lookup(key string) (any, bool) {
	if !slices.Contains(s.asked, key) {
		s.asked = append(s.asked, key)
	}
	v, ok := s.table[key]
	return v, ok
}

// has reports whether the key is there.
func (s *section) has(key string) bool {
	_, ok := s.lookup(key)
	return ok
}

// require reports a missing key.
func (s *section) require(key string) bool {
	if s.has(key) {
		return true
	}
	if s.path == "" {
		s.failed = true
		s.doc.errs = append(s.doc.errs, &Error{File: s.doc.file, Key: key, Msg: "missing", order: math.MaxInt})
		return false
	}
	s.failHere("%s is missing", key)
	return false
}

// fail records an error in the value of a key.
func (s *section) fail(key, format string, args ...any) {
	s.failed = true
	s.doc.fail(s.source(s.at(key)), format, args...)
}

// failHere records an error in the table.
func (s *section) failHere(format string, args ...any) {
	s.failed = true
	s.doc.fail(s.source(s.path), format, args...)
}

// source returns the path that the value at a path came from.
func (s *section) source(path string) string {
	rest := ""
	for p := path; p != ""; {
		if from, ok := s.aliases[p]; ok {
			return s.use.source(from + rest)
		}
		parent, key := cutLast(p)
		p, rest = parent, "."+key+rest
	}
	return path
}

// finish reports unknown keys.
func (s *section) finish() {
	path := s.source(s.path) // a key is in the table, wherever its value came from
	for key := range s.table {
		if slices.Contains(s.asked, key) {
			continue
		}
		s.failed = true
		if n := Nearest(key, s.asked); n != "" {
			s.doc.fail(join(path, key), "unknown key, did you mean %s?", join(path, n))
			continue
		}
		s.doc.fail(join(path, key), "unknown key (valid here: %s)", strings.Join(s.asked, ", "))
	}
}

// acceptAll keeps finish from reporting keys, because it is unknown which keys are valid.
func (s *section) acceptAll() {
	for key := range s.table {
		s.asked = append(s.asked, key)
	}
}

// read stores the values of a list's keys in its fields, and completes them.
func (s *section) read(l *setting.List) {
	for _, it := range l.All() {
		if it.Required && !s.require(it.Key) {
			continue
		}
		v, ok := s.lookup(it.Key)
		switch {
		case !ok:
		case it.Target() != nil:
			s.readNested(it)
		default:
			s.failSetting(it.Key, it.Set(v))
		}
	}
	if s.failed {
		l.Complete()
		return
	}
	if err := l.Finish(); err != nil {
		s.failSetting("", err)
	}
}

// failSetting records an error in the value of a key, or of the key that the error names; "" stands for the table.
// Without an error it does nothing.
func (s *section) failSetting(key string, err error) {
	if err == nil {
		return
	}
	msg := err.Error()
	if unknown, ok := errors.AsType[*setting.UnknownNameError](err); ok {
		msg = fmt.Sprintf("unknown value %q%s", unknown.Name, Suggest(unknown.Name, unknown.Valid))
	} else if e, ok := errors.AsType[*setting.Error](err); ok {
		key, msg = e.Key, e.Msg
	}
	if key == "" {
		s.failHere("%s", msg)
		return
	}
	s.fail(key, "%s", msg)
}

// readNested reads the value of a setting that has kinds itself.
func (s *section) readNested(it *setting.Setting) {
	switch target := it.Target().(type) {
	case *nn.Layer:
		if list, ok := s.subs(it.Key); ok {
			*target = s.readLayers(list)
		}
	case *[]nn.Layer:
		*target = s.readBranches(it.Key)
	case *[]optim.Schedule:
		if list, ok := s.subs(it.Key); ok {
			for _, sub := range list {
				*target = append(*target, sub.readSchedule())
				s.failed = s.failed || sub.failed
			}
		}
	case *nn.Initializer:
		*target, _ = readNamed(s, it.Key, s.kinds.Initializers)
	default:
		panic(fmt.Sprintf("recipe: the setting %s is bound to a %T, which recipes can't read", it.Key, target))
	}
}

// readKind reads a table whose key names a kind, with the kind's settings, and more that also declares. It returns
// false if the kind is unknown; then no key counts as unknown.
func readKind[T any](s *section, key string, kinds []setting.Kind[T]) (made T, ok bool) {
	if !s.require(key) {
		s.acceptAll()
		return made, false
	}
	v, _ := s.lookup(key)
	kind, ok := kindOf(s, key, v, kinds)
	if !ok {
		s.acceptAll()
		return made, false
	}
	return setting.Edit(kind.New(), s.constants, s.read), true
}

// kindOf returns the kind with the name.
func kindOf[T any](s *section, key string, name any, kinds []setting.Kind[T]) (setting.Kind[T], bool) {
	text, ok := name.(string)
	if !ok {
		s.fail(key, "want a string, got %s", setting.Describe(name))
		return setting.Kind[T]{}, false
	}
	i := slices.IndexFunc(kinds, func(k setting.Kind[T]) bool { return k.Name == text })
	if i < 0 {
		s.fail(key, "unknown value %q%s", text, Suggest(text, setting.KindNames(kinds)))
		return setting.Kind[T]{}, false
	}
	return kinds[i], true
}

// readNamed reads a kind by its name alone, or from a table with the key kind and the kind's settings.
func readNamed[T any](s *section, key string, kinds []setting.Kind[T]) (made T, ok bool) {
	v, _ := s.lookup(key)
	if table, isTable := v.(map[string]any); isTable {
		sub := s.inner(s.at(key), table)
		defer sub.finish()
		return readKind(sub, "kind", kinds)
	}
	kind, ok := kindOf(s, key, v, kinds)
	if !ok {
		return made, false
	}
	return setting.Edit(kind.New(), s.constants, func(l *setting.List) {
		for _, it := range l.All() {
			if it.Required {
				s.fail(key, `%s needs a %s, such as { kind = "%s", %s = 0.5 }`, kind.Name, it.Key, kind.Name, it.Key)
			}
		}
		l.Complete()
	}), true
}

// sub returns the table at key, or nil if there is none.
func (s *section) sub(key string) *section {
	v, ok := s.lookup(key)
	if !ok {
		return nil
	}
	table, ok := v.(map[string]any)
	if !ok {
		s.fail(key, "want a table [%s], got %s", s.at(key), setting.Describe(v))
		return nil
	}
	return s.inner(s.at(key), table)
}

// subs returns the tables of the list at key, and whether there is such a list.
func (s *section) subs(key string) ([]*section, bool) {
	v, ok := s.lookup(key)
	if !ok {
		return nil, false
	}
	all, ok := s.tablesOf(s.at(key), v)
	if !ok {
		s.fail(key, "want tables [[%s]], got %s", s.at(key), setting.Describe(v))
	}
	return all, ok
}

// tablesOf returns the tables of a list.
func (s *section) tablesOf(path string, v any) ([]*section, bool) {
	list, ok := v.([]any)
	var all []*section
	for i, e := range list {
		table, isTable := e.(map[string]any)
		ok = ok && isTable
		all = append(all, s.inner(join(path, strconv.Itoa(i)), table))
	}
	return all, ok
}
