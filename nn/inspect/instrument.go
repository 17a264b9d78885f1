package inspect

import (
	"slices"
	"strconv"

	"trainer/nn"
	"trainer/nn/explain"
)

// instrumenter makes a network with a probe after each layer, and the list of places.
type instrumenter struct {
	places []*place
}

// instrument returns the network with its places. The model fits the input.
func instrument(model nn.Layer, input nn.Shape) (*nn.Sequential, []*place, error) {
	b := &instrumenter{}
	chain := sequence(model)
	names, err := chain.Names()
	if err != nil {
		return nil, nil, err
	}
	first := "input"
	for slices.Contains(names, first) {
		first += "-"
	}
	in := b.add(place{
		Place: Place{Name: first, Kind: KindInput, Shape: input, Formula: explain.Formula{Forward: "x = (p/255 - mean) / std"}},
		probe: &probe{Layer: nn.Dropout{}}, // which does nothing
	})
	rest, last, err := b.chain("", chain, input, in, 0)
	if err != nil {
		return nil, nil, err
	}
	out, err := chain.OutputShape(input)
	if err != nil {
		return nil, nil, err
	}
	b.add(place{Place: Place{
		Name: KindSoftmax, Kind: KindSoftmax, Shape: out, Inputs: []int{last},
		Formula: explain.Formula{Forward: "p[k] = exp(z[k]) / sum_j exp(z[j])"},
	}})
	b.add(place{Place: Place{Name: KindLoss, Kind: KindLoss, Shape: nn.Shape{1}, Inputs: []int{last}}})
	for k, p := range b.places {
		for _, from := range p.Inputs {
			if users := &b.places[from].Users; len(*users) == 0 || (*users)[len(*users)-1] != k {
				*users = append(*users, k)
			}
		}
	}
	whole := &nn.Sequential{Layers: append([]nn.Layer{nn.Named(first, b.places[in].probe)}, rest.Layers...)}
	if rest.Places != nil {
		whole.Places = append([]string{""}, rest.Places...)
	}
	return whole, b.places, nil
}

// add adds a place and returns its number.
func (b *instrumenter) add(p place) int {
	b.places = append(b.places, &p)
	return len(b.places) - 1
}

// chain returns a chain with probes, and the place of its output. prefix is the name of the container with a dot, or "".
func (b *instrumenter) chain(prefix string, s *nn.Sequential, in nn.Shape, from, depth int) (*nn.Sequential, int, error) {
	names, err := s.Names()
	if err != nil {
		return nil, 0, err
	}
	out := &nn.Sequential{Places: s.Places}
	for k, l := range s.Layers {
		var with nn.Layer
		if with, from, err = b.layer(prefix+names[k], unwrap(l), in, from, depth); err != nil {
			return nil, 0, err
		}
		out.Layers = append(out.Layers, nn.Named(names[k], with))
		if in, err = l.OutputShape(in); err != nil {
			return nil, 0, err
		}
	}
	return out, from, nil
}

// layer returns a layer with probes, and the place of its output.
func (b *instrumenter) layer(name string, l nn.Layer, in nn.Shape, from, depth int) (nn.Layer, int, error) {
	switch l := l.(type) {
	case *nn.Sequential:
		s, to, err := b.chain(name+".", l, in, from, depth+1)
		return s, to, err
	case nn.Residual:
		return b.residual(name, l, in, from, depth)
	case *nn.Residual:
		return b.residual(name, *l, in, from, depth)
	case nn.Concat:
		return b.concat(name, l, in, from, depth)
	case *nn.Concat:
		return b.concat(name, *l, in, from, depth)
	case nn.ChannelScale:
		return b.channelScale(name, l, in, from, depth)
	case *nn.ChannelScale:
		return b.channelScale(name, *l, in, from, depth)
	}
	return b.probe(name, l, evaluation(l), in, []int{from}, depth)
}

// probe adds a layer's place and returns the layer with its probe. computes is what stands in for the layer.
func (b *instrumenter) probe(name string, l, computes nn.Layer, in nn.Shape, from []int, depth int) (nn.Layer, int, error) {
	out, err := l.OutputShape(in)
	if err != nil {
		return nil, 0, err
	}
	p := place{
		Place: Place{Name: name, Kind: l.Kind(), Shape: out, Inputs: from, Depth: depth},
		layer: l, rule: nn.Explain(l, in), probe: &probe{Layer: computes},
	}
	if p.rule != nil {
		p.Formula = p.rule.Says()
	}
	return p.probe, b.add(p), nil
}

func (b *instrumenter) residual(name string, l nn.Residual, in nn.Shape, from, depth int) (nn.Layer, int, error) {
	body, bodyAt, err := b.chain(name+".body.", sequence(l.Body), in, from, depth+1)
	if err != nil {
		return nil, 0, err
	}
	with, shortcutAt := nn.Residual{Body: body}, from
	if l.Shortcut != nil {
		if with.Shortcut, shortcutAt, err = b.chain(name+".shortcut.", sequence(l.Shortcut), in, from, depth+1); err != nil {
			return nil, 0, err
		}
	}
	return b.probe(name, l, with, in, []int{bodyAt, shortcutAt}, depth)
}

func (b *instrumenter) concat(name string, l nn.Concat, in nn.Shape, from, depth int) (nn.Layer, int, error) {
	var with nn.Concat
	var inputs []int
	for k, branch := range l.Branches {
		if s, ok := branch.(*nn.Sequential); branch == nil || ok && len(s.Layers) == 0 {
			with.Branches, inputs = append(with.Branches, nil), append(inputs, from)
			continue
		}
		s, at, err := b.chain(name+"."+strconv.Itoa(k+1)+".", sequence(branch), in, from, depth+1)
		if err != nil {
			return nil, 0, err
		}
		with.Branches, inputs = append(with.Branches, s), append(inputs, at)
	}
	return b.probe(name, l, with, in, inputs, depth)
}

func (b *instrumenter) channelScale(name string, l nn.ChannelScale, in nn.Shape, from, depth int) (nn.Layer, int, error) {
	factors, factorsAt, err := b.chain(name+".factors.", sequence(l.Network(in[2])), in, from, depth+1)
	if err != nil {
		return nil, 0, err
	}
	with := l
	with.Factors = factors
	return b.probe(name, l, with, in, []int{from, factorsAt}, depth)
}

// unwrap returns a layer without its name.
func unwrap(l nn.Layer) nn.Layer {
	for {
		named, ok := l.(interface{ Unwrap() nn.Layer })
		if !ok {
			return l
		}
		l = named.Unwrap()
	}
}

// sequence returns a layer as a chain.
func sequence(l nn.Layer) *nn.Sequential {
	if s, ok := unwrap(l).(*nn.Sequential); ok {
		return s
	}
	return nn.NewSequential(l)
}
