package model

import (
	"fmt"
	"slices"
	"strings"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/graph"
	"trainer/nn/train"
)

// Apply sets a network's weights to those of the file that fit. layers is what the network was compiled from, and classes
// are the names of its outputs.
//
// A tensor fits by its name, if the shape is the same; namesOf has the names that other programs use. What is left then
// fits by its shape, if the network and the file each have only one such tensor left. The tensors of other programs are
// brought into this project's layout.
//
// The last layer belongs to the classes: its weights are used if the file names the same classes, and are put into the
// order of the network's; a file that names no classes has them in the network's order. With other classes the layer
// keeps its first weights.
//
// If nothing fits, the error is a *train.MismatchError and the network is unchanged.
func (w *Weights) Apply(net *nn.Network, layers nn.Layer, classes []string) (*Report, error) {
	m := &matching{w: w, used: map[string]bool{}, r: &Report{Path: w.path}}
	if err := m.addTargets(net, layers); err != nil {
		return nil, err
	}
	order, sameClasses := m.orderOf(classes)
	m.byName(sameClasses)
	m.byShape()
	if !slices.ContainsFunc(m.targets, func(t target) bool { return t.from != nil && len(t.shape) > 1 }) {
		return nil, &train.MismatchError{Path: w.path, Differences: []string{m.nothingFits()}}
	}
	for _, t := range m.targets {
		if t.from == nil {
			m.r.Fresh = append(m.r.Fresh, Fresh{t.param.Name, t.why})
			continue
		}
		if err := t.upload(net, w.foreign, order); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", w.path, t.param.Name, err)
		}
		m.r.Loaded++
	}
	for _, t := range w.tensors {
		if !m.used[t.name] {
			m.r.Left = append(m.r.Left, t.name)
		}
	}
	return m.r, nil
}

// matching assigns tensors of a file to tensors of a network.
type matching struct {
	w       *Weights
	targets []target
	used    map[string]bool // tensors of the file
	r       *Report
}

// target is a tensor of a network.
type target struct {
	param *nn.Param
	how   graph.Param // how the description of the network has it
	shape []int       // in the file's layout
	// outputs says that it belongs to the last layer, and dimension is the dimension of the outputs in the file's layout.
	outputs   bool
	dimension int
	from      *weight // nil: keeps its first weights
	why       string  // the reason
}

func (m *matching) addTargets(net *nn.Network, layers nn.Layer) error {
	params := map[string]graph.Param{}
	if m.w.foreign {
		g, err := nn.GraphOf(layers, net.Input())
		if err != nil {
			return &Error{m.w.path, err}
		}
		params = paramsOf(g)
	}
	head := lastLayer(net)
	for _, p := range net.Tensors() {
		t := target{param: p, shape: p.Value.Shape(), how: params[p.Name]}
		if m.w.foreign {
			t.shape = t.how.Shape
		}
		layer, _ := cutLast(p.Name)
		if layer == head {
			t.dimension = outputDimension(t.shape, net.Classes(), m.w.foreign)
			t.outputs = t.dimension >= 0
		}
		m.targets = append(m.targets, t)
	}
	return nil
}

// paramsOf returns the parameters of a network's description, by the names of their tensors.
func paramsOf(g *graph.Graph) map[string]graph.Param {
	params := map[string]graph.Param{}
	for _, n := range g.Nodes {
		for _, p := range n.Params {
			params[p.Tensor] = p
		}
	}
	return params
}

// lastLayer returns the name of the last layer that has weights.
func lastLayer(net *nn.Network) string {
	params := net.Params()
	if len(params) == 0 {
		return ""
	}
	layer, _ := cutLast(params[len(params)-1].Name)
	return layer
}

// outputDimension returns the dimension of a shape that stands for the outputs, or -1. Matrices have it last in this
// project's layout, everything else has it first.
func outputDimension(shape []int, classes int, foreign bool) int {
	dimension := 0
	if len(shape) == 2 && !foreign {
		dimension = 1
	}
	if len(shape) == 0 || shape[dimension] != classes {
		return -1
	}
	return dimension
}

// orderOf returns, for each of the network's classes, its number in the file, or nil if that is the same. It returns false
// if the file has other classes.
func (m *matching) orderOf(classes []string) (order []int, same bool) {
	theirs := m.w.classes
	if theirs == nil || slices.Equal(theirs, classes) {
		return nil, true
	}
	numbers := make(map[string]int, len(theirs))
	for k, name := range theirs {
		numbers[name] = k
	}
	for _, name := range classes {
		k, ok := numbers[name]
		if !ok {
			return nil, false
		}
		delete(numbers, name) // a second class of this name would get the same weights
		order = append(order, k)
	}
	return order, len(theirs) == len(classes)
}

// byName matches the tensors that have the same name, or one that another program uses for it.
func (m *matching) byName(sameClasses bool) {
	prefix := m.w.prefix()
	has := map[string]*weight{}
	for i := range m.w.tensors {
		t := &m.w.tensors[i]
		has[strings.TrimPrefix(t.name, prefix)] = t
	}
	for i := range m.targets {
		t := &m.targets[i]
		t.why = "not in the file"
		if t.outputs && !sameClasses {
			t.why = "other classes"
			continue
		}
		for _, name := range namesOf(t.param.Name) {
			from := has[name]
			if from == nil || m.used[from.name] {
				continue
			}
			if !sameShape(t.shape, from.shape) {
				t.why = fmt.Sprintf("%v in the file, %v here", from.shape, t.shape)
				continue
			}
			t.from = from
			m.used[from.name] = true
			break
		}
	}
}

// sameShape compares shapes. A matrix is also a convolution with a kernel of 1x1, and ONNX files have slopes as [c 1 1].
func sameShape(a, b []int) bool {
	trim := func(s []int) []int {
		for len(s) > 1 && s[len(s)-1] == 1 {
			s = s[:len(s)-1]
		}
		return s
	}
	return slices.Equal(a, b) || slices.Equal(trim(a), trim(b)) && len(a) != len(b)
}

// byShape matches what is left where there is no choice. Vectors are too much alike: they follow the filters or the matrix
// of their layer.
func (m *matching) byShape() {
	for i := range m.targets {
		t := &m.targets[i]
		if t.from != nil || len(t.shape) < 2 || t.why != "not in the file" {
			continue
		}
		from := m.onlyOfShape(t.shape)
		if from == nil {
			continue
		}
		t.from, t.why = from, ""
		m.used[from.name] = true
		m.r.ByShape++
		m.follow(*t)
	}
}

// onlyOfShape returns the tensor of the file that has the shape, if there is only one left, and the network has only one
// such tensor left as well.
func (m *matching) onlyOfShape(shape []int) *weight {
	open := 0
	for _, t := range m.targets {
		if t.from == nil && slices.Equal(t.shape, shape) {
			open++
		}
	}
	var found *weight
	for i := range m.w.tensors {
		t := &m.w.tensors[i]
		if m.used[t.name] || !slices.Equal(t.shape, shape) {
			continue
		}
		if found != nil {
			return nil
		}
		found = t
	}
	if open != 1 {
		return nil
	}
	return found
}

// follow matches the vectors of a layer whose filters or matrix were matched by shape.
func (m *matching) follow(first target) {
	layer, _ := cutLast(first.param.Name)
	theirs, _ := cutLast(first.from.name)
	for i := range m.targets {
		t := &m.targets[i]
		ours, tensor := cutLast(t.param.Name)
		if ours != layer || t.from != nil || t.why != "not in the file" {
			continue
		}
		k := slices.IndexFunc(m.w.tensors, func(w weight) bool { return w.name == theirs+"."+tensor })
		if k >= 0 && !m.used[m.w.tensors[k].name] && slices.Equal(t.shape, m.w.tensors[k].shape) {
			t.from, t.why = &m.w.tensors[k], ""
			m.used[t.from.name] = true
			m.r.ByShape++
		}
	}
}

// nothingFits says that no filters and no matrix fit, with an example of each side.
func (m *matching) nothingFits() string {
	theirs, ours := m.w.tensors[0], m.targets[0]
	for _, t := range m.w.tensors {
		if len(t.shape) > 1 {
			theirs = t
			break
		}
	}
	return fmt.Sprintf("nothing in it fits the network: it has, for example, %s %v, and the network %s %v; is it the right recipe?",
		theirs.name, theirs.shape, ours.param.Name, ours.shape)
}

// upload gives the target its values.
func (t *target) upload(net *nn.Network, foreign bool, order []int) error {
	values := t.from.values
	if t.outputs && order != nil {
		values = reordered(values, t.shape, t.dimension, order)
	}
	if foreign {
		values = t.how.Restore(values)
	}
	return net.Device().Upload(t.param.Value, device.Bytes(values))
}

// reordered returns the values with the elements of one dimension in another order.
func reordered(values []float32, shape []int, dimension int, order []int) []float32 {
	inner := 1
	for _, d := range shape[dimension+1:] {
		inner *= d
	}
	n := shape[dimension]
	out := make([]float32, 0, len(values))
	for outer := 0; outer < len(values); outer += n * inner {
		for _, k := range order {
			out = append(out, values[outer+k*inner:][:inner]...)
		}
	}
	return out
}

// prefix returns the beginning that the names of all tensors share because another program wrapped the model, or "".
func (w *Weights) prefix() string {
	if !w.foreign {
		return ""
	}
	return unwrapped(w.tensors)
}

// Outputs returns the number of outputs that the file's tensors have for the last layer of a network, or 0 if the file has
// no tensor of its name. layers is the network for any number of classes.
func (w *Weights) Outputs(layers nn.Layer) int {
	names := layerNames(layers)
	prefix := w.prefix()
	for k := len(names) - 1; k >= 0; k-- {
		theirs := namesOf(names[k] + ".weight")
		for _, t := range w.tensors {
			if !slices.Contains(theirs, strings.TrimPrefix(t.name, prefix)) || len(t.shape) < 2 {
				continue
			}
			if len(t.shape) == 2 && !w.foreign {
				return t.shape[1]
			}
			return t.shape[0]
		}
	}
	return 0
}

// layerNames returns the names of a network's layers, in order, without those in containers.
func layerNames(layers nn.Layer) []string {
	s, ok := layers.(*nn.Sequential)
	if !ok {
		return nil
	}
	names, err := s.Names()
	if err != nil {
		return nil
	}
	return names
}
