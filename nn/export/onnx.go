package export

import (
	"cmp"
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

// Precision is the type of the numbers of an ONNX file.
type Precision string

// The precisions. Inputs and outputs, the softmax and normalisations are float32 in all of them.
const (
	Float32 Precision = "fp32"
	Float16 Precision = "fp16" // weights and values in float16
	Int8    Precision = "int8" // weights and values in 8 bits, see quantization
)

// Precisions returns the precisions that a file can have.
func Precisions() []Precision { return []Precision{Float32, Float16, Int8} }

// ONNXOptions says what an ONNX file takes and computes.
type ONNXOptions struct {
	// Normalized makes the input float32 [n, c, h, w], already normalised. Otherwise it is uint8 [n, h, w, c], the pixels,
	// and the file normalises them.
	Normalized bool
	Precision  Precision // "" means Float32
	// Calibration are images [n, h, w, c] such as those of the training, from which Int8 takes the ranges of the values.
	Calibration []byte
}

// ONNX writes a model as an ONNX file: see NewONNXFile.
func ONNX(path string, m *model.Model, o ONNXOptions) error {
	f, err := NewONNXFile(m, o)
	if err != nil {
		return err
	}
	return f.Save(path)
}

// ONNXFile is a model as an ONNX file, which has not been written yet.
type ONNXFile struct {
	model     *model.Model
	network   *network
	precision Precision
	rounding  *quantization // of Int8; otherwise nil
	simulator *simulator    // nil until it is needed
	content   []byte
}

// NewONNXFile makes an ONNX file of a model. Its input is "images", its outputs are "logits" and "probabilities",
// [n, classes]. The size of the batch is open. Resizing pictures is left to the caller: the metadata, which are those of
// the model file, say how. So are test-time views (model.KeyViews).
//
// Float16 and Int8 have the batch normalisations that follow a convolution or a dense layer in its weights. Int8 is in the
// form of ONNX that runtimes recognise and run with whole numbers: values pass through QuantizeLinear and
// DequantizeLinear, and weights through DequantizeLinear.
func NewONNXFile(m *model.Model, o ONNXOptions) (*ONNXFile, error) {
	f := &ONNXFile{model: m, precision: cmp.Or(o.Precision, Float32)}
	if err := f.build(o); err != nil {
		return nil, fmt.Errorf("exporting to ONNX: %w", err)
	}
	return f, nil
}

func (f *ONNXFile) build(o ONNXOptions) (err error) {
	if !slices.Contains(Precisions(), f.precision) {
		return fmt.Errorf("unknown precision %q", f.precision)
	}
	if f.network, err = readNetwork(f.model); err != nil {
		return err
	}
	if f.precision != Float32 {
		if err := f.network.checkFinite(); err != nil {
			return err
		}
		f.network = f.network.folded()
	}
	if f.precision == Float16 {
		if err := f.network.checkFloat16(); err != nil {
			return err
		}
	}
	if f.precision == Int8 {
		if f.rounding, err = f.calibrate(o.Calibration); err != nil {
			return err
		}
	}
	meta, err := f.model.Metadata()
	if err != nil {
		return err
	}
	e := &onnxWriter{model: f.model, network: f.network, rounding: f.rounding, precision: f.precision, names: map[int]string{}}
	e.begin(o)
	for _, n := range f.network.Nodes {
		if err := e.node(n); err != nil {
			return fmt.Errorf("layer %s: %w", n.Layer, err)
		}
	}
	e.finish()
	if f.precision != Float32 {
		meta[model.KeyPrecision] = string(f.precision)
	}
	addViews(meta, f.model)
	f.content = e.file(meta)
	return nil
}

// Size returns the file's size in bytes.
func (f *ONNXFile) Size() int { return len(f.content) }

// Save writes the file. Afterwards it is complete or, after an error, unchanged.
func (f *ONNXFile) Save(path string) error {
	dir, err := folder.Make(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer dir.Close()
	return dir.Write(filepath.Base(path), f.content)
}

// onnxWriter collects the parts of GraphProto.
type onnxWriter struct {
	model     *model.Model
	network   *network
	rounding  *quantization // nil without one
	precision Precision
	names     map[int]string // of the values, by their numbers
	layer     string
	count     int  // nodes so far
	half      bool // the values at hand are float16, and so are new constants

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

// floats adds a constant of the type of the values at hand, and returns its name.
func (e *onnxWriter) floats(name string, shape []int, values ...float32) string {
	if e.half {
		return e.halves(name, shape, values)
	}
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	e.initializers = append(e.initializers, tensorMessage(name, onnxFloat, shape, raw))
	return name
}

// constantName returns a new name.
func (e *onnxWriter) constantName() string {
	e.count++
	return fmt.Sprintf("constant_%d", e.count)
}

// constant adds a constant with a name of its own.
func (e *onnxWriter) constant(shape []int, values ...float32) string {
	return e.floats(e.constantName(), shape, values...)
}

// number adds a scalar.
func (e *onnxWriter) number(v float64) string { return e.constant(nil, float32(v)) }

// integers adds a list of integers, such as a shape.
func (e *onnxWriter) integers(values ...int) string {
	name := e.constantName()
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(int64(v)))
	}
	e.initializers = append(e.initializers, tensorMessage(name, onnxInt64, []int{len(values)}, raw))
	return name
}

// param adds a parameter of the network; shape is its shape in the file, or nil for that of the description.
func (e *onnxWriter) param(p graph.Param, shape []int) string {
	if shape == nil {
		shape = p.Shape
	}
	return e.floats(p.Tensor, shape, e.network.values[p.Tensor]...)
}

// params adds all parameters of a node.
func (e *onnxWriter) params(n graph.Node) (names []string) {
	for _, p := range n.Params {
		names = append(names, e.param(p, nil))
	}
	return names
}

// begin adds the input, and normalises it: x = (pixel/255 - mean) / std.
func (e *onnxWriter) begin(o ONNXOptions) {
	e.layer = "input"
	e.names[0] = e.normalizedInput(o.Normalized)
	if e.precision == Float16 {
		e.names[0] = e.toHalf(e.names[0])
	}
	e.quantize(e.network.Input)
}

// normalizedInput adds the input and returns the normalised images.
func (e *onnxWriter) normalizedInput(already bool) string {
	shape := e.network.Input.Shape
	c, h, w := shape[0], shape[1], shape[2]
	if already {
		e.inputs = append(e.inputs, valueMessage("images", onnxFloat, shape))
		return "images"
	}
	e.inputs = append(e.inputs, valueMessage("images", onnxUint8, []int{h, w, c}))
	images := e.model.Info().Images
	x := e.op("Cast", []string{"images"}, "to", onnxFloat)
	x = e.op("Transpose", []string{x}, "perm", []int{0, 3, 1, 2})
	x = e.op("Div", []string{x, e.number(255)})
	x = e.op("Sub", []string{x, e.constant([]int{1, c, 1, 1}, images.Mean...)})
	return e.op("Div", []string{x, e.constant([]int{1, c, 1, 1}, images.Std...)})
}

// finish adds the outputs.
func (e *onnxWriter) finish() {
	e.layer = "output"
	out := e.network.Output
	var logits string
	if e.half {
		logits = e.opTo("logits", "Cast", []string{e.names[out.ID]}, "to", onnxFloat)
		e.half = false
	} else {
		logits = e.opTo("logits", "Identity", []string{e.names[out.ID]})
	}
	scaled := logits
	if t := e.model.Info().Temperature; t != 0 && t != 1 {
		scaled = e.op("Div", []string{logits, e.number(t)})
	}
	e.opTo("probabilities", "Softmax", []string{scaled}, "axis", 1)
	for _, name := range []string{"logits", "probabilities"} {
		e.outputs = append(e.outputs, valueMessage(name, onnxFloat, out.Shape))
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
