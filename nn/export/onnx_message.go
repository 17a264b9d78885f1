package export

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of an ONNX file, of which only the fields that are needed are written. The numbers of the fields are those
// of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), IR version 8.

// message is the encoding of a protocol buffer message.
type message []byte

func (m *message) text(field protowire.Number, s string) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendString(*m, s)
}

func (m *message) bytes(field protowire.Number, b []byte) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendBytes(*m, b)
}

func (m *message) number(field protowire.Number, n int64) {
	*m = protowire.AppendTag(*m, field, protowire.VarintType)
	*m = protowire.AppendVarint(*m, uint64(n))
}

func (m *message) float(field protowire.Number, v float32) {
	*m = protowire.AppendTag(*m, field, protowire.Fixed32Type)
	*m = protowire.AppendFixed32(*m, math.Float32bits(v))
}

// The element types of tensors.
const (
	onnxFloat   = 1
	onnxUint8   = 2
	onnxInt8    = 3
	onnxInt32   = 6
	onnxInt64   = 7
	onnxFloat16 = 10
)

// tensorMessage is TensorProto.
func tensorMessage(name string, dtype int64, shape []int, raw []byte) (m message) {
	for _, d := range shape {
		m.number(1, int64(d))
	}
	m.number(2, dtype)
	m.text(8, name)
	m.bytes(9, raw)
	return m
}

// valueMessage is ValueInfoProto: an input or output [batch, shape...].
func valueMessage(name string, dtype int64, shape []int) (m message) {
	var dims message
	var batch message
	batch.text(2, "batch")
	dims.bytes(1, batch)
	for _, d := range shape {
		var dim message
		dim.number(1, int64(d))
		dims.bytes(1, dim)
	}
	var tensor, kind message
	tensor.number(1, dtype)
	tensor.bytes(2, dims)
	kind.bytes(1, tensor)
	m.text(1, name)
	m.bytes(2, kind)
	return m
}

// entryMessage is StringStringEntryProto.
func entryMessage(key, value string) (m message) {
	m.text(1, key)
	m.text(2, value)
	return m
}

// The types of attributes.
const (
	attributeFloat  = 1
	attributeInt    = 2
	attributeString = 3
	attributeInts   = 7
)

// attributeMessage is AttributeProto for a float64, int, string or []int.
func attributeMessage(name string, value any) (m message) {
	m.text(1, name)
	switch v := value.(type) {
	case float64:
		m.float(2, float32(v))
		m.number(20, attributeFloat)
	case int:
		m.number(3, int64(v))
		m.number(20, attributeInt)
	case string:
		m.bytes(4, []byte(v))
		m.number(20, attributeString)
	case []int:
		for _, n := range v {
			m.number(8, int64(n))
		}
		m.number(20, attributeInts)
	}
	return m
}
