package export

import (
	"encoding/binary"

	"trainer/nn/graph"
)

// The parts of an ONNX file with 8 bits: the constants are whole numbers, and every quantised value goes through a pair of
// QuantizeLinear and DequantizeLinear. A runtime that knows the pattern computes with the whole numbers; any other
// computes the same with the numbers that they stand for.

// quantize adds the pair for a value that is quantised. Later nodes read its output.
func (e *onnxWriter) quantize(v graph.Value) {
	if e.rounding == nil {
		return
	}
	g, ok := e.rounding.values[v.ID]
	if !ok {
		return
	}
	scale := e.number(float64(g.scale))
	zero := e.whole8("", onnxUint8, nil, int32(g.zero))
	q := e.op("QuantizeLinear", []string{e.names[v.ID], scale, zero})
	e.names[v.ID] = e.op("DequantizeLinear", []string{q, scale, zero})
}

// quantizedParams adds the weights and the bias of a weighted node, and returns what they stand for.
func (e *onnxWriter) quantizedParams(n graph.Node) (names []string) {
	weight := n.Params[0]
	w := e.rounding.params[weight.Tensor]
	inputs := []string{e.whole8(weight.Tensor, onnxInt8, weight.Shape, w.values...), e.scales(weight.Tensor, w.scales)}
	inputs = append(inputs, e.whole8("", onnxInt8, scalesShape(w.scales), make([]int32, len(w.scales))...))
	names = append(names, e.op("DequantizeLinear", inputs, "axis", 0))
	if len(n.Params) == 1 {
		return names
	}
	bias := n.Params[1]
	b := e.rounding.params[bias.Tensor]
	raw := make([]byte, 0, 4*len(b.values))
	for _, v := range b.values {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
	}
	e.initializers = append(e.initializers, tensorMessage(bias.Tensor, onnxInt32, bias.Shape, raw))
	return append(names, e.op("DequantizeLinear", []string{bias.Tensor, e.scales(bias.Tensor, b.scales)}, "axis", 0))
}

// scales adds the scales of a parameter.
func (e *onnxWriter) scales(tensor string, scales []float32) string {
	return e.floats(tensor+"_scale", scalesShape(scales), scales...)
}

// scalesShape returns the shape of scales: one alone is a scalar.
func scalesShape(scales []float32) []int {
	if len(scales) == 1 {
		return nil
	}
	return []int{len(scales)}
}

// whole8 adds a constant of 8 bits; one without a name gets one.
func (e *onnxWriter) whole8(name string, dtype int64, shape []int, values ...int32) string {
	if name == "" {
		name = e.constantName()
	}
	raw := make([]byte, len(values))
	for i, v := range values {
		raw[i] = byte(v)
	}
	e.initializers = append(e.initializers, tensorMessage(name, dtype, shape, raw))
	return name
}
