package figure

import (
	"fmt"

	"trainer/nn"
	"trainer/nn/setting"
)

// Layer is a line of a network's table, with details such as the kernel.
type Layer struct {
	nn.LayerInfo
	Family nn.Family
	Detail string // such as "3×3, stride 2"; may be empty
}

// Layers joins a network's table with the model that it was compiled from, which has the details, and with the kinds of its
// layers. It panics if they are not of the same network.
func Layers(rows []nn.LayerInfo, model nn.Layer, kinds []nn.LayerKind) []Layer {
	all := walk(nil, model)
	if len(all) != len(rows) {
		panic(fmt.Sprintf("figure: a table of %d rows for a model of %d layers", len(rows), len(all)))
	}
	layers := make([]Layer, len(rows))
	for i, l := range all {
		if l.Kind() != rows[i].Kind {
			panic(fmt.Sprintf("figure: row %s is a %s, the model's layer is a %s", rows[i].Name, rows[i].Kind, l.Kind()))
		}
		layers[i] = Layer{rows[i], nn.FamilyOf(kinds, l.Kind()), setting.Of(l).Shown()}
	}
	return layers
}

// wrapper is a layer with an explicit name.
type wrapper interface{ Unwrap() nn.Layer }

func unwrap(l nn.Layer) nn.Layer {
	for {
		w, ok := l.(wrapper)
		if !ok {
			return l
		}
		l = w.Unwrap()
	}
}

// Chain returns the layers of a Sequential, and any other layer as the only one.
func Chain(model nn.Layer) []nn.Layer {
	if s, ok := unwrap(model).(*nn.Sequential); ok {
		return s.Layers
	}
	return []nn.Layer{model}
}

// walk appends the layers of a chain in the order of the table's rows: those inside a layer follow it, in the order of
// its settings.
func walk(all []nn.Layer, chain nn.Layer) []nn.Layer {
	for _, l := range Chain(chain) {
		l = unwrap(l)
		all = append(all, l)
		if s, ok := l.(*nn.Sequential); ok {
			all = walk(all, s)
		}
		for _, it := range setting.Of(l).All() {
			switch inner := it.Target().(type) {
			case *nn.Layer:
				if *inner != nil {
					all = walk(all, *inner)
				}
			case *[]nn.Layer:
				for _, branch := range *inner {
					if branch != nil {
						all = walk(all, branch)
					}
				}
			}
		}
	}
	return all
}
