package plainpng

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"testing"
)

// encode returns a picture as a PNG file.
func encode(t testing.TB, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fill makes smooth random bytes, for which an encoder chooses all filters.
func fill(pix []byte, stride int, rng *rand.Rand) {
	for i := range pix {
		above := byte(0)
		if i >= stride {
			above = pix[i-stride]
		}
		pix[i] = above + byte(rng.IntN(9)) + byte(i%stride)
	}
}

// plain returns a picture of each kind that the package accepts.
func plain(h, w int) []image.Image {
	rng := rand.New(rand.NewPCG(uint64(h), uint64(w)))
	bounds := image.Rect(0, 0, w, h)
	gray, rgb, alpha := image.NewGray(bounds), image.NewRGBA(bounds), image.NewNRGBA(bounds)
	fill(gray.Pix, gray.Stride, rng)
	fill(rgb.Pix, rgb.Stride, rng)
	fill(alpha.Pix, alpha.Stride, rng)
	for i := 3; i < len(rgb.Pix); i += 4 {
		rgb.Pix[i] = 255
	}
	return []image.Image{gray, rgb, alpha}
}

// differ returns how two pictures differ, or "".
func differ(got, want image.Image) string {
	if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", want) || got.Bounds() != want.Bounds() {
		return fmt.Sprintf("%T of %v, want %T of %v", got, got.Bounds(), want, want.Bounds())
	}
	for y := range want.Bounds().Dy() {
		for x := range want.Bounds().Dx() {
			if a, b := got.At(x, y), want.At(x, y); a != b {
				return fmt.Sprintf("pixel (%d, %d) is %v, want %v", y, x, a, b)
			}
		}
	}
	return ""
}

// decode decodes a file whose picture has the size that image/png reads in its header.
func decode(d *Decoder, file []byte) image.Image {
	config, err := png.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return d.Decode(file, 1, 1)
	}
	return d.Decode(file, config.Height, config.Width)
}

// check compares a file's picture with that of image/png, and reports whether the package accepts the file.
func check(t *testing.T, d *Decoder, file []byte) bool {
	t.Helper()
	got := decode(d, file)
	if got == nil {
		return false
	}
	want, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatalf("image/png refuses a file that the package accepts: %v", err)
	}
	if text := differ(got, want); text != "" {
		t.Fatal(text)
	}
	return true
}

func TestSamePixelsAsStandardLibrary(t *testing.T) {
	var d Decoder // the same for all: files of other sizes leave nothing behind
	for _, size := range [][2]int{{28, 28}, {1, 1}, {1, 40}, {40, 1}, {31, 33}, {200, 300}} {
		for _, im := range plain(size[0], size[1]) {
			if !check(t, &d, encode(t, im)) {
				t.Errorf("%T of %v is refused", im, size)
			}
		}
	}
}

// TestFilters decodes every filter in the first row and in others, whichever an encoder would choose.
func TestFilters(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var d Decoder
	for colours, bpp := range bytesPerPixel {
		for first := range byte(5) {
			for second := range byte(5) {
				const h, w = 3, 7
				var rows []byte
				for _, filter := range []byte{first, second, second} {
					rows = append(rows, filter)
					for range w * bpp {
						rows = append(rows, byte(rng.Uint32()))
					}
				}
				if !check(t, &d, written(h, w, colours, rows)) {
					t.Errorf("filters %d and %d with %d bytes per pixel are refused", first, second, bpp)
				}
			}
		}
		if d.Decode(written(1, 1, colours, append([]byte{5}, make([]byte, bpp)...)), 1, 1) != nil {
			t.Error("an unknown filter is accepted")
		}
	}
}

// written returns a file of filtered rows.
func written(h, w int, colours byte, rows []byte) []byte {
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = z.Write(rows)
	_ = z.Close()
	return file(ihdr(h, w, colours), chunk("IDAT", packed.Bytes()), chunk("IEND", nil))
}

func ihdr(h, w int, colours byte) []byte {
	data := binary.BigEndian.AppendUint32(nil, uint32(w))
	data = binary.BigEndian.AppendUint32(data, uint32(h))
	return chunk("IHDR", append(data, 8, colours, 0, 0, 0))
}

func chunk(kind string, data []byte) []byte {
	c := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	c = append(append(c, kind...), data...)
	return binary.BigEndian.AppendUint32(c, crc32.ChecksumIEEE(c[4:]))
}

func file(chunks ...[]byte) []byte {
	return append([]byte(Signature), bytes.Join(chunks, nil)...)
}

// packed returns the compressed rows of a gray picture of 2x2 pixels.
func packed() []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write([]byte{0, 1, 2, 0, 3, 4})
	_ = z.Close()
	return b.Bytes()
}

func TestChunks(t *testing.T) {
	z := packed()
	head, end, text := ihdr(2, 2, 0), chunk("IEND", nil), chunk("tEXt", []byte("Comment\x00none"))
	wrong := chunk("IDAT", z)
	wrong[len(wrong)-1]++
	for name, c := range map[string]struct {
		file []byte
		want bool
	}{
		"one chunk":                {file(head, chunk("IDAT", z), end), true},
		"several chunks":           {file(head, chunk("IDAT", z[:3]), chunk("IDAT", nil), chunk("IDAT", z[3:7]), chunk("IDAT", z[7:]), end), true},
		"text":                     {file(head, text, chunk("IDAT", z), text, end), true},
		"data after the end":       {append(file(head, chunk("IDAT", z), end), 1, 2, 3), true},
		"no rows":                  {file(head, end), false},
		"no end":                   {file(head, chunk("IDAT", z)), false},
		"an end with content":      {file(head, chunk("IDAT", z), chunk("IEND", []byte{0})), false},
		"no header":                {file(chunk("IDAT", z), end), false},
		"two headers":              {file(head, head, chunk("IDAT", z), end), false},
		"rows in two places":       {file(head, chunk("IDAT", z), text, chunk("IDAT", nil), end), false},
		"too many bytes":           {file(head, chunk("IDAT", append(packed(), 0)), end), false},
		"too few rows":             {file(ihdr(3, 2, 0), chunk("IDAT", z), end), false},
		"too many rows":            {file(ihdr(1, 2, 0), chunk("IDAT", z), end), false},
		"a wrong checksum":         {file(head, wrong, end), false},
		"a transparent colour":     {file(head, chunk("tRNS", []byte{0, 1}), chunk("IDAT", z), end), false},
		"a palette":                {file(ihdr(2, 2, 3), chunk("PLTE", make([]byte, 30)), chunk("IDAT", z), end), false},
		"a size of four gigabytes": {file(ihdr(1<<16, 1<<16, 0), chunk("IDAT", z), end), false},
	} {
		var d Decoder
		if got := check(t, &d, c.file); got != c.want {
			t.Errorf("%s: accepted is %t, want %t", name, got, c.want)
		}
	}
}

// TestOthersAreRefused has files that image/png reads, and this package leaves to it.
func TestOthersAreRefused(t *testing.T) {
	bounds := image.Rect(0, 0, 5, 4)
	var d Decoder
	for _, im := range []image.Image{
		image.NewGray16(bounds), image.NewNRGBA64(bounds), image.NewPaletted(bounds, color.Palette{color.Black, color.White}),
	} {
		if decode(&d, encode(t, im)) != nil {
			t.Errorf("%T is accepted", im)
		}
	}
}

// TestDamagedFiles changes and cuts files: none that is accepted may be one that image/png refuses.
func TestDamagedFiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var d Decoder
	for _, im := range plain(9, 11) {
		good := encode(t, im)
		for n := range len(good) {
			if check(t, &d, good[:n]) {
				t.Fatalf("a file of %d bytes is accepted that was cut to %d", len(good), n)
			}
			bad := bytes.Clone(good)
			bad[n] ^= 1 << rng.IntN(8)
			check(t, &d, bad)
		}
		if !check(t, &d, good) {
			t.Fatal("a good file is refused after damaged ones")
		}
		if d.Decode(good, 9, 12) != nil {
			t.Fatal("a picture of another size is accepted")
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, im := range plain(3, 5) {
		f.Add(encode(f, im))
	}
	f.Add(encode(f, image.NewPaletted(image.Rect(0, 0, 2, 2), color.Palette{color.Black, color.White})))
	var d Decoder
	f.Fuzz(func(t *testing.T, raw []byte) {
		if config, err := png.DecodeConfig(bytes.NewReader(raw)); err == nil && config.Width*config.Height > 1<<16 {
			return // takes time, not memory
		}
		check(t, &d, raw)
	})
}

func BenchmarkDecode(b *testing.B) {
	file := encode(b, plain(28, 28)[0])
	b.Run("plainpng", func(b *testing.B) {
		var d Decoder
		for b.Loop() {
			d.Decode(file, 28, 28)
		}
	})
	b.Run("standard", func(b *testing.B) {
		for b.Loop() {
			_, _ = png.Decode(bytes.NewReader(file))
		}
	})
}
