package recipe

import (
	"fmt"
	"strconv"
	"strings"

	"trainer/nn"
	"trainer/nn/setting"
)

// maxTables bounds the number of layers of a recipe, and with it the growth of blocks within blocks.
const maxTables = 1 << 12

// readLayers reads a list of layers. It never returns nil; errors are in the document.
func (r *reader) readLayers(list []*section) *nn.Sequential {
	c := &chain{reader: r, kinds: r.kinds.layers(), names: map[string]bool{}}
	c.add(list)
	return &nn.Sequential{Layers: c.layers, Places: c.places}
}

// chain is a list of layers while it is being read.
type chain struct {
	*reader
	kinds  []setting.Kind[nn.Layer]
	names  map[string]bool
	layers []nn.Layer
	places []string // of the layers: file and line
}

func (c *chain) add(list []*section) {
	for _, s := range list {
		c.tables++
		switch {
		case c.tables == maxTables:
			s.failHere("the network has more than %d layers", maxTables)
		case c.tables > maxTables:
		case s.has("block"):
			if inner, ok := c.expand(s); ok {
				c.add(inner)
			}
		default:
			c.addLayer(s)
		}
	}
}

func (c *chain) addLayer(s *section) {
	name := ""
	var l setting.List
	l.Text(&name, "name", "name of the layer and its weights")
	s.asked = nil // "layer" comes first in messages, and "block" is not a key of a layer
	if !s.require("layer") {
		return
	}
	s.read(&l)
	layer, ok := readKind(s, "layer", c.kinds)
	if !ok {
		return
	}
	s.finish()
	if v, _ := s.lookup("name"); isText(v) {
		c.checkName(s, name)
		layer = nn.Named(name, layer)
	}
	c.layers = append(c.layers, layer)
	c.places = append(c.places, fmt.Sprintf("%s:%d", c.doc.file, c.doc.where(s.path).line))
}

func isText(v any) bool {
	_, ok := v.(string)
	return ok
}

// checkName reports an invalid name, or a name that another layer of the chain has.
func (c *chain) checkName(s *section, name string) {
	if !validName(name) {
		s.fail("name", "want letters, digits, - and _, got %q", name)
	}
	if c.names[name] {
		s.fail("name", "another layer is called %q already", name)
	}
	c.names[name] = true
}

// validName reports whether a layer can have the name: dots join names, and * and other
// characters make patterns of groups.
func validName(name string) bool {
	return name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// readBranches reads a list of lists of layers.
func (s *section) readBranches(key string) []nn.Layer {
	v, _ := s.lookup(key)
	list, ok := v.([]any)
	var branches []nn.Layer
	for i, e := range list {
		layers, isList := s.tablesOf(join(s.at(key), strconv.Itoa(i)), e)
		ok = ok && isList
		if isList {
			branches = append(branches, s.readLayers(layers))
		}
	}
	if !ok {
		s.fail(key, "want lists of layers, such as [[{ layer = \"relu\" }], [{ layer = \"tanh\" }]], got %s", setting.Describe(v))
	}
	return branches
}

// readNetwork reads the layers.
func (s *section) readNetwork() *nn.Sequential {
	list, ok := s.subs("network")
	if ok && len(list) == 0 {
		s.fail("network", "no layers")
	}
	return s.readLayers(list)
}
