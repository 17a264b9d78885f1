package data

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"io"

	"golang.org/x/sync/semaphore"
)

// A picture file of a megabyte may decode to gigabytes. What decoding takes is known from the header, and is counted
// against Options.MaxMemory before it is allocated, together with the pixels that are kept.

// minDecodeMemory is what decoding may take, however small Options.MaxMemory is.
const minDecodeMemory = 64 << 20

// pictureMemory is the memory for the pictures that are being decoded.
type pictureMemory struct {
	limit int64
	free  *semaphore.Weighted
}

func newPictureMemory(limit int64) pictureMemory {
	limit = max(limit, minDecodeMemory)
	return pictureMemory{limit, semaphore.NewWeighted(limit)}
}

// check returns an error if a picture takes more than all of the memory.
func (m pictureMemory) check(i pictureInfo, bytes int64) error {
	if bytes <= m.limit {
		return nil
	}
	return fmt.Errorf("decoding %dx%d pixels takes %d MiB, want at most %d", i.w, i.h, bytes>>20, m.limit>>20)
}

// take waits until that much memory is free. The caller gives it back by calling done.
func (m pictureMemory) take(ctx context.Context, bytes int64) (done func(), err error) {
	if err := m.free.Acquire(ctx, bytes); err != nil {
		return nil, err
	}
	return func() { m.free.Release(bytes) }, nil
}

// decodeMemory returns the most bytes that decoding a picture takes, from its header: the pixels, what the decoder of the
// format needs besides, a copy for transparent pixels, and one for turning.
func decodeMemory(config image.Config, format string, progressive, turned bool) int64 {
	perPixel := int64(4)
	transparent := false
	if _, isPalette := config.ColorModel.(color.Palette); isPalette {
		perPixel, transparent = 1, true
	} else {
		switch config.ColorModel {
		case color.GrayModel:
			perPixel = 1
		case color.Gray16Model:
			perPixel = 2
		case color.YCbCrModel:
			perPixel = 3
		case color.RGBA64Model, color.NRGBA64Model:
			perPixel, transparent = 8, true
		case color.CMYKModel:
		default:
			transparent = true
		}
	}
	switch {
	case format == "jpeg" && progressive:
		perPixel += 4 * perPixel // all coefficients, of four bytes
	case format == "jpeg" && config.ColorModel == color.CMYKModel:
		perPixel *= 2 // planes, and the picture
	case format == "tiff":
		perPixel *= 4 // unpacked data in a buffer that doubles
	case format != "jpeg":
		perPixel *= 2 // the passes of an interlaced PNG, the transforms of WebP
	}
	if transparent {
		perPixel += 4
	}
	if turned {
		perPixel += 4
	}
	return perPixel * int64(config.Width) * int64(config.Height)
}

// memory returns the most bytes that reading a picture takes: decoding, the picture in the reader's size, and between them
// a picture of the new width and the old height with four float64 per pixel (draw.BiLinear.Scale).
func (r *pictureReader) memory(i pictureInfo) int64 {
	bytes := i.memory + 5*int64(r.h)*int64(r.w)
	if i.h != r.h || i.w != r.w {
		bytes += 32 * int64(r.w) * int64(i.h)
	}
	return bytes
}

// jpegSegments is what the segments of a JPEG file say in front of its samples.
type jpegSegments struct {
	isProgressive bool // coefficients are stored in several scans (ITU T.81, B.1.1.3: SOF2)
	hasEXIF       bool
}

// readSegments reads the segments up to the first scan. A file that is odd counts as one that has EXIF data and, if it is odd
// in front of the frame, as progressive.
func readSegments(file io.Reader) jpegSegments {
	found := jpegSegments{isProgressive: true}
	r := bufio.NewReaderSize(file, 1024)
	var head [4]byte // a marker, and the length of its segment
	_, err := r.Discard(2)
	for err == nil {
		if _, err = io.ReadFull(r, head[:]); err != nil || head[0] != 0xff || head[1] == 0xff {
			break
		}
		switch head[1] {
		case 0xc0, 0xc1:
			found.isProgressive = false
		case 0xe1:
			found.hasEXIF = true
		case 0xda:
			return found
		}
		_, err = r.Discard(max(0, int(binary.BigEndian.Uint16(head[2:]))-2))
	}
	found.hasEXIF = true
	return found
}

// maxMemory is Options.MaxMemory, or its default.
func (opt *Options) maxMemory() int64 { return cmp.Or(opt.MaxMemory, defaultMaxMemory) }
