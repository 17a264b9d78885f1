package tensorboard

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is the encoding of a protocol buffer message. The numbers of its fields are those of TensorBoard's event.proto
// and summary.proto.
type message []byte

func (m *message) tag(field protowire.Number, kind protowire.Type) {
	*m = protowire.AppendTag(*m, field, kind)
}

func (m *message) text(field protowire.Number, s string) {
	m.tag(field, protowire.BytesType)
	*m = protowire.AppendString(*m, s)
}

func (m *message) bytes(field protowire.Number, b []byte) {
	m.tag(field, protowire.BytesType)
	*m = protowire.AppendBytes(*m, b)
}

func (m *message) number(field protowire.Number, n int64) {
	m.tag(field, protowire.VarintType)
	*m = protowire.AppendVarint(*m, uint64(n))
}

func (m *message) float(field protowire.Number, v float32) {
	m.tag(field, protowire.Fixed32Type)
	*m = protowire.AppendFixed32(*m, math.Float32bits(v))
}

func (m *message) double(field protowire.Number, v float64) {
	m.tag(field, protowire.Fixed64Type)
	*m = protowire.AppendFixed64(*m, math.Float64bits(v))
}

// doubles is a packed repeated field.
func (m *message) doubles(field protowire.Number, list []float64) {
	m.tag(field, protowire.BytesType)
	*m = protowire.AppendVarint(*m, uint64(8*len(list)))
	for _, v := range list {
		*m = protowire.AppendFixed64(*m, math.Float64bits(v))
	}
}

// valueOf is Summary.Value with a tag and one field.
func valueOf(tag string, add func(*message)) message {
	var v message
	v.text(1, tag)
	add(&v)
	return v
}
