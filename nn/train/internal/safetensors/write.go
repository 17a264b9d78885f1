package safetensors

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// Write writes the tensors in their order. data returns the bytes of tensor i; its next
// call may overwrite them. The file must be empty. metadata may be nil.
func Write(f *os.File, tensors []Tensor, metadata map[string]string, data func(i int) ([]byte, error)) error {
	sizes := make([]int64, len(tensors))
	for i, t := range tensors {
		n, err := t.Bytes()
		if err != nil {
			return err
		}
		sizes[i] = n
	}
	// The checksum is known only after the elements: at the end, a header of the same
	// length replaces this one, which has zeros in its place.
	header, err := encodeHeader(tensors, sizes, metadata, 0)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	out := io.MultiWriter(w, sum)
	if _, err := out.Write(header); err != nil {
		return err
	}
	for i, t := range tensors {
		b, err := data(i)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		if int64(len(b)) != sizes[i] {
			return fmt.Errorf("tensor %s: %d bytes for the shape %v, which has %d", t.Name, len(b), t.Shape, sizes[i])
		}
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if header, err = encodeHeader(tensors, sizes, metadata, sum.Sum32()); err != nil {
		return err
	}
	_, err = f.WriteAt(header, 0)
	return err
}

// encodeHeader returns the length and the JSON, padded with spaces so that the elements
// begin at a multiple of 8 bytes.
func encodeHeader(tensors []Tensor, sizes []int64, metadata map[string]string, sum uint32) ([]byte, error) {
	meta := map[string]string{checksumKey: fmt.Sprintf("%08x", sum)}
	for k, v := range metadata {
		if k == checksumKey {
			return nil, fmt.Errorf("the metadata key %q is taken", k)
		}
		meta[k] = v
	}
	all := map[string]any{metadataKey: meta}
	offset := int64(0)
	for i, t := range tensors {
		if _, ok := all[t.Name]; ok {
			return nil, fmt.Errorf("two tensors have the name %q", t.Name)
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		all[t.Name] = entry{t.DType, shape, [2]int64{offset, offset + sizes[i]}}
		offset += sizes[i]
	}
	text, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	if len(text) > maxHeader || len(tensors) > maxTensors {
		return nil, fmt.Errorf("a header of %d bytes for %d tensors, want at most %d and %d", len(text), len(tensors), maxHeader, maxTensors)
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), nil
}
