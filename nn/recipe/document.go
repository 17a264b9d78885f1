package recipe

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document is a TOML file as a tree of values (map[string]any, []any, string, int64,
// float64, bool), with the position of each value. A path is the keys and indices that lead
// to a value, joined by dots: "optimizer.momentum", "network.0.out".
type document struct {
	file   string
	root   map[string]any
	origin map[string]origin
	errs   Errors
	told   map[Error]bool // those of errs that fail recorded
}

// origin is where a value comes from.
type origin struct {
	line int  // in the file, from 1
	byte int  // in the file; added values come after all others
	set  bool // by an assignment instead of by the file
}

// parseDocument reads TOML. file is the name shown in errors.
func parseDocument(file string, text []byte) (*document, error) {
	d := &document{file: file, origin: map[string]origin{}}
	if err := toml.Unmarshal(text, &d.root); err != nil {
		e := &Error{File: file, Msg: strings.TrimPrefix(err.Error(), "toml: ")}
		if decode, ok := errors.AsType[*toml.DecodeError](err); ok {
			e.Line, _ = decode.Position()
		}
		return nil, Errors{e}
	}
	if d.root == nil {
		d.root = map[string]any{}
	}
	d.locate(text)
	return d, nil
}

// locate finds the line of every value. The text must be valid.
func (d *document) locate(text []byte) {
	var p unstable.Parser
	p.Reset(text)
	l := locator{doc: d, parser: &p, arrays: map[string]int{}}
	prefix := ""
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table:
			prefix = l.keys("", e.Key(), false)
		case unstable.ArrayTable:
			prefix = l.keys("", e.Key(), true)
		case unstable.KeyValue:
			l.keyValue(prefix, e)
		}
	}
}

type locator struct {
	doc    *document
	parser *unstable.Parser
	arrays map[string]int // tables so far in each array of tables
}

// keys records the position of each part of a dotted key and returns the path. A key that
// leads through an array of tables refers to the last table of the array; with grow, the
// key itself begins another table.
func (l *locator) keys(path string, it unstable.Iterator, grow bool) string {
	for it.Next() {
		node := it.Node()
		path = join(path, string(node.Data))
		l.note(path, node)
		n, isArray := l.arrays[path]
		if grow && it.IsLast() {
			l.arrays[path] = n + 1
			path = join(path, strconv.Itoa(n))
			l.note(path, node)
		} else if isArray {
			path = join(path, strconv.Itoa(n-1))
		}
	}
	return path
}

func (l *locator) keyValue(prefix string, e *unstable.Node) {
	l.value(l.keys(prefix, e.Key(), false), e.Value())
}

func (l *locator) value(path string, v *unstable.Node) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			l.keyValue(path, it.Node())
		}
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); i++ {
			element := join(path, strconv.Itoa(i))
			if it.Node().Kind != unstable.Array { // which has no position of its own
				l.note(element, it.Node())
			}
			l.value(element, it.Node())
		}
	}
}

// note records where path was first seen.
func (l *locator) note(path string, n *unstable.Node) {
	if _, seen := l.doc.origin[path]; seen {
		return
	}
	start := l.parser.Shape(n.Raw).Start
	l.doc.origin[path] = origin{line: start.Line, byte: start.Offset}
}

// where returns the origin of a path, or of the nearest table around it.
func (d *document) where(path string) origin {
	for path != "" {
		if o, ok := d.origin[path]; ok {
			return o
		}
		path, _ = cutLast(path)
	}
	return origin{line: 1}
}

// fail records an error at a path.
func (d *document) fail(path, format string, args ...any) {
	o := d.where(path)
	e := &Error{File: d.file, Line: o.line, Key: path, Msg: fmt.Sprintf(format, args...), order: o.byte}
	if o.set {
		e.File, e.Line = "", 0
	}
	if d.told[*e] { // a block that is used twice would report its mistakes twice
		return
	}
	if d.told == nil {
		d.told = map[Error]bool{}
	}
	d.told[*e] = true
	d.errs = append(d.errs, e)
}

// set changes one value. assignment is "path=value", where the value has TOML syntax or is
// a plain string. An empty value removes the key.
func (d *document) set(assignment string) error {
	path, text, ok := strings.Cut(assignment, "=")
	path, text = strings.TrimSpace(path), strings.TrimSpace(text)
	if !ok || path == "" {
		return &SetError{assignment, "want key=value, such as optimizer.momentum=0.8"}
	}
	value := any(text)
	var parsed map[string]any
	if err := toml.Unmarshal([]byte("value = "+text), &parsed); err == nil && len(parsed) == 1 {
		value = parsed["value"]
	}
	if strings.HasPrefix(path, "data.") {
		listToTable(d.root)
	}
	root, err := assign(d.root, "", path, value, text == "")
	if err != nil {
		return &SetError{path, err.Error()}
	}
	d.root = root.(map[string]any)
	d.noteSet(path)
	return nil
}

// noteSet marks the path and everything below it as set by an assignment.
func (d *document) noteSet(path string) {
	maps.DeleteFunc(d.origin, func(p string, _ origin) bool { return strings.HasPrefix(p, path+".") })
	const afterTheFile = 1 << 30
	o := origin{byte: afterTheFile + len(d.origin), set: true}
	if old, ok := d.origin[path]; ok {
		o.byte = old.byte // keep its position in the file
	}
	d.origin[path] = o
}

// assign returns node, which is at the path done, with the value at the path rest below it
// replaced or removed. Missing tables are created.
func assign(node any, done, rest string, value any, remove bool) (any, error) {
	key, rest, more := strings.Cut(rest, ".")
	if key == "" {
		return nil, errors.New("empty part in the key")
	}
	switch node := node.(type) {
	case map[string]any:
		return assignTable(node, done, key, rest, more, value, remove)
	case []any:
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(node) {
			return nil, fmt.Errorf("no element %s, want 0 to %d", key, len(node)-1)
		}
		if !more && remove {
			return slices.Delete(node, i, i+1), nil
		}
		if !more {
			node[i] = value
			return node, nil
		}
		node[i], err = assign(node[i], join(done, key), rest, value, remove)
		return node, err
	}
	return nil, fmt.Errorf("%s is a value, not a table", done)
}

func assignTable(table map[string]any, done, key, rest string, more bool, value any, remove bool) (any, error) {
	if !more && remove {
		delete(table, key)
		return table, nil
	}
	if !more {
		table[key] = value
		return table, nil
	}
	child, ok := table[key]
	if !ok {
		child = map[string]any{}
	}
	child, err := assign(child, join(done, key), rest, value, remove)
	table[key] = child
	return table, err
}

// encode writes the tree as TOML, keys in the order of the file. Tables become struct
// types made for the purpose, because the encoder sorts the keys of maps.
func (d *document) encode() ([]byte, error) {
	text, err := toml.Marshal(d.ordered("", d.root))
	if err != nil {
		return nil, fmt.Errorf("writing recipe %s: %w", d.file, err)
	}
	return text, nil
}

func (d *document) ordered(path string, node any) any {
	switch node := node.(type) {
	case []any:
		out := make([]any, len(node))
		for i, v := range node {
			out[i] = d.ordered(join(path, strconv.Itoa(i)), v)
		}
		return out
	case map[string]any:
		keys := slices.SortedFunc(maps.Keys(node), func(a, b string) int {
			pa, pb := d.where(join(path, a)), d.where(join(path, b))
			if pa.byte != pb.byte {
				return pa.byte - pb.byte
			}
			return strings.Compare(a, b)
		})
		fields := make([]reflect.StructField, len(keys))
		for i, k := range keys {
			fields[i] = reflect.StructField{
				Name: fmt.Sprintf("Field%d", i),
				Type: reflect.TypeFor[any](),
				Tag:  reflect.StructTag(fmt.Sprintf("toml:%q", k)),
			}
		}
		v := reflect.New(reflect.StructOf(fields)).Elem()
		for i, k := range keys {
			v.Field(i).Set(reflect.ValueOf(d.ordered(join(path, k), node[k])))
		}
		return v.Interface()
	}
	return node
}

// join appends a key to a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// cutLast splits the last key off a path.
func cutLast(path string) (parent, key string) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}
