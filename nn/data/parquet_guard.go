//go:build !js

package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"trainer/nn/bounded"
)

// The library that reads Parquet allocates what headers ask for. The functions here look at the headers first: a length
// must not be more than there is to read, and a page no larger than the file's budget (package bounded).

var (
	errThriftEnd   = errors.New("a length beyond the end")
	errThriftLarge = errors.New("too many elements")
)

// plainDictionary is what older writers, and pyarrow in pages of version 1, call RLEDictionary.
const plainDictionary = format.Encoding(2)

const (
	maxThriftDepth   = 32
	thriftElement    = 512 // bytes that an element of a list takes in memory, rounded up
	maxPageHeader    = 1 << 16
	bytesPerPageCell = 32 // bytes that a value of a page takes in memory, at most, besides its content
)

// thriftScan walks over data in Thrift's compact protocol (thrift-compact-protocol.md of Apache Thrift) without keeping
// anything, and fails where a decoder would read past the end or take too much memory.
type thriftScan struct {
	raw  []byte
	at   int
	left int64 // bytes that lists may still take in memory
}

func (s *thriftScan) byte() (byte, error) {
	if s.at >= len(s.raw) {
		return 0, errThriftEnd
	}
	s.at++
	return s.raw[s.at-1], nil
}

func (s *thriftScan) varint() (uint64, error) {
	x, n := binary.Uvarint(s.raw[s.at:])
	if n <= 0 {
		return 0, errThriftEnd
	}
	s.at += n
	return x, nil
}

// skip passes over n bytes.
func (s *thriftScan) skip(n uint64) error {
	if n > uint64(len(s.raw)-s.at) {
		return errThriftEnd
	}
	s.at += int(n)
	return nil
}

// structure passes over the fields of a structure.
func (s *thriftScan) structure(depth int) error {
	if depth > maxThriftDepth {
		return errors.New("structures nested too deeply")
	}
	for {
		head, err := s.byte()
		if err != nil || head == 0 {
			return err
		}
		if head>>4 == 0 { // the field's number follows
			if _, err := s.varint(); err != nil {
				return err
			}
		}
		if err := s.value(head&15, depth, false); err != nil {
			return err
		}
	}
}

// value passes over a value of a type. Booleans of structures are in their type, those of lists are bytes.
func (s *thriftScan) value(kind byte, depth int, inList bool) error {
	switch kind {
	case 1, 2:
		if inList {
			return s.skip(1)
		}
		return nil
	case 3:
		return s.skip(1)
	case 4, 5, 6:
		_, err := s.varint()
		return err
	case 7:
		return s.skip(8)
	case 8:
		n, err := s.varint()
		if err != nil {
			return err
		}
		return s.skip(n)
	case 9, 10:
		head, err := s.byte()
		if err != nil {
			return err
		}
		n := uint64(head >> 4)
		if n == 15 {
			if n, err = s.varint(); err != nil {
				return err
			}
		}
		if n > uint64(len(s.raw)-s.at) { // an element takes a byte at least
			return errThriftEnd
		}
		if s.left -= int64(n) * thriftElement; s.left < 0 {
			return errThriftLarge
		}
		for range n {
			if err := s.value(head&15, depth+1, true); err != nil {
				return err
			}
		}
		return nil
	case 12:
		return s.structure(depth + 1)
	}
	return fmt.Errorf("a value of the unknown type %d", kind)
}

// checkParquetFooter checks the metadata at the end of a Parquet file: "PAR1", ..., metadata, its length, "PAR1".
func checkParquetFooter(file string, r io.ReaderAt, size int64) error {
	tail := make([]byte, 8)
	if size < 12 {
		return &FormatError{file, 0, "a Parquet file", fmt.Sprintf("%d bytes", size)}
	}
	if _, err := r.ReadAt(tail, size-8); err != nil {
		return err
	}
	length := int64(binary.LittleEndian.Uint32(tail))
	if string(tail[4:]) != parquetMagic || length > size-12 {
		return &FormatError{file, size - 8, "the length of the metadata, and PAR1", fmt.Sprintf("%q", tail)}
	}
	raw, err := bounded.ReadAll(io.NewSectionReader(r, size-8-length, length), file, length, length)
	if err != nil {
		return err
	}
	s := thriftScan{raw: raw, left: bounded.Budget(size)}
	if err := s.structure(0); err != nil {
		return &FormatError{file, size - 8 - length + int64(s.at), "Parquet metadata", err.Error()}
	}
	return nil
}

// checkParquetPages checks the headers of a column's pages in a row group of rows rows. Encodings that store what
// values have in common with their predecessor are refused, because a short page of them can stand for any number of
// bytes; writers use them only if they are asked to.
func checkParquetPages(file string, r io.ReaderAt, size, rows int64, column *format.ColumnMetaData) error {
	at := column.DataPageOffset
	if d := column.DictionaryPageOffset; d > 0 && d < at {
		at = d
	}
	end := at + column.TotalCompressedSize
	if at < 4 || end < at || end > size {
		return &FormatError{file, -1, "columns inside the file", fmt.Sprintf("bytes %d to %d of %d", at, end, size)}
	}
	budget := bounded.Budget(size)
	if rows < 0 || rows > budget/bytesPerPageCell {
		return &FormatError{file, -1, fmt.Sprintf("at most %d rows in a file of this size", budget/bytesPerPageCell), fmt.Sprint(rows)}
	}
	window := make([]byte, maxPageHeader)
	for at < end {
		n, err := r.ReadAt(window[:min(maxPageHeader, end-at)], at)
		if err != nil && n == 0 {
			return err
		}
		s := thriftScan{raw: window[:n], left: 1 << 20}
		if err := s.structure(0); err != nil {
			return &FormatError{file, at, "a page's header", err.Error()}
		}
		var header format.PageHeader
		if err := thrift.Unmarshal(new(thrift.CompactProtocol), window[:s.at], &header); err != nil {
			return &FormatError{file, at, "a page's header", err.Error()}
		}
		if err := checkPage(&header, budget, rows); err != nil {
			return &FormatError{file, at, "a page that fits in the file", err.Error()}
		}
		next := at + int64(s.at) + int64(header.CompressedPageSize)
		if next > end {
			return &FormatError{file, at, "a page that fits in its column", fmt.Sprintf("%d bytes", header.CompressedPageSize)}
		}
		at = next
	}
	return nil
}

// checkPage checks what a page takes in memory.
func checkPage(h *format.PageHeader, budget, rows int64) error {
	var values int32
	encoding := format.Plain
	switch {
	case h.DataPageHeader.Valid:
		values, encoding = h.DataPageHeader.V.NumValues, h.DataPageHeader.V.Encoding
	case h.DataPageHeaderV2.Valid:
		v2 := h.DataPageHeaderV2.V
		values, encoding = v2.NumValues, v2.Encoding
		if v2.NumNulls > v2.NumValues || v2.DefinitionLevelsByteLength > h.UncompressedPageSize || v2.RepetitionLevelsByteLength > h.UncompressedPageSize {
			return errors.New("levels that are longer than the page")
		}
	case h.DictionaryPageHeader.Valid:
		values = h.DictionaryPageHeader.V.NumValues
	}
	switch encoding {
	case format.Plain, plainDictionary, format.RLEDictionary, format.RLE, format.DeltaBinaryPacked, format.DeltaLengthByteArray:
	default:
		return fmt.Errorf("the encoding %v, which is not supported", encoding)
	}
	if h.CompressedPageSize < 0 || h.UncompressedPageSize < 0 || int64(h.UncompressedPageSize) > budget || values < 0 || int64(values) > rows {
		return fmt.Errorf("%d bytes with %d values, of %d rows", h.UncompressedPageSize, values, rows)
	}
	return nil
}
