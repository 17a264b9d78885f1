package scaledjpeg

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// samplings are the pixels per chroma sample that image/jpeg has, down and across; 0 is a gray picture.
var samplings = [][2]int{{0, 0}, {1, 1}, {1, 2}, {2, 1}, {2, 2}, {1, 4}}

// files returns pictures of all samplings, with and without restart markers, from nearly empty to full of large coefficients.
func files() []written {
	rng := rand.New(rand.NewPCG(3, 4))
	var all []written
	for _, s := range samplings {
		for _, interval := range []int{0, 1, 3} {
			for k, density := range []float64{0, 0.02, 0.2, 0.9} {
				all = append(all, written{
					h: 1 + rng.IntN(50), w: 1 + rng.IntN(70), down: s[0], across: s[1], interval: interval,
					density: density, size: 3 + 2*k, quant: []byte{40, 40, 9, 255}[k], seed: rng.Uint64(),
				})
			}
		}
	}
	return all
}

func (f written) String() string {
	return fmt.Sprintf("%dx%d of %dx%d, interval %d, density %v", f.h, f.w, f.down, f.across, f.interval, f.density)
}

// all wants all of each component at a scale.
func all(h *Header, scale int) []Wanted {
	var wanted []Wanted
	for k := range h.Components {
		height, width := h.Size(k)
		wanted = append(wanted, Wanted{scale, 0, 0, height, width})
	}
	return wanted
}

// decode decodes a file.
func decode(d *Decoder, raw []byte, want func(*Header) []Wanted) (*Header, []Plane, error) {
	header, err := d.ReadHeader(bytes.NewReader(raw))
	if err != nil {
		return nil, nil, err
	}
	planes, err := d.Read(want(header))
	return header, planes, err
}

// standard decodes a file with image/jpeg.
func standard(raw []byte) ([]Plane, error) {
	im, err := jpeg.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	switch im := im.(type) {
	case *image.Gray:
		return []Plane{{im.Pix, im.Stride}}, nil
	case *image.YCbCr:
		return []Plane{{im.Y, im.YStride}, {im.Cb, im.CStride}, {im.Cr, im.CStride}}, nil
	}
	return nil, fmt.Errorf("a %T", im)
}

// differ returns where two components of h x w samples differ, or "".
func differ(a, b Plane, h, w int) string {
	for y := range h {
		for x := range w {
			if v, want := a.Pix[y*a.Stride+x], b.Pix[y*b.Stride+x]; v != want {
				return fmt.Sprintf("(%d, %d) is %d, want %d", y, x, v, want)
			}
		}
	}
	return ""
}

// TestSameSamplesAsStandardLibrary is an equality: at full scale, nothing tells which package decoded a file.
func TestSameSamplesAsStandardLibrary(t *testing.T) {
	var d Decoder
	for _, f := range files() {
		raw := f.bytes()
		want, err := standard(raw)
		if err != nil {
			t.Fatal(f, err)
		}
		h, got, err := decode(&d, raw, func(h *Header) []Wanted { return all(h, 1) })
		if err != nil {
			t.Fatal(f, err)
		}
		for k := range got {
			height, width := h.Size(k)
			if s := differ(got[k], want[k], height, width); s != "" {
				t.Errorf("%v: component %d: sample %s", f, k, s)
			}
		}
	}
}

// TestReaders reads a file byte by byte, and with an error in the middle.
func TestReaders(t *testing.T) {
	raw := written{h: 90, w: 90, down: 2, across: 2, interval: 5, density: 0.3, size: 6, quant: 20, seed: 1}.bytes()
	var d, slow Decoder
	h, want, err := decode(&d, raw, func(h *Header) []Wanted { return all(h, 1) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err = slow.ReadHeader(iotest.OneByteReader(bytes.NewReader(raw))); err != nil {
		t.Fatal(err)
	}
	got, err := slow.Read(all(h, 1))
	if err != nil {
		t.Fatal(err)
	}
	for k := range got {
		height, width := h.Size(k)
		if s := differ(got[k], want[k], height, width); s != "" {
			t.Errorf("component %d: sample %s", k, s)
		}
	}
	for _, at := range []int{0, 1, 30, len(raw) / 2, len(raw) - 1} {
		broken := io.MultiReader(bytes.NewReader(raw[:at]), iotest.ErrReader(io.ErrClosedPipe))
		_, err := d.ReadHeader(broken)
		if err == nil {
			_, err = d.Read(all(h, 1))
		}
		if err != io.ErrClosedPipe {
			t.Errorf("an error after %d bytes: %v", at, err)
		}
	}
}

// TestWanted decodes parts, over memory of other contents: the wanted samples are those of the whole.
func TestWanted(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var whole, d Decoder
	for _, f := range files() {
		raw := f.bytes()
		scale := 1 << rng.IntN(4)
		h, want, err := decode(&whole, raw, func(h *Header) []Wanted { return all(h, scale) })
		if err != nil {
			t.Fatal(f, err)
		}
		for k := range d.pix {
			for i := range d.pix[k] {
				d.pix[k][i] ^= 0x5a
			}
		}
		var parts []Wanted
		_, got, err := decode(&d, raw, func(h *Header) []Wanted {
			for k := range h.Components {
				height, width := h.Size(k)
				y0, x0 := rng.IntN(height), rng.IntN(width)
				parts = append(parts, Wanted{scale, y0, x0, y0 + 1 + rng.IntN(height-y0), x0 + 1 + rng.IntN(width-x0)})
			}
			parts[len(parts)-1].Scale *= rng.IntN(2) // the last may be left out
			return parts
		})
		if err != nil {
			t.Fatal(f, err)
		}
		for k, p := range parts {
			if p.Scale == 0 {
				continue
			}
			first := p.Y0/scale*want[k].Stride + p.X0/scale
			a, b := Plane{got[k].Pix[first:], got[k].Stride}, Plane{want[k].Pix[first:], want[k].Stride}
			if s := differ(a, b, ceilDiv(p.Y1, scale)-p.Y0/scale, ceilDiv(p.X1, scale)-p.X0/scale); s != "" {
				t.Errorf("%v: component %d, %+v: sample %s", f, k, p, s)
			}
		}
		if planes := int64(0); h.Memory(all(h, scale)) <= planes {
			t.Errorf("%v: no memory", f)
		}
	}
}

// check refuses a file, or decodes what image/jpeg decodes, and reports whether it did.
func check(t *testing.T, d *Decoder, raw []byte) bool {
	t.Helper()
	h, got, err := decode(d, raw, func(h *Header) []Wanted { return all(h, 1) })
	if err != nil {
		return false
	}
	want, err := standard(raw)
	if err != nil {
		t.Fatalf("accepted a file that image/jpeg refuses: %v\n%x", err, raw)
	}
	if len(got) != len(want) {
		t.Fatalf("%d components, want %d", len(got), len(want))
	}
	for k := range got {
		height, width := h.Size(k)
		if s := differ(got[k], want[k], height, width); s != "" {
			t.Fatalf("component %d: sample %s\n%x", k, s, raw)
		}
	}
	return true
}

// TestDamagedFiles changes and removes each byte of a file: what is accepted, image/jpeg accepts too.
func TestDamagedFiles(t *testing.T) {
	var d Decoder
	for _, f := range []written{
		{h: 20, w: 30, down: 2, across: 2, interval: 2, density: 0.1, size: 4, quant: 20, seed: 1},
		{h: 20, w: 30, density: 0.1, size: 4, quant: 20, seed: 2},
	} {
		raw := f.bytes()
		for n := range raw {
			if _, _, err := decode(&d, raw[:n], func(h *Header) []Wanted { return all(h, 8) }); err == nil {
				t.Fatalf("%v: accepted %d of %d bytes", f, n, len(raw))
			}
			check(t, &d, append(bytes.Clone(raw[:n]), raw[n+1:]...))
			for _, v := range []byte{0, 1, 0x80, 0xff, raw[n] + 1, ^raw[n]} {
				damaged := bytes.Clone(raw)
				damaged[n] = v
				check(t, &d, damaged)
			}
		}
		if !check(t, &d, append(raw, "something behind the end"...)) {
			t.Errorf("%v: refused", f)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, w := range files()[:40] {
		w.h, w.w = min(w.h, 20), min(w.w, 20)
		f.Add(w.bytes())
	}
	for _, raw := range progressiveFiles(f) {
		f.Add(raw)
	}
	var d Decoder
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := d.ReadHeader(bytes.NewReader(raw))
		if err != nil || h.H*h.W > 1<<16 { // larger ones take time
			return
		}
		check(t, &d, raw)
		for scale := 2; scale <= 8; scale *= 2 {
			h, err := d.ReadHeader(bytes.NewReader(raw))
			if err == nil {
				_, _ = d.Read(all(h, scale))
			}
		}
	})
}
