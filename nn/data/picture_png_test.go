package data

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// withChunk returns a PNG file with another chunk after its header.
func withChunk(file []byte, kind string, content []byte) []byte {
	const headerEnd = 8 + 25
	c := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
	c = append(append(c, kind...), content...)
	c = binary.BigEndian.AppendUint32(c, crc32.ChecksumIEEE(c[4:]))
	return append(append(bytes.Clone(file[:headerEnd]), c...), file[headerEnd:]...)
}

// exifOrientation returns the content of an eXIf chunk that says how a picture is turned.
func exifOrientation(orientation uint16) []byte {
	exif := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")
	binary.BigEndian.PutUint16(exif[18:], orientation)
	return exif
}

// pngFiles returns files of all kinds that are decoded in different ways.
func pngFiles(t *testing.T) map[string][]byte {
	bounds := image.Rect(0, 0, 19, 13)
	gray, rgb, alpha := image.NewGray(bounds), image.NewRGBA(bounds), image.NewNRGBA(bounds)
	palette := image.NewPaletted(bounds, color.Palette{color.Black, color.White, color.NRGBA{200, 0, 0, 90}})
	for i := range gray.Pix {
		gray.Pix[i], palette.Pix[i] = byte(3*i), byte(i%3)
		for k := range 4 {
			rgb.Pix[4*i+k], alpha.Pix[4*i+k] = byte(5*i+90*k), byte(7*i+60*k)
		}
		rgb.Pix[4*i+3] = 255
	}
	files := map[string][]byte{}
	for name, im := range map[string]image.Image{"gray": gray, "rgb": rgb, "alpha": alpha, "palette": palette, "gray16": image.NewGray16(bounds)} {
		var b bytes.Buffer
		if err := png.Encode(&b, im); err != nil {
			t.Fatal(err)
		}
		files[name] = b.Bytes()
		files[name+" turned"] = withChunk(b.Bytes(), "eXIf", exifOrientation(6))
		files[name+" with text"] = withChunk(b.Bytes(), "zTXt", []byte("Comment\x00\x00none"))
		files[name+" cut"] = b.Bytes()[:b.Len()-20]
		wrong := bytes.Clone(b.Bytes())
		wrong[len(wrong)/2]++
		files[name+" damaged"] = wrong
		files[name+" large"] = withChunk(b.Bytes(), "tEXt", make([]byte, smallFile))
	}
	return files
}

// byStandardLibrary decodes a file with image/png only.
func byStandardLibrary(r *pictureReader, path string, dst []byte) error {
	info, err := r.readPictureInfo(osTree(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	im, err := png.Decode(bytes.NewReader(raw))
	if err == nil {
		r.pixels(im, info.orientation, dst)
	}
	return err
}

// TestPNGDecodersAgree compares pixels and errors: of a small file, of the same file that is read piece by piece, and of
// image/png.
func TestPNGDecodersAgree(t *testing.T) {
	ctx := context.Background()
	for name, content := range pngFiles(t) {
		path := filepath.Join(t.TempDir(), "picture.png")
		writeFile(t, path, content)
		for _, p := range []Preparation{{H: 13, W: 19, C: 3}, {H: 13, W: 19, C: 1}, {H: 19, W: 13, C: 3}, {H: 8, W: 8, C: 1, Resize: ResizePad}} {
			r := p.reader()
			want, got, pieces := make([]byte, p.Len()), make([]byte, p.Len()), make([]byte, p.Len())
			wantErr := byStandardLibrary(r, path, want)
			gotErr := p.Decoder(0).File(ctx, got, path)
			if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || !bytes.Equal(got, want) {
				t.Errorf("%s as %+v: error %v, want %v; the same pixels: %t", name, p, gotErr, wantErr, bytes.Equal(got, want))
			}
			tree := osTree(filepath.Dir(path))
			info, err := r.readPictureInfo(tree, "picture.png")
			if err == nil {
				_, err = r.decode(ctx, tree, "picture.png", info, pieces)
			}
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || !bytes.Equal(pieces, want) {
				t.Errorf("%s as %+v, in pieces: error %v, want %v; the same pixels: %t", name, p, err, wantErr, bytes.Equal(pieces, want))
			}
		}
	}
}

// TestTurnedPNG has a turned picture, so that TestPNGDecodersAgree compares something.
func TestTurnedPNG(t *testing.T) {
	for name, want := range map[string]int{"rgb": 1, "rgb turned": 6, "rgb with text": 1} {
		content := pngFiles(t)[name]
		info, err := Preparation{C: 3}.reader().readPictureInfo(contentOpener(content), "")
		if err != nil || info.orientation != want {
			t.Errorf("%s: orientation %d, want %d (%v)", name, info.orientation, want, err)
		}
	}
}

func TestReadSmall(t *testing.T) {
	r := Preparation{}.reader()
	for n, want := range map[int]bool{0: true, 1: true, 16 << 10: true, 16<<10 + 1: true, smallFile: true, smallFile + 1: false, 2*smallFile + 7: false} {
		raw := make([]byte, n)
		for i := range raw {
			raw[i] = byte(i * i)
		}
		content, done, ok := r.readSmall(bytes.NewReader(raw))
		if ok != want || ok && !bytes.Equal(content, raw) {
			t.Errorf("%d bytes: %t and %d bytes, want %t", n, ok, len(content), want)
		}
		if ok {
			done()
		}
	}
	if _, _, ok := r.readSmall(io.MultiReader(bytes.NewReader([]byte{1}), failingReader{})); ok {
		t.Error("a file that can't be read is read")
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, os.ErrPermission }
