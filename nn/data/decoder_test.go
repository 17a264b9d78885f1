package data

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestDecoderReadsAsFilesAreRead compares pictures in memory with the same pictures in files.
func TestDecoderReadsAsFilesAreRead(t *testing.T) {
	im := image.NewNRGBA(image.Rect(0, 0, 31, 17))
	for i := range im.Pix {
		im.Pix[i] = byte(i * 7)
	}
	var asPNG, asJPEG bytes.Buffer
	if err := png.Encode(&asPNG, im); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&asJPEG, im, nil); err != nil {
		t.Fatal(err)
	}
	p := Preparation{H: 9, W: 12, C: 3, Resize: ResizePad, Background: color.NRGBA{R: 1, G: 2, B: 3, A: 255}}
	d := p.Decoder(0)
	for name, content := range map[string][]byte{"a.png": asPNG.Bytes(), "a.jpg": asJPEG.Bytes()} {
		path := filepath.Join(t.TempDir(), name)
		writeFile(t, path, content)
		want, got := make([]byte, p.Len()), make([]byte, d.Len())
		if err := p.File(want, path); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 4 { // goroutines share a decoder
			all.Go(func() {
				dst := make([]byte, d.Len())
				if err := d.Decode(context.Background(), dst, content); err != nil || !bytes.Equal(dst, want) {
					t.Errorf("%s: other pixels than those of the file (%v)", name, err)
				}
			})
		}
		all.Wait()
		if err := d.Decode(context.Background(), got, content); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: other pixels than those of the file (%v)", name, err)
		}
	}
}

func TestDecoderRefuses(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA64(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(b.Bytes())
	copy(huge[16:], "\x00\x00\x40\x00\x00\x00\x40\x00") // width and height
	fixPNG(huge)
	d := Preparation{H: 2, W: 2, C: 1}.Decoder(0)
	for _, c := range []struct {
		name, content, want string
	}{
		{"nothing", "", "unknown format"},
		{"text", "this is no picture", "unknown format"},
		{"half a picture", b.String()[:40], "unexpected EOF"},
		{"a picture of a gigabyte", string(huge), "want at most 64"},
	} {
		err := d.Decode(context.Background(), make([]byte, d.Len()), []byte(c.content))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}
