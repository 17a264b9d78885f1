package data

import (
	"context"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// gradient is a picture with content.
func gradient(h, w, seed int) image.Image {
	im := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			im.Set(x, y, color.NRGBA{byte(5*x + seed), byte(9 * y), byte(3*seed + x*y), 255})
		}
	}
	return im
}

// examine examines the data set at a path.
func examine(t *testing.T, path string, opt Options) *Examination {
	t.Helper()
	opt.MaxMemory = 1
	d, err := Open(context.Background(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Examine(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// found returns the images of the findings of a kind.
func (e *Examination) found(kind FindingKind) (all []string) {
	for _, f := range e.Findings {
		if f.Kind == kind {
			for _, im := range f.Images {
				all = append(all, im.String())
			}
			if len(f.Images) == 0 {
				all = append(all, f.Text)
			}
		}
	}
	return all
}

func TestExamineFindsEachKind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "photos")
	for part, first := range map[string]int{"train": 0, "test": 100} {
		for k, class := range []string{"cat", "Cat ", "dog"} {
			for i := range 12 {
				writeImage(t, filepath.Join(dir, part, class, string(rune('a'+i))+".png"), gradient(20, 20, first+12*k+i))
			}
		}
	}
	train, test := filepath.Join(dir, "train"), filepath.Join(dir, "test")
	copyTo := func(from, to string) {
		raw, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, to, raw)
	}
	copyTo(filepath.Join(train, "cat", "a.png"), filepath.Join(test, "cat", "leak.png"))
	copyTo(filepath.Join(train, "cat", "b.png"), filepath.Join(train, "dog", "wrong.png"))
	copyTo(filepath.Join(train, "dog", "c.png"), filepath.Join(train, "dog", "again.png"))
	writeImage(t, filepath.Join(train, "dog", "red.png"), solid(20, 20, color.NRGBA{200, 0, 0, 255}))
	writeImage(t, filepath.Join(train, "dog", "wide.png"), gradient(10, 100, 50))
	writeImage(t, filepath.Join(train, "dog", "huge.png"), gradient(100, 100, 51))
	writeFile(t, filepath.Join(train, "dog", "cut.png"), []byte("\x89PNG\r\n\x1a\n"))
	age(t, dir)
	opt := Options{Index: filepath.Join(t.TempDir(), "index"), ImageSize: [2]int{16, 16}}
	for start := range 2 {
		e := examine(t, dir, opt)
		for kind, want := range map[FindingKind][]string{
			LeakedImage:        {"train: train/cat/a.png", "test: test/cat/leak.png"},
			ContradictoryImage: {"train: train/cat/b.png", "train: train/dog/wrong.png"},
			RepeatedImage:      {"train: train/dog/again.png", "train: train/dog/c.png"},
			EmptyImage:         {"train: train/dog/red.png"},
			OddImage:           {"train: train/dog/huge.png", "train: train/dog/wide.png"},
			SimilarNames:       {`the classes "Cat " and "cat" differ only in case, spaces, hyphens or underscores`},
			SmallClass:         nil, Imbalanced: nil, UntestedClass: nil,
		} {
			if got := e.found(kind); !slices.Equal(got, want) {
				t.Errorf("start %d: %s: got %q, want %q", start, kind, got, want)
			}
		}
		if !e.Serious() || len(e.Skipped) != 1 {
			t.Errorf("serious %t, skipped %q", e.Serious(), e.Skipped)
		}
		if f := e.Files; f.Median != [2]int{20, 20} || f.Largest != [2]int{100, 100} || f.Formats["png"] != 78 || f.Colour != 78 {
			t.Errorf("files %+v", f)
		}
		if want := []int{12, 12, 17}; !slices.Equal(e.Parts[0].PerClass, want) {
			t.Errorf("%v training images, want %v", e.Parts[0].PerClass, want)
		}
	}
}

func TestExamineAGoodFolderFindsNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "photos")
	for i := range 30 {
		writeImage(t, filepath.Join(dir, "ab"[i%2:i%2+1], string(rune('A'+i))+".png"), gradient(20, 20, i))
	}
	if e := examine(t, dir, Options{}); len(e.Findings) != 0 || e.Serious() {
		t.Errorf("found %+v", e.Findings)
	}
}

func TestExamineImagesThatAreNoFiles(t *testing.T) {
	train := &InMemory{H: 2, W: 2, C: 1, ClassNames: []string{"a", "b"}}
	for i := range 240 {
		train.Images = append(train.Images, byte(i), byte(100+i), byte(7*i), 0)
		train.Labels = append(train.Labels, int32(i/232))
	}
	test := pick(train, []int{3, 100})
	d := &Dataset{Name: "x", Train: train, Test: hidden{test}}
	e, err := d.Examine(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.found(LeakedImage), []string{"train: image 3", "test: image 0", "train: image 100", "test: image 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := e.found(UntestedClass); len(got) != 1 {
		t.Errorf("untested %q", got)
	}
	if got := e.found(SmallClass); len(got) != 1 {
		t.Errorf("small %q", got)
	}
	if got := e.found(Imbalanced); len(got) != 1 {
		t.Errorf("imbalanced %q", got)
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		pixels []byte
		c      int
		want   float64
	}{
		{[]byte{5, 5, 5, 5}, 1, 0}, {[]byte{0, 2, 0, 2}, 1, 1}, {[]byte{200, 0, 9, 200, 0, 9}, 3, 0}, {[]byte{200, 0, 9, 200, 8, 9}, 3, 4},
	} {
		s := statisticsOf(c.pixels, c.c)
		if got := s.spread(len(c.pixels) / c.c); got != c.want {
			t.Errorf("%v: %v, want %v", c.pixels, got, c.want)
		}
	}
}
