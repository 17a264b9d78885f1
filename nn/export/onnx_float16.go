package export

import (
	"encoding/binary"
	"fmt"
	"math"

	"trainer/nn/graph"
)

// The parts of an ONNX file with float16.

// needsFloat32 reports whether an operation is computed in float32 between values of float16. Normalisations divide by
// statistics that may be larger or smaller than any float16, and an exponential overflows from 11.1 on.
func needsFloat32(op graph.Op) bool {
	return op == graph.BatchNorm || op == graph.GroupNorm || op == graph.LayerNorm || op == graph.Softplus
}

// inFloat32 translates an operation of float16 with its inputs, parameters and constants in float32.
func (e *onnxWriter) inFloat32(n graph.Node, in []string) (string, error) {
	e.half = false
	wide := make([]string, len(in))
	for k, name := range in {
		wide[k] = e.op("Cast", []string{name}, "to", onnxFloat)
	}
	out, err := e.translate(n, wide)
	return e.toHalf(out), err
}

// toHalf rounds a value to float16, the type of what follows.
func (e *onnxWriter) toHalf(name string) string {
	e.half = true
	return e.op("Cast", []string{name}, "to", onnxFloat16)
}

// halves adds a constant in float16.
func (e *onnxWriter) halves(name string, shape []int, values []float32) string {
	raw := make([]byte, 0, 2*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint16(raw, float16Bits(v))
	}
	e.initializers = append(e.initializers, tensorMessage(name, onnxFloat16, shape, raw))
	return name
}

// factorsOfResize adds the factors by which Resize enlarges images, which are float32 for images of any type.
func (e *onnxWriter) factorsOfResize(f float32) string {
	half := e.half
	e.half = false
	defer func() { e.half = half }()
	return e.constant([]int{4}, 1, 1, f, f)
}

// checkFloat16 returns an error if a parameter that will be float16 is too large for it.
func (n *network) checkFloat16() error {
	for _, node := range n.Nodes {
		if needsFloat32(node.Op) {
			continue
		}
		for _, p := range node.Params {
			for _, v := range n.values[p.Tensor] {
				if math.Abs(float64(v)) > largestFloat16 {
					return fmt.Errorf("layer %s: %s has the value %v, and fp16 ends at %d: export in fp32 or int8", node.Layer, p.Tensor, v, largestFloat16)
				}
			}
		}
	}
	return nil
}

// roundedToFloat16 returns the network with the parameters that float16 has.
func (n *network) roundedToFloat16() *network {
	n = n.clone()
	for _, node := range n.Nodes {
		if needsFloat32(node.Op) {
			continue
		}
		for _, p := range node.Params {
			rounded := make([]float32, len(n.values[p.Tensor]))
			for i, v := range n.values[p.Tensor] {
				rounded[i] = roundFloat16(v)
			}
			n.values[p.Tensor] = rounded
		}
	}
	return n
}
