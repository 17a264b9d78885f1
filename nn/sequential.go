package nn

import (
	"errors"
	"fmt"
	"strings"

	"trainer/nn/device"
)

// Sequential is a chain of layers, each of which gets the output of the layer before:
//
//	y = f_k(... f_2(f_1(x)))
//
// and backwards, by the chain rule, dx = f_1'^T(... f_k'^T(dy)): each layer turns the
// gradient with respect to its output into the gradient with respect to its input, last
// layer first.
//
// Unless it is Named, a layer is named after its kind, or after what its method Stem() string returns if it has one,
// followed by its number among the layers of that stem: conv1, conv2, pool1. In a container its full name begins with
// the container's: block1.conv2.
type Sequential struct {
	Layers []Layer
	// Places says where each layer was declared, such as "my.toml:12", for errors. It may be nil. It is no setting of the
	// network: a checkpoint, which records those, continues under any name of the file.
	Places []string `json:"-"`
}

// NewSequential returns the chain of the given layers.
func NewSequential(layers ...Layer) *Sequential { return &Sequential{Layers: layers} }

// Kind returns "sequential".
func (s *Sequential) Kind() string { return "sequential" }

// OutputShape passes the shape through all layers. The error is a *LayerError, which names
// the layer that can't take its input.
func (s *Sequential) OutputShape(in Shape) (Shape, error) {
	_, shapes, err := s.plan(in, 1)
	if err != nil {
		return nil, err
	}
	return shapes[len(shapes)-1], nil
}

// plan returns the name and the input shape of each layer, with the output's shape as the
// last element of shapes. A layer whose output is too large for a batch is an error.
func (s *Sequential) plan(in Shape, batch int) (names []string, shapes []Shape, err error) {
	if names, err = s.Names(); err != nil {
		return nil, nil, err
	}
	shapes = []Shape{in}
	for i, l := range s.Layers {
		if in, err = l.OutputShape(in); err == nil {
			err = in.checkBatch("its output", batch)
		}
		if err != nil {
			return nil, nil, s.inLayer(i, names[i], err)
		}
		shapes = append(shapes, in)
	}
	return names, shapes, nil
}

// inLayer says in which layer an error occurred, and where that was declared.
func (s *Sequential) inLayer(i int, name string, err error) error {
	err = inLayer(name, err)
	if e, ok := err.(*LayerError); ok && e.Place == "" {
		e.Place = s.place(i)
	}
	return err
}

// place returns where a layer was declared; "" if unknown.
func (s *Sequential) place(i int) string {
	if i < len(s.Places) {
		return s.Places[i]
	}
	return ""
}

// Names returns the names of the layers, in order. It returns an error unless they are all different.
func (s *Sequential) Names() ([]string, error) {
	if len(s.Layers) == 0 {
		return nil, errors.New("sequential has no layers")
	}
	var names []string
	count := map[string]int{}
	taken := map[string]bool{}
	for i, l := range s.Layers {
		if l == nil {
			return nil, fmt.Errorf("sequential: layer %d of %d is nil", i+1, len(s.Layers))
		}
		stem := stem(l)
		count[stem]++
		name := fmt.Sprintf("%s%d", stem, count[stem])
		if n, ok := l.(*named); ok {
			count[stem]--
			name = n.name
		}
		if name == "" || strings.Contains(name, ".") {
			return nil, fmt.Errorf("layer %d is named %q: a name must not be empty or contain a dot", i+1, name)
		}
		if taken[name] {
			return nil, fmt.Errorf("two layers are named %q", name)
		}
		taken[name] = true
		names = append(names, name)
	}
	return names, nil
}

// stem returns what the names of such layers begin with: the result of the method Stem if the layer has one, otherwise
// its kind.
func stem(l Layer) string {
	if s, ok := unwrap(l).(interface{ Stem() string }); ok {
		return s.Stem()
	}
	return l.Kind()
}

// Build builds the layers in order. If the device can fuse a layer with the next one, one
// BuiltLayer stands for both.
func (s *Sequential) Build(b *Builder, in Shape) (BuiltLayer, error) {
	names, shapes, err := s.plan(in, b.batch)
	if err != nil {
		return nil, err
	}
	chain := &sequential{}
	from := len(b.params)
	for i := 0; i < len(s.Layers); i++ {
		b.previous = chain.last()
		outer := b.place
		if place := s.place(i); place != "" {
			b.place = place
		}
		row := b.enter(names[i], s.Layers[i].Kind())
		u, fused, err := s.build(b, i, shapes[i])
		b.leave()
		b.place = outer
		if err != nil {
			return nil, s.inLayer(i, names[i], err)
		}
		b.rows[row].Output = shapes[i+1]
		for range fused {
			i++
			row = b.enter(names[i], s.Layers[i].Kind())
			b.leave()
			b.rows[row].Output = shapes[i+1]
		}
		if err := joinPooling(b, chain.last(), u); err != nil {
			return nil, s.inLayer(i, names[i], err)
		}
		chain.units = append(chain.units, u)
		chain.params = append(chain.params, unitParams{from, len(b.params)})
		from = len(b.params)
		chain.names = append(chain.names, b.rows[row].Name)
		if b.freeze.beforeTrained() {
			chain.frozen = len(chain.units)
		}
	}
	chain.outputs = make([]*device.Tensor, len(chain.units))
	return chain, nil
}

// build builds layer i, fused with as many of the following layers as possible, and returns
// their number.
func (s *Sequential) build(b *Builder, i int, in Shape) (u BuiltLayer, fused int, err error) {
	if f, ok := unwrap(s.Layers[i]).(fuser); ok && i+1 < len(s.Layers) {
		var next []Layer
		for _, l := range s.Layers[i+1:] {
			next = append(next, unwrap(l))
		}
		if u, fused, err := f.buildFused(b, in, next); fused > 0 || err != nil {
			return u, fused, err
		}
	}
	u, err = s.Layers[i].Build(b, in)
	return u, 0, err
}

type sequential struct {
	units    []BuiltLayer
	names    []string         // full name of the layer whose output the unit computes
	params   []unitParams     // of each unit
	outputs  []*device.Tensor // of the last Forward
	frozen   int              // units at the beginning that are frozen, with all that is before them
	isFrozen bool             // they are frozen at present
	ended    int              // units at the beginning whose training has ended: see Network.EndTraining
	first    int              // unit at which Backward ends
	passed   func(param int)  // is told after each unit of Backward from which parameter on gradients are complete; may be nil
}

// last returns the last unit, or nil.
func (s *sequential) last() BuiltLayer {
	if len(s.units) == 0 {
		return nil
	}
	return s.units[len(s.units)-1]
}

// Forward runs the layers first to last.
func (s *sequential) Forward(x *device.Tensor, mode Mode) *device.Tensor {
	for i, u := range s.units {
		x = u.Forward(x, mode)
		s.outputs[i] = x
	}
	return x
}

// Backward runs the layers last to first, and stops when no earlier layer is trained.
func (s *sequential) Backward(dy *device.Tensor) *device.Tensor {
	for i := len(s.units) - 1; i >= s.first && dy != nil; i-- {
		dy = s.units[i].Backward(dy)
		if s.passed != nil {
			s.passed(s.params[i].from)
		}
	}
	return dy
}

// named is a layer with a name of its own.
type named struct {
	Layer
	name string
}

// Named gives a layer a name, by which optimiser groups and saved weights refer to it. The
// name must be unique in its container and have no dot.
func Named(name string, l Layer) Layer { return &named{l, name} }

// Unwrap returns the layer without its name.
func (n *named) Unwrap() Layer { return n.Layer }

// unwrap returns the layer without its name.
func unwrap(l Layer) Layer {
	for {
		n, ok := l.(*named)
		if !ok {
			return l
		}
		l = n.Layer
	}
}

// chain returns the layer as a Sequential.
func chain(l Layer) *Sequential {
	if s, ok := unwrap(l).(*Sequential); ok {
		return s
	}
	return NewSequential(l)
}
