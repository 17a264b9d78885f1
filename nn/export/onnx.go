package export

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"trainer/nn/folder"
	"trainer/nn/graph"
	"trainer/nn/model"
)

// The versions of ONNX that files declare: operator set 17, and the version of the file format that came with it.
const (
	onnxOpset     = 17
	onnxIRVersion = 8
)

// ONNXOptions says what an ONNX file takes.
type ONNXOptions struct {
	// Normalized makes the input float32 [n, c, h, w], already normalised. Otherwise it is uint8 [n, h, w, c], the pixels,
	// and the file normalises them.
	Normalized bool
}

// ONNX writes a model as an ONNX file. Its input is "images", its outputs are "logits" and "probabilities", [n, classes].
// The size of the batch is open. Resizing pictures is left to the caller: the metadata, which are those of the model file,
// say how. Afterwards the file is complete or, after an error, unchanged.
func ONNX(path string, m *model.Model, o ONNXOptions) error {
	g, err := m.Graph()
	if err != nil {
		return fmt.Errorf("exporting to ONNX: %w", err)
	}
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("exporting to ONNX: %w", err)
	}
	e := &onnxWriter{model: m, names: map[int]string{}}
	e.begin(g, o)
	for _, n := range g.Nodes {
		if err := e.node(n); err != nil {
			return fmt.Errorf("exporting to ONNX: layer %s: %w", n.Layer, err)
		}
	}
	e.finish(g)
	dir, err := folder.Make(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer dir.Close()
	return dir.Write(filepath.Base(path), e.file(meta))
}

// onnxWriter collects the parts of GraphProto.
type onnxWriter struct {
	model *model.Model
	names map[int]string // of the values, by their numbers
	layer string
	count int // nodes so far

	nodes, initializers, inputs, outputs []message
}

// op adds a node with one output, whose name it returns. attributes are names and values in turn.
func (e *onnxWriter) op(kind string, inputs []string, attributes ...any) string {
	e.count++
	output := fmt.Sprintf("%s_%s_%d", strings.ReplaceAll(e.layer, ".", "_"), strings.ToLower(kind), e.count)
	return e.opTo(output, kind, inputs, attributes...)
}

func (e *onnxWriter) opTo(output, kind string, inputs []string, attributes ...any) string {
	var m message
	for _, in := range inputs {
		m.text(1, in)
	}
	m.text(2, output)
	m.text(3, output)
	m.text(4, kind)
	for k := 0; k < len(attributes); k += 2 {
		m.bytes(5, attributeMessage(attributes[k].(string), attributes[k+1]))
	}
	e.nodes = append(e.nodes, m)
	return output
}

// floats adds a constant and returns its name.
func (e *onnxWriter) floats(name string, shape []int, values ...float32) string {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	e.initializers = append(e.initializers, tensorMessage(name, onnxFloat, shape, raw))
	return name
}

// constant adds a constant with a name of its own.
func (e *onnxWriter) constant(shape []int, values ...float32) string {
	e.count++
	return e.floats(fmt.Sprintf("constant_%d", e.count), shape, values...)
}

// number adds a scalar.
func (e *onnxWriter) number(v float64) string { return e.constant(nil, float32(v)) }

// integers adds a list of integers, such as a shape.
func (e *onnxWriter) integers(values ...int) string {
	e.count++
	name := fmt.Sprintf("constant_%d", e.count)
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(int64(v)))
	}
	e.initializers = append(e.initializers, tensorMessage(name, onnxInt64, []int{len(values)}, raw))
	return name
}

// param adds a parameter of the network; shape is its shape in the file, or nil for that of the description.
func (e *onnxWriter) param(p graph.Param, shape []int) (string, error) {
	values, err := e.model.Tensor(p.Tensor)
	if err != nil {
		return "", err
	}
	if shape == nil {
		shape = p.Shape
	}
	return e.floats(p.Tensor, shape, p.Convert(values)...), nil
}

// params adds all parameters of a node.
func (e *onnxWriter) params(n graph.Node) (names []string, err error) {
	for _, p := range n.Params {
		name, err := e.param(p, nil)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// begin adds the input, and normalises it: x = (pixel/255 - mean) / std.
func (e *onnxWriter) begin(g *graph.Graph, o ONNXOptions) {
	e.layer = "input"
	c, h, w := g.Input.Shape[0], g.Input.Shape[1], g.Input.Shape[2]
	if o.Normalized {
		e.inputs = append(e.inputs, valueMessage("images", onnxFloat, g.Input.Shape))
		e.names[0] = "images"
		return
	}
	e.inputs = append(e.inputs, valueMessage("images", onnxUint8, []int{h, w, c}))
	images := e.model.Info().Images
	x := e.op("Cast", []string{"images"}, "to", onnxFloat)
	x = e.op("Transpose", []string{x}, "perm", []int{0, 3, 1, 2})
	x = e.op("Div", []string{x, e.number(255)})
	x = e.op("Sub", []string{x, e.constant([]int{1, c, 1, 1}, images.Mean...)})
	e.names[0] = e.op("Div", []string{x, e.constant([]int{1, c, 1, 1}, images.Std...)})
}

// finish adds the outputs.
func (e *onnxWriter) finish(g *graph.Graph) {
	e.layer = "output"
	logits := e.opTo("logits", "Identity", []string{e.names[g.Output.ID]})
	scaled := logits
	if t := e.model.Info().Temperature; t != 0 && t != 1 {
		scaled = e.op("Div", []string{logits, e.number(t)})
	}
	e.opTo("probabilities", "Softmax", []string{scaled}, "axis", 1)
	for _, name := range []string{"logits", "probabilities"} {
		e.outputs = append(e.outputs, valueMessage(name, onnxFloat, g.Output.Shape))
	}
}

// file returns ModelProto.
func (e *onnxWriter) file(meta map[string]string) []byte {
	var g message
	for _, n := range e.nodes {
		g.bytes(1, n)
	}
	g.text(2, "network")
	for _, part := range []struct {
		field protowire.Number
		list  []message
	}{{5, e.initializers}, {11, e.inputs}, {12, e.outputs}} {
		for _, m := range part.list {
			g.bytes(part.field, m)
		}
	}
	var opset, file message
	opset.text(1, "")
	opset.number(2, onnxOpset)
	file.number(1, onnxIRVersion)
	file.text(2, "trainer")
	file.text(3, e.model.Info().Run.Program)
	file.bytes(7, g)
	file.bytes(8, opset)
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		file.bytes(14, entryMessage(key, meta[key]))
	}
	return file
}
