package nn

import (
	"errors"
	"fmt"

	"trainer/nn/graph"
)

// GraphLayer is a layer that describes what it computes in inference by standard operations, so that other programs can
// compute it: see package graph. All layers of this package do.
type GraphLayer interface {
	Layer
	// Graph adds the layer's operations to g and returns the output. in is the shape of x in this project's layout, which
	// OutputShape has accepted.
	Graph(g *graph.Builder, x graph.Value, in Shape) (graph.Value, error)
}

// GraphOf describes a model for images of the shape [h w c]. The error is a *LayerError if the model doesn't fit the input,
// or if a layer is not a GraphLayer.
func GraphOf(model Layer, in Shape) (*graph.Graph, error) {
	h, w, c, err := in.image()
	if err != nil {
		return nil, fmt.Errorf("describing the network: %w", err)
	}
	g := graph.NewBuilder(h, w, c)
	out, err := chain(model).Graph(g, g.Input(), in)
	if err != nil {
		return nil, err
	}
	return g.Finish(out), nil
}

// Graph describes the layers one after the other.
func (s *Sequential) Graph(g *graph.Builder, x graph.Value, in Shape) (graph.Value, error) {
	names, shapes, err := s.plan(in, 1)
	if err != nil {
		return x, err
	}
	outer := g.Layer()
	defer g.SetLayer(outer)
	for i, l := range s.Layers {
		described, ok := unwrap(l).(GraphLayer)
		if !ok {
			return x, inLayer(names[i], errors.New("it doesn't describe itself for other programs: it needs a method Graph (nn.GraphLayer)"))
		}
		g.SetLayer(within(outer, names[i]))
		if x, err = described.Graph(g, x, shapes[i]); err != nil {
			return x, inLayer(names[i], err)
		}
	}
	return x, nil
}

// graphBranch describes a part of a layer under its name, as buildBranch builds it.
func graphBranch(g *graph.Builder, name string, l Layer, x graph.Value, in Shape) (graph.Value, error) {
	outer := g.Layer()
	defer g.SetLayer(outer)
	g.SetLayer(within(outer, name))
	y, err := chain(l).Graph(g, x, in)
	if err != nil {
		return y, inLayer(name, err)
	}
	return y, nil
}

// within returns the full name of a part of a layer.
func within(outer, name string) string {
	if outer == "" {
		return name
	}
	return outer + "." + name
}

// attributes returns the window over an image of the given shape as the attributes of a graph's operation.
func (v window) attributes(in Shape) graph.Attributes {
	v = v.at(in[0], in[1])
	return graph.Attributes{
		Kernel: [2]int{v.kernel.H, v.kernel.W}, Stride: [2]int{v.stride.H, v.stride.W}, Dilation: [2]int{v.dilation.H, v.dilation.W},
		Pads: [4]int{v.padding.H, v.padding.W, v.padding.H + v.extra.H, v.padding.W + v.extra.W}, CeilMode: v.ceil,
	}
}
