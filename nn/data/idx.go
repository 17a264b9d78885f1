package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"trainer/nn/bounded"
)

// idxUint8 is IDX's code for elements of one unsigned byte.
const idxUint8 = 0x08

// ParseIDX reads an IDX file of unsigned bytes, plain or gzipped: the format of MNIST.
//
//	byte 0, 1   0 0
//	byte 2      type of the elements: 8 = unsigned byte (the only one accepted)
//	byte 3      number of dimensions, r
//	4 .. 4+4r   the dimensions, uint32, big endian
//	then        the elements, row by row
//
// file is the file's name in errors, and raw its content. rank is the required number of
// dimensions. The elements may share raw's memory. Errors are *FormatError.
func ParseIDX(file string, raw []byte, rank int) (dims []int, elements []byte, err error) {
	content := io.Reader(bytes.NewReader(raw))
	limit := int64(len(raw)) // largest possible number of bytes of the content
	zipped := len(raw) >= 2 && raw[0] == 0x1f && raw[1] == 0x8b
	if zipped {
		unzip, err := bounded.Gunzip(content, int64(len(raw)))
		if err != nil {
			return nil, nil, &FormatError{file, 0, "gzip data", err.Error()}
		}
		content = unzip
		// Deflate expands at most 1032 times (zlib's technical notes). A header that asks for more than that, or than the
		// budget, is refused before memory is allocated for it.
		limit = min(bounded.Budget(int64(len(raw))), 1032*(int64(len(raw))+1))
	}
	dims, err = readIDXHeader(file, content, rank)
	if err != nil {
		return nil, nil, err
	}
	start := int64(4 + 4*rank)
	want := int64(1)
	for _, d := range dims {
		if d > 0 && want > limit/int64(d) {
			got := fmt.Sprintf("%d bytes of file", len(raw))
			if zipped {
				got += fmt.Sprintf(", which may expand to %d (unpack it yourself if you trust it)", limit)
			}
			return nil, nil, &FormatError{file, start, fmt.Sprintf("elements of dimensions %v", dims), got}
		}
		want *= int64(d)
	}
	if !zipped {
		elements = raw[start:]
		if got := int64(len(elements)); got != want {
			return nil, nil, countError(file, start, want, got, dims)
		}
		return dims, elements, nil
	}
	elements = make([]byte, want)
	if got, err := io.ReadFull(content, elements); err != nil {
		return nil, nil, streamError(file, start+int64(got), fmt.Sprintf("%d elements for dimensions %v", want, dims), err)
	}
	// Reading past the end makes gzip verify its checksum, and detects surplus elements.
	rest, err := io.Copy(io.Discard, content)
	if err != nil {
		return nil, nil, streamError(file, start+want+rest, "the end of the gzip data", err)
	}
	if rest > 0 {
		return nil, nil, countError(file, start, want, want+rest, dims)
	}
	return dims, elements, nil
}

// readIDXHeader reads the magic number and the dimensions.
func readIDXHeader(file string, r io.Reader, rank int) ([]int, error) {
	header := make([]byte, 4+4*rank)
	n, err := io.ReadFull(r, header)
	magic := []byte{0, 0, idxUint8, byte(rank)}
	if got := header[:min(n, 4)]; !bytes.HasPrefix(magic, got) {
		return nil, &FormatError{file, 0, fmt.Sprintf("magic number %#x (unsigned bytes, %d dimensions)", magic, rank), fmt.Sprintf("%#x", got)}
	}
	if err != nil {
		return nil, streamError(file, int64(n), fmt.Sprintf("an IDX header of %d bytes", len(header)), err)
	}
	dims := make([]int, rank)
	for i := range dims {
		d := binary.BigEndian.Uint32(header[4+4*i:])
		if d > 1<<31-1 {
			return nil, &FormatError{file, int64(4 + 4*i), "a dimension below 2^31", fmt.Sprint(d)}
		}
		dims[i] = int(d)
	}
	return dims, nil
}

func countError(file string, start, want, got int64, dims []int) error {
	return &FormatError{file, start + min(want, got), fmt.Sprintf("%d elements for dimensions %v", want, dims), fmt.Sprintf("%d", got)}
}
