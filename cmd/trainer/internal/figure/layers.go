package figure

import (
	"fmt"
	"strings"

	"trainer/nn"
)

// Layer is a line of a network's table, with details such as the kernel.
type Layer struct {
	nn.LayerInfo
	Detail string // such as "3×3, stride 2"; may be empty
}

// Layers joins a network's table with the model that it was compiled from, which has the details. It panics if they are not
// of the same network.
func Layers(rows []nn.LayerInfo, model nn.Layer) []Layer {
	all := walk(nil, model)
	if len(all) != len(rows) {
		panic(fmt.Sprintf("figure: a table of %d rows for a model of %d layers", len(rows), len(all)))
	}
	layers := make([]Layer, len(rows))
	for i, l := range all {
		if l.Kind() != rows[i].Kind {
			panic(fmt.Sprintf("figure: row %s is a %s, the model's layer is a %s", rows[i].Name, rows[i].Kind, l.Kind()))
		}
		layers[i] = Layer{rows[i], detail(l)}
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

// walk appends the layers of a chain in the order of the table's rows.
func walk(all []nn.Layer, chain nn.Layer) []nn.Layer {
	for _, l := range Chain(chain) {
		l = unwrap(l)
		all = append(all, l)
		switch l := l.(type) {
		case *nn.Sequential:
			all = walk(all, l)
		case nn.Residual:
			all = walk(all, l.Body)
			if l.Shortcut != nil {
				all = walk(all, l.Shortcut)
			}
		}
	}
	return all
}

// detail describes a layer's settings that differ from the usual ones.
func detail(l nn.Layer) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	one := nn.Square(1)
	step := func(name string, p, usual nn.Pair) {
		if p == (nn.Pair{}) || p == usual {
			return
		}
		if p.H == p.W {
			add("%s %d", name, p.H)
			return
		}
		add("%s %s", name, times(p))
	}
	switch l := l.(type) {
	case nn.Conv2D:
		add("%s", times(l.Kernel))
		step("stride", l.Stride, one)
		step("dilation", l.Dilation, one)
		step("padding", l.Padding, nn.Pair{})
		if l.Same && l.Kernel != one {
			add("same")
		}
		if l.Groups > 1 {
			add("%d groups", l.Groups)
		}
		if l.Frozen {
			add("frozen")
		}
	case nn.MaxPool2D:
		add("%s", times(l.Kernel))
		step("stride", l.Stride, l.Kernel)
		step("padding", l.Padding, nn.Pair{})
	case nn.AvgPool2D:
		add("%s", times(l.Kernel))
		step("stride", l.Stride, l.Kernel)
		step("padding", l.Padding, nn.Pair{})
	case nn.Dropout:
		add("%.3g%%", 100*l.Rate)
	case nn.Scale:
		add("× %.3g", l.By)
	}
	return strings.Join(parts, ", ")
}

func times(p nn.Pair) string { return fmt.Sprintf("%d×%d", p.H, p.W) }
