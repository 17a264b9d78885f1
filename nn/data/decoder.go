package data

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
)

// Decoder reads pictures, in files or as bytes that clients send to a server. It may be used from several goroutines, which
// share one budget of memory.
type Decoder struct {
	reader *pictureReader
	length int
}

// Decoder returns a decoder of pictures in any of the formats of a folder's pictures. All pictures that are being decoded
// at the same time take at most memory bytes together, which is at least 64 MiB; a picture that would take more by itself
// is an error.
func (p Preparation) Decoder(memory int64) *Decoder {
	r := p.reader()
	r.decoding = newPictureMemory(memory)
	return &Decoder{reader: r, length: p.Len()}
}

// Len returns the number of bytes of an image, H * W * C.
func (d *Decoder) Len() int { return d.length }

// Decode writes the pixels of a picture to dst [H, W, C]. It waits until enough of the memory is free, or returns ctx's
// error.
func (d *Decoder) Decode(ctx context.Context, dst, content []byte) error {
	file := contentOpener(content)
	info, err := d.reader.readPictureInfo(file, "")
	if err != nil {
		return err
	}
	_, err = d.reader.decode(ctx, file, "", info, dst)
	return err
}

// File reads a picture file, and writes its pixels to dst [H, W, C]. It waits until enough of the memory is free, or
// returns ctx's error.
func (d *Decoder) File(ctx context.Context, dst []byte, path string) error {
	file, err := openRegular(path)
	if err != nil {
		return err
	}
	defer file.Close()
	content, done, isSmall := d.reader.readSmall(file)
	if isSmall {
		defer done()
		return d.Decode(ctx, dst, content)
	}
	t, name := osTree(filepath.Dir(path)), filepath.Base(path)
	info, err := d.reader.readPictureInfo(t, name)
	if err != nil {
		return err
	}
	_, err = d.reader.decode(ctx, t, name, info, dst)
	return err
}

// contentOpener is a file in memory, whatever its name.
type contentOpener []byte

func (c contentOpener) open(string) (io.ReadSeekCloser, error) {
	return contentFile{bytes.NewReader(c), c}, nil
}

type contentFile struct {
	*bytes.Reader
	content []byte
}

func (contentFile) Close() error { return nil }

// Peek returns the next n bytes without reading them. Package image asks for it, and otherwise allocates a buffer.
func (c contentFile) Peek(n int) ([]byte, error) {
	rest := c.content[len(c.content)-c.Len():]
	if len(rest) < n {
		return rest, io.EOF
	}
	return rest[:n], nil
}
