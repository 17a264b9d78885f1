// Package plainpng decodes PNG files (ISO/IEC 15948) of the plain kinds: 8 bits per sample, gray, RGB or RGBA, not
// interlaced. It decodes one file after another in the same memory. image/png sets up a decompressor of 40 KiB for each
// file, which takes longer than decompressing a small picture.
//
// The package accepts less than image/png: no palette, no transparent colour, no other depth, and nothing that is damaged
// or odd. Whatever it refuses, the caller reads with image/png, which decides what is an error. What it accepts, image/png
// accepts, and both give the same pixels. The tests enforce both.
package plainpng

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"io"
)

// Signature is the first bytes of a PNG file.
const Signature = "\x89PNG\r\n\x1a\n"

// Decoder decodes one file after another, in the same memory. It is not safe for concurrent use.
type Decoder struct {
	packed   []byte // the data of several IDAT chunks
	rows     []byte // h rows of a filter's number and w*bpp bytes
	pix      []byte // of an RGB picture, with alpha
	reader   bytes.Reader
	unpacker io.ReadCloser // of zlib, reset for each file
}

// header is the content of IHDR.
type header struct {
	h, w int
	bpp  int // bytes per pixel
}

// The colour types (ISO/IEC 15948, table 9), and the bytes per pixel at 8 bits per sample.
var bytesPerPixel = map[byte]int{0: 1, 2: 3, 6: 4}

// maxBytes bounds the bytes of a picture's rows; larger ones are refused, so that the sizes of buffers can't overflow.
const maxBytes = 1 << 30

// Decode returns the picture of h x w pixels in a file: *image.Gray, *image.RGBA or *image.NRGBA, as image/png does. It
// returns nil if it refuses the file, or if the picture has another size. The picture is valid until the next call.
func (d *Decoder) Decode(file []byte, h, w int) image.Image {
	head, packed, ok := d.chunks(file)
	if !ok || head.h != h || head.w != w || !d.unpack(head, packed) {
		return nil
	}
	stride := 1 + head.w*head.bpp
	if !unfilter(d.rows, stride, head.bpp) {
		return nil
	}
	bounds := image.Rect(0, 0, head.w, head.h)
	switch head.bpp {
	case 1:
		return &image.Gray{Pix: d.rows[1:], Stride: stride, Rect: bounds}
	case 4:
		return &image.NRGBA{Pix: d.rows[1:], Stride: stride, Rect: bounds}
	}
	return d.withAlpha(stride, bounds)
}

// Kept returns the bytes of the decoder's memory.
func (d *Decoder) Kept() int { return cap(d.packed) + cap(d.rows) + cap(d.pix) }

// chunks returns the header and the compressed rows. Chunks between the header and the rows that only describe the picture
// are passed over, as is what follows the rows.
func (d *Decoder) chunks(file []byte) (head header, packed []byte, ok bool) {
	if len(file) < len(Signature) || string(file[:len(Signature)]) != Signature {
		return head, nil, false
	}
	kind, data, file, ok := nextChunk(file[len(Signature):])
	if !ok || string(kind) != "IHDR" || !head.read(data) {
		return head, nil, false
	}
	parts, hasEnded := 0, false
	for {
		kind, data, file, ok = nextChunk(file)
		if !ok {
			return head, nil, false
		}
		switch string(kind) {
		case "IHDR", "PLTE", "tRNS":
			return head, nil, false
		case "IEND":
			return head, packed, parts > 0 && len(data) == 0
		case "IDAT":
			if hasEnded {
				return head, nil, false
			}
			switch parts++; parts {
			case 1:
				packed = data
			case 2:
				d.packed = append(d.packed[:0], packed...)
				fallthrough
			default:
				d.packed = append(d.packed, data...)
				packed = d.packed
			}
		default:
			hasEnded = parts > 0
		}
	}
}

// nextChunk returns the first chunk, whose checksum is right, and what follows it.
func nextChunk(file []byte) (kind, data, rest []byte, ok bool) {
	const frame = 12 // length, kind and checksum
	if len(file) < frame {
		return nil, nil, nil, false
	}
	n := int64(binary.BigEndian.Uint32(file))
	if n > int64(len(file)-frame) {
		return nil, nil, nil, false
	}
	end := 8 + int(n)
	if crc32.ChecksumIEEE(file[4:end]) != binary.BigEndian.Uint32(file[end:]) {
		return nil, nil, nil, false
	}
	return file[4:8], file[8:end], file[end+4:], true
}

// read reads the content of IHDR, and reports whether the picture is of a plain kind.
func (h *header) read(data []byte) bool {
	if len(data) != 13 {
		return false
	}
	w, height := binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:])
	depth, colours, compression, filter, interlace := data[8], data[9], data[10], data[11], data[12]
	bpp := bytesPerPixel[colours]
	if depth != 8 || bpp == 0 || compression != 0 || filter != 0 || interlace != 0 {
		return false
	}
	const maxSide = 1 << 24
	if w == 0 || height == 0 || w > maxSide || height > maxSide || int64(height)*(1+int64(w)*int64(bpp)) > maxBytes {
		return false
	}
	*h = header{int(height), int(w), bpp}
	return true
}

// unpack decompresses the rows, and reports whether the data are these rows and nothing else.
func (d *Decoder) unpack(head header, packed []byte) bool {
	d.reader.Reset(packed)
	if d.unpacker == nil {
		var err error
		if d.unpacker, err = zlib.NewReader(&d.reader); err != nil {
			d.unpacker = nil
			return false
		}
	} else if d.unpacker.(zlib.Resetter).Reset(&d.reader, nil) != nil {
		return false
	}
	n := head.h * (1 + head.w*head.bpp)
	if cap(d.rows) < n {
		d.rows = make([]byte, n)
	}
	d.rows = d.rows[:n]
	if _, err := io.ReadFull(d.unpacker, d.rows); err != nil {
		return false
	}
	var more [1]byte
	k, err := d.unpacker.Read(more[:]) // compares the checksum
	return k == 0 && err == io.EOF && d.reader.Len() == 0
}

// withAlpha returns an RGB picture, as image/png does, with an alpha of 255.
func (d *Decoder) withAlpha(stride int, bounds image.Rectangle) image.Image {
	n := 4 * bounds.Dx() * bounds.Dy()
	if cap(d.pix) < n {
		d.pix = make([]byte, n)
	}
	d.pix = d.pix[:n]
	to := d.pix
	for rows := d.rows; len(rows) > 0; rows = rows[stride:] {
		for row := rows[1:stride]; len(row) >= 3; row, to = row[3:], to[4:] {
			to[0], to[1], to[2], to[3] = row[0], row[1], row[2], 255
		}
	}
	return &image.RGBA{Pix: d.pix, Stride: 4 * bounds.Dx(), Rect: bounds}
}
