package model

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/folder"
	"trainer/nn/graph"
	"trainer/nn/train"
)

// ONNX files that package export wrote are models too: their metadata are those of a model file, and their constants have
// the names of the network's tensors.

// onnxFile holds the parts of an ONNX file that make a model.
type onnxFile struct {
	metadata map[string]string
	tensors  map[string][]byte // the float32 constants, little-endian
}

// maxONNX bounds the size of an ONNX file, which is read as a whole; the format itself allows 2 GiB.
const maxONNX = 1 << 31

// What is kept for each constant and each entry of the metadata takes many times the bytes that it may have in a file.
const (
	maxConstants = 1 << 17
	maxMetadata  = 1 << 10 // entries
)

var errNotONNX = errors.New("it is not an ONNX file, or damaged")

// readONNX reads a file.
func readONNX(path string) (*onnxFile, error) {
	content, err := folder.ReadFile(path, maxONNX)
	if err != nil {
		return nil, fmt.Errorf("reading the model: %w", err)
	}
	f := &onnxFile{metadata: map[string]string{}, tensors: map[string][]byte{}}
	if err := f.parse(content); err != nil {
		return nil, &Error{path, err}
	}
	if err := f.checkPrecision(); err != nil {
		return nil, &Error{path, err}
	}
	return f, nil
}

// checkPrecision refuses our files of another precision than float32: their weights are rounded, and contain the batch
// normalisations.
func (f *onnxFile) checkPrecision() error {
	if p, ok := f.metadata[KeyPrecision]; ok && f.metadata[keyVersion] != "" {
		return fmt.Errorf("it is an export in %q for other programs, whose weights are rounded: use the model that it was exported from, or its fp32 export", p)
	}
	return nil
}

// parse reads ModelProto: 7 is the graph, 14 an entry of the metadata.
func (f *onnxFile) parse(content []byte) error {
	return eachField(content, func(number protowire.Number, value []byte) error {
		switch number {
		case 7:
			return eachField(value, func(number protowire.Number, value []byte) error {
				if number == 5 { // an initializer
					return f.tensor(value)
				}
				return nil
			})
		case 14:
			var entry [3][]byte
			err := eachField(value, func(number protowire.Number, value []byte) error {
				if number <= 2 {
					entry[number] = value
				}
				return nil
			})
			if f.metadata[string(entry[1])] = string(entry[2]); len(f.metadata) > maxMetadata {
				return fmt.Errorf("its metadata have more than %d entries", maxMetadata)
			}
			return err
		}
		return nil
	})
}

// tensor reads TensorProto: 8 is the name, 9 the elements. Constants in other forms are not ours.
func (f *onnxFile) tensor(content []byte) error {
	var name string
	var raw []byte
	err := eachField(content, func(number protowire.Number, value []byte) error {
		switch number {
		case 8:
			name = string(value)
		case 9:
			raw = value
		}
		return nil
	})
	if f.tensors[name] = raw; len(f.tensors) > maxConstants {
		return fmt.Errorf("it has more than %d constants", maxConstants)
	}
	return err
}

// eachField calls do with each field of a message that has a length: texts, bytes and messages.
func eachField(content []byte, do func(number protowire.Number, value []byte) error) error {
	for len(content) > 0 {
		number, kind, n := protowire.ConsumeTag(content)
		if n < 0 {
			return errNotONNX
		}
		content = content[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, content); n < 0 {
				return errNotONNX
			}
			content = content[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(content)
		if n < 0 {
			return errNotONNX
		}
		if err := do(number, value); err != nil {
			return err
		}
		content = content[n:]
	}
	return nil
}

// load gives the network the file's weights, which are in the layout of the network's description.
func (f *onnxFile) load(path string, net *nn.Network, g *graph.Graph) error {
	params := paramsOf(g)
	values := map[string][]float32{}
	for _, t := range net.Tensors() {
		p, known := params[t.Name]
		raw, there := f.tensors[t.Name]
		if !known || !there || len(raw) != 4*t.Value.Len() {
			return &train.MismatchError{Path: path, Differences: []string{fmt.Sprintf("%s has %d bytes in the file, and %d in the network", t.Name, len(raw), 4*t.Value.Len())}}
		}
		own := make([]float32, t.Value.Len())
		for i := range own {
			own[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		values[t.Name] = p.Restore(own)
	}
	for _, t := range net.Tensors() {
		if err := net.Device().Upload(t.Value, device.Bytes(values[t.Name])); err != nil {
			return fmt.Errorf("%s: %s: %w", path, t.Name, err)
		}
	}
	return nil
}
