package model

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"trainer/nn/folder"
)

// The weights of ONNX files, also of other programs. Only the weights are taken: what is computed with them is up to the
// recipe. So a file with operators that no recipe can describe is refused.

// operators are the operators of ONNX that networks of this program can consist of.
func operators() []string {
	return []string{
		"Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "Conv", "Div", "Dropout", "Elu", "Erf",
		"Flatten", "Gelu", "Gemm", "GlobalAveragePool", "GroupNormalization", "HardSigmoid", "HardSwish", "Identity",
		"InstanceNormalization", "LayerNormalization", "LeakyRelu", "MatMul", "MaxPool", "Mish", "Mul", "PRelu", "Pad", "ReduceMean",
		"Relu", "Reshape", "Resize", "Shape", "Sigmoid", "Softmax", "Softplus", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
	}
}

// readONNX reads the weights of an ONNX file.
func (w *Weights) readONNX(file string) error {
	content, err := folder.ReadFile(file, maxONNX)
	if err != nil {
		return fmt.Errorf("reading the weights: %w", err)
	}
	own := &onnxFile{metadata: map[string]string{}, tensors: map[string][]byte{}}
	if err := own.parse(content); err != nil {
		return &Error{file, err}
	}
	if err := own.checkPrecision(); err != nil {
		return &Error{file, err}
	}
	if err := w.describe(file, own.metadata); err != nil {
		return err
	}
	w.foreign = true
	g := &onnxGraph{transposed: map[string]bool{}}
	if err := g.parse(content); err != nil {
		return &Error{file, err}
	}
	if g.unknown != "" && w.info == nil {
		return errorf(file, "%s: no recipe can describe it, so its weights would have another meaning", g.unknown)
	}
	for _, t := range g.weights {
		if w.info != nil && strings.HasPrefix(t.name, "constant_") { // of the exporter, such as the mean of the pixels
			continue
		}
		if g.transposed[t.name] && len(t.shape) == 2 {
			t.values = transposed(t.values, t.shape[0], t.shape[1])
			t.shape = []int{t.shape[1], t.shape[0]}
		}
		w.tensors = append(w.tensors, t)
	}
	return nil
}

// transposed returns the transpose of a matrix [rows, columns].
func transposed(values []float32, rows, columns int) []float32 {
	out := make([]float32, 0, len(values))
	for c := range columns {
		for r := range rows {
			out = append(out, values[r*columns+c])
		}
	}
	return out
}

// onnxGraph holds the weights of a file.
type onnxGraph struct {
	weights    []weight
	transposed map[string]bool // matrices [in, out]; others are [out, in]
	unknown    string          // the first operator that this program lacks, and where it is
}

// parse reads ModelProto, of which 7 is the graph; of the graph, 1 is a node and 5 a constant.
func (g *onnxGraph) parse(content []byte) error {
	return eachField(content, func(number protowire.Number, graph []byte) error {
		if number != 7 {
			return nil
		}
		return eachField(graph, func(number protowire.Number, value []byte) error {
			switch number {
			case 1:
				return g.node(value)
			case 5:
				return g.constant(value)
			}
			return nil
		})
	})
}

// node reads NodeProto: 1 is an input, 3 the name, 4 the operator, 5 an attribute, 7 the operator's domain.
func (g *onnxGraph) node(content []byte) error {
	inputs := 0
	var second, name, operator, domain string
	transB := false
	err := eachField(content, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			if inputs++; inputs == 2 {
				second = string(value)
			}
		case 3:
			name = string(value)
		case 4:
			operator = string(value)
		case 7:
			domain = string(value)
		case 5:
			n, err := intAttribute(value, "transB")
			transB = transB || n != 0
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if (operator == "MatMul" || operator == "Gemm" && !transB) && inputs > 1 {
		g.transposed[second] = true
	}
	if g.unknown == "" && (!slices.Contains(operators(), operator) || domain != "" && domain != "ai.onnx") {
		if domain != "" {
			operator = domain + "." + operator
		}
		g.unknown = fmt.Sprintf("the operator %q of its node %q is not supported", operator, name)
	}
	return nil
}

// intAttribute reads AttributeProto: 1 is the name, 3 a whole number. It returns 0 for another attribute.
func intAttribute(content []byte, want string) (n uint64, err error) {
	name := ""
	err = eachValue(content, func(number protowire.Number, kind protowire.Type, value []byte, v uint64) {
		switch {
		case number == 1:
			name = string(value)
		case number == 3 && kind == protowire.VarintType:
			n = v
		}
	})
	if name != want {
		n = 0
	}
	return n, err
}

// The type FLOAT of TensorProto.
const onnxFloat = 1

// maxRank bounds the number of dimensions of a tensor.
const maxRank = 8

// addDimension appends a dimension to a shape. Further ones than the first that is too many are dropped.
func addDimension(shape []int, d uint64) []int {
	if len(shape) > maxRank {
		return shape
	}
	return append(shape, int(d))
}

// constant reads TensorProto: 1 the dimensions, 2 the type, 4 the elements as floats, 8 the name, 9 the elements as bytes.
// Constants of other types are no weights.
func (g *onnxGraph) constant(content []byte) error {
	t := weight{shape: []int{}}
	var dtype uint64
	var raw []byte
	bad := false
	err := eachValue(content, func(number protowire.Number, kind protowire.Type, value []byte, v uint64) {
		switch {
		case number == 1 && kind == protowire.VarintType:
			t.shape = addDimension(t.shape, v)
		case number == 1:
			for len(value) > 0 && !bad {
				d, n := protowire.ConsumeVarint(value)
				if bad = n < 0; !bad {
					t.shape, value = addDimension(t.shape, d), value[n:]
				}
			}
		case number == 2:
			dtype = v
		case number == 8:
			t.name = string(value)
		case (number == 4 || number == 9) && kind == protowire.BytesType:
			raw = value
		}
	})
	if err != nil || dtype != onnxFloat {
		return err
	}
	n := 1
	for _, d := range t.shape {
		if d < 0 || d > len(raw) || len(t.shape) > maxRank {
			bad = true
			break
		}
		if n *= d; n > len(raw) {
			bad = true
			break
		}
	}
	if bad || len(raw) != 4*n {
		return fmt.Errorf("%w: its constant %.100q %v has %d bytes (weights in other files are not read)", errNotONNX, t.name, t.shape, len(raw))
	}
	t.values = make([]float32, n)
	for i := range t.values {
		t.values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	g.weights = append(g.weights, t)
	return nil
}

// eachValue calls do with each field of a message that is a whole number or has a length.
func eachValue(content []byte, do func(number protowire.Number, kind protowire.Type, value []byte, v uint64)) error {
	for len(content) > 0 {
		number, kind, n := protowire.ConsumeTag(content)
		if n < 0 {
			return errNotONNX
		}
		content = content[n:]
		var value []byte
		var v uint64
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(content)
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(content)
		default:
			n = protowire.ConsumeFieldValue(number, kind, content)
		}
		if n < 0 {
			return errNotONNX
		}
		do(number, kind, value, v)
		content = content[n:]
	}
	return nil
}
