package figure

import (
	"bytes"
	"image"
	_ "image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withFont returns typefaces whose only other font has some Arabic letters and the Georgian მ. It is a part of DejaVu Sans,
// whose licence allows that: pyftsubset DejaVuSans.ttf --text="قطةكلب მ" --layout-features='*' --no-hinting
func withFont(t *testing.T) *typefaces {
	t.Helper()
	return newTypefaces([]string{filepath.Join(t.TempDir(), "missing"), "testdata"})
}

func TestLegible(t *testing.T) {
	none := newTypefaces([]string{t.TempDir()})
	for text, want := range map[string]bool{
		"": true, "T-shirt/top": true, "Größe, κόσμος, мир": true, "猫": false, "cat 猫": false, "कुत्ता": false, "a\tb": false, "قط": false, "მ": false,
	} {
		if got := none.areLegible(text); got != want {
			t.Errorf("without fonts, %q: %v", text, got)
		}
		want = want || text == "قط" || text == "მ"
		if got := withFont(t).areLegible(text); got != want {
			t.Errorf("with a font, %q: %v", text, got)
		}
	}
}

func TestFontFolders(t *testing.T) {
	env := map[string]string{"HOME": "/home/ann", "XDG_DATA_DIRS": "/a:/b"}
	getenv := func(name string) string { return env[name] }
	want := []string{"/home/ann/.fonts", "/home/ann/.local/share/fonts", "/a/fonts", "/b/fonts"}
	if diff := cmp.Diff(want, fontFolders("linux", getenv)); diff != "" {
		t.Error(diff)
	}
	delete(env, "XDG_DATA_DIRS")
	if got := fontFolders("linux", getenv); !slices.Contains(got, "/usr/share/fonts") {
		t.Errorf("%q", got)
	}
}

func TestPlainFontsComeFirst(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"B-Bold.ttf", "a/Serif-Italic.otf", "z/Plain.TTC", "readme.txt"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("no font"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, path := range fontFiles([]string{dir, "/does/not/exist"}) {
		got = append(got, filepath.Base(path))
	}
	if diff := cmp.Diff([]string{"Plain.TTC", "B-Bold.ttf", "Serif-Italic.otf"}, got); diff != "" {
		t.Error(diff)
	}
	if newTypefaces([]string{dir}).areLegible("猫") { // damaged files are passed over
		t.Error("a text file is a font")
	}
}

// Arabic letters join, and run from right to left; a Latin word beside them keeps its direction.
func TestShaping(t *testing.T) {
	fonts := withFont(t)
	glyphs := func(text string) (ids []uint32, clusters []int) {
		for _, run := range fonts.shape(text, 10) {
			for _, g := range run.Glyphs {
				ids, clusters = append(ids, uint32(g.GlyphID)), append(clusters, g.TextIndex())
			}
		}
		return ids, clusters
	}
	joined, order := glyphs("قطة")
	var apart []uint32
	for _, letter := range []string{"ة", "ط", "ق"} { // as they are seen, from the left
		ids, _ := glyphs(letter)
		apart = append(apart, ids...)
	}
	if len(joined) != 3 || slices.Equal(joined, apart) {
		t.Errorf("the letters don't join: %v and alone %v", joined, apart)
	}
	if !slices.Equal(order, []int{2, 1, 0}) {
		t.Errorf("letters %v from the left, want the last one first", order)
	}
	if _, order := glyphs("ab قط"); !slices.Equal(order, []int{0, 1, 2, 4, 3}) {
		t.Errorf("letters %v from the left", order)
	}
	if a, b := width(fonts.shape("قطة", 10)), width(fonts.shape("قطة", 20)); a <= 0 || b < 1.9*a || b > 2.1*a {
		t.Errorf("%v wide at 10 points, %v at 20", a, b)
	}
}

// A name in another script leaves ink in a PNG, and is a text in an SVG.
func TestNamesInOtherScripts(t *testing.T) {
	for _, name := range []string{"قطة", "მ"} {
		s := newSheet("png", 60, 30)
		s.typefaces = withFont(t)
		s.text(typeface{16, false}, center, ink, point{30, 20}, name)
		var b bytes.Buffer
		if err := s.write(&b); err != nil {
			t.Fatal(err)
		}
		im, _, err := image.Decode(&b)
		if err != nil {
			t.Fatal(err)
		}
		var box image.Rectangle
		for y := range im.Bounds().Dy() {
			for x := range im.Bounds().Dx() {
				if r, _, _, _ := im.At(x, y).RGBA(); r < 0x8000 {
					box = box.Union(image.Rect(x, y, x+1, y+1))
				}
			}
		}
		middle := (box.Min.X + box.Max.X) / 2
		if box.Dx() < 8 || box.Dy() < 8 || middle < 55 || middle > 65 {
			t.Errorf("%s: ink in %v of %v", name, box, im.Bounds())
		}
	}
	s := newSheet("svg", 60, 30)
	s.text(typeface{16, false}, left, ink, point{5, 20}, "قطة")
	var b bytes.Buffer
	if err := s.write(&b); err != nil || !strings.Contains(b.String(), "قطة") {
		t.Errorf("%v, %s", err, b.String())
	}
}
