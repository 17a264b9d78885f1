// Package safetensors reads and writes named tensors in the safetensors format
// (https://huggingface.co/docs/safetensors):
//
//	8 bytes    n, the header's length, little-endian
//	n bytes    JSON: {"name": {"dtype": "F32", "shape": [...], "data_offsets": [begin, end]}, ...,
//	                  "__metadata__": {"key": "value", ...}}
//	the rest   the elements, little-endian, row-major; offsets count from here
//
// Reading and writing proceed tensor by tensor, so memory for one tensor is enough. The
// format has no checksum: Write adds a CRC-32C of the whole file to the metadata, and files
// of other programs are read without a check.
package safetensors

import (
	"errors"
	"fmt"
)

// metadataKey is the only name in the header that is not a tensor.
const metadataKey = "__metadata__"

// checksumKey is the metadata's key for the CRC-32C of the file, eight hexadecimal digits
// that count as zeros in it.
const checksumKey = "crc32c"

// A header is parsed in memory, which takes several times its length. These limits allow a hundred thousand tensors, and
// a history of as many epochs; the writer keeps to them too. Names and shapes are compared and shown, which may take more
// than time and space in proportion to their length.
const (
	maxHeader  = 32 << 20 // bytes
	maxTensors = 1 << 17
	maxName    = 1 << 12 // bytes
	maxRank    = 64      // dimensions
)

// Tensor describes one tensor in a file.
type Tensor struct {
	Name  string
	DType string // such as "F32"
	Shape []int
}

// elementSizes are the sizes of the types in bytes.
var elementSizes = map[string]int64{
	"BOOL": 1, "U8": 1, "I8": 1, "F16": 2, "BF16": 2, "U16": 2, "I16": 2,
	"F32": 4, "U32": 4, "I32": 4, "F64": 8, "U64": 8, "I64": 8,
}

// Bytes returns the number of bytes of a tensor.
func (t Tensor) Bytes() (int64, error) {
	if len(t.Name) > maxName || len(t.Shape) > maxRank {
		return 0, fmt.Errorf("tensor %.100q has a name of %d bytes and %d dimensions, want at most %d and %d", t.Name, len(t.Name), len(t.Shape), maxName, maxRank)
	}
	n, ok := elementSizes[t.DType]
	if !ok {
		return 0, fmt.Errorf("tensor %s has the unknown type %q", t.Name, t.DType)
	}
	for _, d := range t.Shape {
		if d < 0 || (d > 0 && n > (1<<62)/int64(d)) {
			return 0, fmt.Errorf("tensor %s has the shape %v", t.Name, t.Shape)
		}
		n *= int64(d)
	}
	return n, nil
}

// ErrDamaged reports a file that differs from what was written: it is truncated or altered.
var ErrDamaged = errors.New("the file is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// entry is a tensor's value in the header.
type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}
