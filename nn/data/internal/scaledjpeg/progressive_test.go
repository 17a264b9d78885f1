package scaledjpeg

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// progressiveFiles returns the files of testdata, by name: progressive files that libjpeg-turbo wrote (testdata/make.py).
func progressiveFiles(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	names, err := filepath.Glob("testdata/*.jpg")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		if all[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// At full scale, the samples are those of image/jpeg; no file of libjpeg-turbo is refused.
func TestProgressiveFiles(t *testing.T) {
	var d Decoder
	for name, raw := range progressiveFiles(t) {
		if !check(t, &d, raw) {
			t.Errorf("%s: refused", name)
		}
	}
}

// At each scale, the samples are those of the definition of the transform.
func TestProgressiveScales(t *testing.T) {
	var d Decoder
	for name, raw := range progressiveFiles(t) {
		for _, scale := range []int{2, 4, 8} {
			h, got, err := decode(&d, raw, func(h *Header) []Wanted { return all(h, scale) })
			if err != nil {
				t.Fatal(name, err)
			}
			took := int64(0)
			for k := range got {
				took += int64(2*len(d.progress[k].coef) + len(got[k].Pix))
			}
			if said := h.Memory(all(h, scale)); said != took {
				t.Errorf("%s, scale %d: %d bytes, %d foreseen", name, scale, took, said)
			}
			for k := range got {
				height, width := h.Size(k)
				across, _ := h.blocks(k)
				for y := range ceilDiv(height, scale) {
					for x := range ceilDiv(width, scale) {
						points := 8 / scale
						var coef [64]int32
						for i, v := range d.progress[k].coef[64*(y/points*across+x/points):][:64] {
							coef[natural[i]] = int32(v) * d.quant[d.components[k].quant][i]
						}
						want := min(max(inverse(&coef, points)[y%points*points+x%points]+128, 0), 255)
						if v := float64(got[k].Pix[y*got[k].Stride+x]); math.Abs(v-want) > 0.75 { // see TestTransforms
							t.Fatalf("%s, scale %d, component %d, (%d, %d): %v, want %v", name, scale, k, y, x, v, want)
						}
					}
				}
			}
		}
	}
}

// TestDamagedProgressiveFiles changes and removes bytes: what is accepted, image/jpeg accepts too, with the same samples.
func TestDamagedProgressiveFiles(t *testing.T) {
	var d Decoder
	for name, raw := range progressiveFiles(t) {
		for n := range raw {
			if testing.Short() && n%16 > 0 || n%3 > 0 {
				continue
			}
			if _, _, err := decode(&d, raw[:n], func(h *Header) []Wanted { return all(h, 8) }); err == nil {
				t.Fatalf("%s: accepted %d of %d bytes", name, n, len(raw))
			}
			check(t, &d, append(bytes.Clone(raw[:n]), raw[n+1:]...))
			for _, v := range []byte{0, 0xff, raw[n] + 1, raw[n] ^ 0x10, ^raw[n]} {
				damaged := bytes.Clone(raw)
				damaged[n] = v
				check(t, &d, damaged)
			}
		}
	}
}
