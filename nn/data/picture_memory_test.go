package data

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// TestDecodeMemoryIsEnough measures what decoding allocates in sum, which is at least what it takes at any moment.
func TestDecodeMemoryIsEnough(t *testing.T) {
	const side = 300
	box := image.Rect(0, 0, side, side)
	palette := color.Palette{color.NRGBA{A: 255}, color.NRGBA{R: 9}}
	pictures := map[string]image.Image{
		"gray": image.NewGray(box), "gray16": image.NewGray16(box), "nrgba": image.NewNRGBA(box), "nrgba64": image.NewNRGBA64(box),
		"palette": image.NewPaletted(box, palette),
	}
	formats := map[string]func(*bytes.Buffer, image.Image) error{
		".png": func(b *bytes.Buffer, im image.Image) error { return png.Encode(b, im) },
		".jpg": func(b *bytes.Buffer, im image.Image) error { return jpeg.Encode(b, im, nil) },
		".gif": func(b *bytes.Buffer, im image.Image) error { return gif.Encode(b, im, nil) },
		".bmp": func(b *bytes.Buffer, im image.Image) error { return bmp.Encode(b, im) },
		".tiff": func(b *bytes.Buffer, im image.Image) error {
			return tiff.Encode(b, im, &tiff.Options{Compression: tiff.Deflate})
		},
	}
	r := pictureReader{h: 8, w: 8, c: 3, resize: ResizeStretch, decoding: newPictureMemory(1 << 30)}
	for name, im := range pictures {
		for ending, encode := range formats {
			var b bytes.Buffer
			if err := encode(&b, im); err != nil {
				t.Fatal(name, ending, err)
			}
			folder := osTree(t.TempDir())
			writeFile(t, folder.path(name+ending), b.Bytes())
			info, err := r.readPictureInfo(folder, name+ending)
			if err != nil {
				t.Fatal(name, ending, err)
			}
			info.orientation = 1
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := r.decode(context.Background(), folder, name+ending, info, make([]byte, 8*8*3)); err != nil {
				t.Fatal(name, ending, err)
			}
			runtime.ReadMemStats(&after)
			const fixed = 300 << 10 // buffers, whatever the size; and TIFF's copy of the file
			if took, said := int64(after.TotalAlloc-before.TotalAlloc), r.memory(info); took > said+fixed {
				t.Errorf("%s%s: %d bytes allocated, %d foreseen", name, ending, took, said)
			}
		}
	}
}

func TestSegments(t *testing.T) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	baseline := b.Bytes()
	progressive := bytes.Replace(baseline, []byte{0xff, 0xc0}, []byte{0xff, 0xc2}, 1)
	odd := jpegSegments{isProgressive: true, hasEXIF: true}
	for _, c := range []struct {
		raw  []byte
		want jpegSegments
	}{
		{baseline, jpegSegments{}}, {progressive, jpegSegments{isProgressive: true}},
		{withOrientation(baseline, 3), jpegSegments{hasEXIF: true}}, {withOrientation(progressive, 3), odd},
		{baseline[:10], odd}, {nil, odd}, {[]byte("\xff\xd8hello"), odd},
	} {
		if got := readSegments(bytes.NewReader(c.raw)); got != c.want {
			t.Errorf("%q...: %+v, want %+v", c.raw[:min(4, len(c.raw))], got, c.want)
		}
	}
}

// TestHugePicturesAreSkipped opens a folder with a picture whose few bytes stand for 16384 x 16384 pixels.
func TestHugePicturesAreSkipped(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a/1.png", "a/2.png", "b/1.png", "b/2.png"} {
		writeImage(t, filepath.Join(root, name), image.NewGray(image.Rect(0, 0, 4, 4)))
	}
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA64(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	raw := b.Bytes()
	copy(raw[16:], "\x00\x00\x40\x00\x00\x00\x40\x00") // width and height
	fixPNG(raw)
	writeFile(t, filepath.Join(root, "a", "huge.png"), raw)
	d, err := Open(context.Background(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Skipped) != 1 || !strings.Contains(d.Skipped[0], "takes 5120 MiB, want at most 2048") {
		t.Errorf("skipped %q", d.Skipped)
	}
}

func TestDecodingWaitsForMemory(t *testing.T) {
	m := newPictureMemory(0)
	done, err := m.take(context.Background(), minDecodeMemory)
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, err := m.take(stopped, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("memory was given twice: %v", err)
	}
	done()
	if _, err := m.take(context.Background(), 1); err != nil {
		t.Error(err)
	}
}

// fixPNG sets the checksum of a PNG file's first chunk.
func fixPNG(raw []byte) {
	binary.BigEndian.PutUint32(raw[29:], crc32.ChecksumIEEE(raw[12:29]))
}
