package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// idxFile returns an IDX file of unsigned bytes.
func idxFile(elements []byte, dims ...int) []byte {
	raw := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		raw = binary.BigEndian.AppendUint32(raw, uint32(d))
	}
	return append(raw, elements...)
}

func gzipped(raw []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(raw)
	w.Close()
	return b.Bytes()
}

// wantFormatError checks file and offset, and that the message names both and what is wrong.
func wantFormatError(t *testing.T, err error, file string, offset int64, parts ...string) {
	t.Helper()
	var format *FormatError
	if !errors.As(err, &format) {
		t.Errorf("want a *FormatError, got %v", err)
		return
	}
	if format.File != file || format.Offset != offset {
		t.Errorf("want %s, byte %d; got %v", file, offset, err)
	}
	for _, part := range append(parts, file) {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %q", err, part)
		}
	}
}

func TestParseIDX(t *testing.T) {
	pixels := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	for name, raw := range map[string][]byte{
		"plain": idxFile(pixels, 2, 3, 2), "gzip": gzipped(idxFile(pixels, 2, 3, 2)),
	} {
		dims, got, err := ParseIDX("f", raw, 3)
		if err != nil || !bytes.Equal(got, pixels) || len(dims) != 3 || dims[0] != 2 || dims[1] != 3 || dims[2] != 2 {
			t.Errorf("%s: got %v, %v, %v", name, dims, got, err)
		}
	}
}

func TestParseIDXRefuses(t *testing.T) {
	good := idxFile([]byte{1, 2, 3, 4}, 4)
	wrongType := bytes.Clone(good)
	wrongType[2] = 0x0d
	zipped := gzipped(good)
	badSum := bytes.Clone(zipped)
	badSum[len(badSum)-8] ^= 1
	for name, c := range map[string]struct {
		raw    []byte
		offset int64
		says   string
	}{
		"empty":               {nil, 0, "end of file"},
		"short magic":         {good[:3], 3, "end of file"},
		"short header":        {good[:6], 6, "end of file"},
		"not IDX":             {[]byte("<html>no</html>"), 0, "magic"},
		"float elements":      {wrongType, 0, "0x00000d01"},
		"wrong rank":          {idxFile([]byte{1}, 1, 1), 0, "0x00000802"},
		"truncated":           {good[:10], 10, "got 2"},
		"too long":            {append(bytes.Clone(good), 9), 12, "got 5"},
		"truncated in gzip":   {gzipped(good[:10]), 10, "end of file"},
		"too long in gzip":    {gzipped(append(bytes.Clone(good), 9, 9)), 12, "got 6"},
		"gzip cut off":        {zipped[:len(zipped)-4], 12, "end of file"},
		"gzip checksum":       {badSum, 12, "checksum"},
		"gzip header cut off": {zipped[:5], 0, "gzip"},
		"huge":                {idxFile(nil, 1<<31-1), 8, "2147483647"},
		"huge in gzip":        {gzipped(idxFile(nil, 1<<31-1)), 8, "2147483647"},
		"negative dimension":  {idxFile(nil, 1<<31), 4, "2147483648"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := ParseIDX("dir/file", c.raw, 1)
			wantFormatError(t, err, "dir/file", c.offset, c.says)
		})
	}
	_, _, err := ParseIDX("f", idxFile(nil, 1<<30, 1<<30, 1<<30), 3)
	wantFormatError(t, err, "f", 16, "1073741824")
}

func FuzzParseIDX(f *testing.F) {
	f.Add(idxFile([]byte{1, 2, 3, 4}, 4), uint8(1))
	f.Add(idxFile([]byte{1, 2, 3, 4}, 1, 2, 2), uint8(3))
	f.Add(gzipped(idxFile([]byte{1, 2, 3, 4}, 4)), uint8(1))
	f.Add(idxFile(nil, 0), uint8(1))
	f.Add([]byte{0x1f, 0x8b}, uint8(2))
	f.Fuzz(func(t *testing.T, raw []byte, rank uint8) {
		r := int(rank%4) + 1
		dims, elements, err := ParseIDX("f", raw, r)
		if err != nil {
			var format *FormatError
			if !errors.As(err, &format) {
				t.Fatalf("want a *FormatError, got %v", err)
			}
			return
		}
		n := 1
		for _, d := range dims {
			n *= d
		}
		if len(dims) != r || n != len(elements) {
			t.Fatalf("%d elements for dimensions %v", len(elements), dims)
		}
	})
}
