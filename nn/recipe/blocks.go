package recipe

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"trainer/nn/setting"
)

// block is a list of layers that a recipe names once and uses with different numbers; see the package comment.
type block struct {
	path   string
	layers []any
	used   bool
}

// readBlocks reads the table of blocks. The contents of a block are read where it is used.
func (s *section) readBlocks() {
	s.blocks = map[string]*block{}
	sub := s.sub("block")
	if sub == nil {
		return
	}
	for name, v := range sub.table {
		if _, ok := sub.tablesOf("", v); !ok {
			sub.fail(name, `want a list of layers, such as [{ layer = "conv2d", out = "$out", kernel = 3 }], got %s`, setting.Describe(v))
			continue
		}
		s.blocks[name] = &block{path: sub.at(name), layers: v.([]any)}
	}
}

// reportUnused reports blocks that no layer uses.
func (s *section) reportUnused() {
	for _, b := range s.blocks {
		if !b.used {
			s.doc.fail(b.path, "the network doesn't use this block")
		}
	}
}

// expand returns the layers of the block that a table names, with the table's other keys in place of the
// block's parameters.
func (r *reader) expand(use *section) ([]*section, bool) {
	v, _ := use.lookup("block")
	name, ok := v.(string)
	if !ok {
		use.fail("block", "want a string, got %s", setting.Describe(v))
		return nil, false
	}
	b, ok := r.blocks[name]
	if !ok {
		names := slices.Sorted(maps.Keys(r.blocks))
		if len(names) == 0 {
			use.fail("block", "there is no block %q: the recipe has none", name)
		} else {
			use.fail("block", "unknown value %q%s", name, Suggest(name, names))
		}
		return nil, false
	}
	b.used = true
	for s := use; s != nil; s = s.use {
		if s.block == b {
			use.fail("block", "the block %s is within itself", name)
			return nil, false
		}
	}
	e := &expansion{use: use, aliases: map[string]string{}}
	var layers []*section
	for i, l := range b.layers {
		path := join(b.path, strconv.Itoa(i))
		table := e.fill(path, l).(map[string]any)
		layers = append(layers, &section{reader: r, path: path, table: table, aliases: e.aliases, block: b, use: use})
	}
	use.finish()
	return layers, !e.failed
}

// expansion replaces a block's parameters with values.
type expansion struct {
	use     *section
	aliases map[string]string // for each path in the block, the key of use that its value comes from
	failed  bool
}

// parameter is $name or ${name} in a string of a block.
var parameter = regexp.MustCompile(`\$(?:([a-z][a-z0-9_]*)|\{([A-Za-z0-9_-]+)\})`)

// fill returns a copy, with parameters replaced, of the block's value at the path.
func (e *expansion) fill(path string, v any) any {
	if e.use.filled++; e.use.filled > maxFilled {
		if e.use.filled == maxFilled+1 {
			e.use.failHere("the blocks expand to more than %d values", maxFilled)
		}
		e.failed = true
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		table := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) { // messages list parameters in the order in which they are found
			table[key] = e.fill(join(path, key), v[key])
		}
		return table
	case []any:
		list := make([]any, len(v))
		for i, x := range v {
			list[i] = e.fill(join(path, strconv.Itoa(i)), x)
		}
		return list
	case string:
		return e.fillString(path, v)
	}
	return v
}

// fillString returns the parameter's value if the string is only a parameter, and otherwise the string with parameters
// replaced by their text.
func (e *expansion) fillString(path, text string) any {
	if m := parameter.FindString(text); m != "" && m == text {
		return e.value(path, m)
	}
	const longest = 100 // bytes of a text with parameters: blocks within blocks must not make it grow without limit
	filled := parameter.ReplaceAllStringFunc(text, func(m string) string {
		v := e.value(path, m)
		switch v.(type) {
		case string, int64, float64, bool:
			return fmt.Sprint(v)
		case nil:
		default:
			e.use.fail(parameterName(m), "want a number or a string, got %s", setting.Describe(v))
			e.failed = true
		}
		return ""
	})
	if filled != text && len(filled) > longest {
		e.use.failHere("a text of the block grows to more than %d letters", longest)
		e.failed = true
		return ""
	}
	return filled
}

// parameterName returns the name of a parameter that is written $name or ${name}.
func parameterName(reference string) string {
	m := parameter.FindStringSubmatch(reference)
	return m[1] + m[2]
}

// value returns the value of a parameter, or nil if it has none, for the path in the block.
func (e *expansion) value(path, reference string) any {
	key := parameterName(reference)
	v, ok := e.use.lookup(key)
	if !ok || key == "block" {
		e.use.failHere("%s is missing: the block has %s", key, reference)
		e.failed = true
		return nil
	}
	e.aliases[path] = e.use.at(key)
	return v
}
