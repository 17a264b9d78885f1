package data

import (
	"bytes"
	"encoding/binary"
	"io"

	"trainer/nn/data/internal/plainpng"
)

// Folders of small pictures are mostly PNG files of a few kilobytes. To open a file, to ask for its first bytes several times
// and to set up a decompressor takes longer than to decode such a picture. So a small file is read once, as a whole, and
// package plainpng decodes it in memory that is used again. What the package refuses, such as palettes and damaged files,
// image/png decodes, or says what is wrong with it.

// smallFile is the size, in bytes, up to which a picture file is read as a whole.
const smallFile = 1 << 20

// readSmall reads a file that has at most smallFile bytes. The content is valid until done is called. Otherwise, and if it
// can't be read, it reports false; the file's position is then undefined.
func (r *pictureReader) readSmall(file io.Reader) (content []byte, done func(), ok bool) {
	buffer, _ := r.contents.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
		*buffer = make([]byte, 0, 16<<10)
	}
	done = func() { r.contents.Put(buffer) }
	content = (*buffer)[:0]
	for len(content) <= smallFile {
		if len(content) == cap(content) {
			content = append(content, 0)[:len(content)]
			*buffer = content
		}
		n, err := file.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		if err == io.EOF && len(content) <= smallFile {
			return content, done, true
		}
		if err != nil {
			break
		}
	}
	done()
	return nil, nil, false
}

// decodePNG decodes a small PNG file to dst, and reports whether it could. If not, dst is unchanged, and the file's position
// is undefined.
func (r *pictureReader) decodePNG(file io.Reader, info pictureInfo, dst []byte) (decoded, bool) {
	small, isInMemory := file.(contentFile)
	if !isInMemory {
		var head [len(plainpng.Signature)]byte
		if _, err := io.ReadFull(file, head[:]); err != nil || string(head[:]) != plainpng.Signature {
			return decoded{}, false
		}
		content, done, ok := r.readSmall(io.MultiReader(bytes.NewReader(head[:]), file))
		if !ok {
			return decoded{}, false
		}
		defer done()
		small.content = content
	}
	d, _ := r.pngs.Get().(*plainpng.Decoder)
	if d == nil {
		d = &plainpng.Decoder{}
	}
	defer func() {
		if d.Kept() <= maxKeptPlanes {
			r.pngs.Put(d)
		}
	}()
	h, w := uprightSize(info.h, info.w, info.orientation) // as stored
	im := d.Decode(small.content, h, w)
	if im == nil {
		return decoded{}, false
	}
	return r.pixels(im, info.orientation, dst), true
}

// mayHaveEXIF reports whether a PNG file has a chunk of EXIF data, or chunks that are odd.
func mayHaveEXIF(file []byte) bool {
	const frame = 12 // length, kind and checksum
	for file = file[min(len(plainpng.Signature), len(file)):]; len(file) >= frame; {
		switch string(file[4:8]) {
		case "eXIf", "zTXt": // compressed text is read in another way by package imagemeta
			return true
		}
		n := int64(binary.BigEndian.Uint32(file))
		if n > int64(len(file)-frame) {
			return true
		}
		file = file[frame+n:]
	}
	return len(file) > 0
}
