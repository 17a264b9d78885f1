package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// solid is an h*w image of one colour.
func solid(h, w int, c color.Color) image.Image {
	im := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			im.Set(x, y, c)
		}
	}
	return im
}

func solidGray(h, w int, v byte) image.Image {
	im := image.NewGray(image.Rect(0, 0, w, h))
	for i := range im.Pix {
		im.Pix[i] = v
	}
	return im
}

func writeImage(t *testing.T, path string, im image.Image) {
	t.Helper()
	var b bytes.Buffer
	var err error
	if strings.HasSuffix(path, "png") {
		err = png.Encode(&b, im)
	} else {
		err = jpeg.Encode(&b, im, &jpeg.Options{Quality: 100})
	}
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, b.Bytes())
}

// writeClass writes n images of 4x6; the red of image i is base+i.
func writeClass(t *testing.T, dir string, n int, base byte) {
	t.Helper()
	for i := range n {
		writeImage(t, filepath.Join(dir, fmt.Sprintf("%02d.png", i)), solid(4, 6, color.NRGBA{base + byte(i), 50, 60, 255}))
	}
}

// reds reads the whole set and returns each image's first byte, by label.
func reds(t *testing.T, set Set) map[int32][]byte {
	t.Helper()
	h, w, c := set.ImageShape()
	pixels := make([]byte, h*w*c)
	got := map[int32][]byte{}
	for i := range set.Len() {
		label, err := set.Read(i, pixels)
		if err != nil {
			t.Fatal(err)
		}
		got[label] = append(got[label], pixels[0])
	}
	return got
}

func openFolderT(t *testing.T, dir string, opt Options) *Dataset {
	t.Helper()
	split, err := Open(context.Background(), dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	return split
}

func TestFolderHoldsOutAShareOfEachClass(t *testing.T) {
	dir := t.TempDir()
	writeClass(t, filepath.Join(dir, "dog"), 20, 100)
	writeClass(t, filepath.Join(dir, "cat"), 10, 0)
	writeClass(t, filepath.Join(dir, "rare"), 2, 200)
	writeClass(t, filepath.Join(dir, "single"), 1, 250)
	writeClass(t, filepath.Join(dir, ".hidden"), 1, 0)
	writeFile(t, filepath.Join(dir, "cat", "notes.txt"), []byte("not an image"))
	writeFile(t, filepath.Join(dir, "cat", "._00.png"), []byte("not an image"))
	writeFile(t, filepath.Join(dir, "README"), []byte("not a class"))

	var first map[int32][]byte
	for _, lazy := range []int64{0, 1} {
		opt := Options{TestFraction: 0.25, Seed: 3, MaxMemory: lazy}
		split := openFolderT(t, dir, opt)
		if _, inMemory := split.Train.(*InMemory); inMemory != (lazy == 0) {
			t.Errorf("MaxMemory %d: in memory: %v", lazy, inMemory)
		}
		if got := split.Train.Classes(); !slices.Equal(got, []string{"cat", "dog", "rare", "single"}) {
			t.Fatalf("classes %v", got)
		}
		if h, w, c := split.Test.ImageShape(); h != 4 || w != 6 || c != 3 {
			t.Errorf("images of %dx%dx%d", h, w, c)
		}
		train, test := reds(t, split.Train), reds(t, split.Test)
		for label, want := range [][2]int{{7, 3}, {15, 5}, {1, 1}, {1, 0}} {
			l := int32(label)
			if len(train[l]) != want[0] || len(test[l]) != want[1] {
				t.Errorf("class %d: %d + %d images, want %v", l, len(train[l]), len(test[l]), want)
			}
			all := append(slices.Clone(train[l]), test[l]...)
			slices.Sort(all)
			if len(slices.Compact(all)) != want[0]+want[1] {
				t.Errorf("class %d: train %v and test %v overlap", l, train[l], test[l])
			}
		}
		if lazy == 0 {
			first = test
		} else if fmt.Sprint(first) != fmt.Sprint(test) {
			t.Errorf("two openings hold out %v and %v", first, test)
		}
		opt.Seed = 4
		if other := reds(t, openFolderT(t, dir, opt).Test); fmt.Sprint(other) == fmt.Sprint(test) {
			t.Error("another seed holds out the same images")
		}
	}
}

func TestFolderWithTestFolder(t *testing.T) {
	for _, name := range []string{"test", "val", "valid", "validation"} {
		dir := t.TempDir()
		writeClass(t, filepath.Join(dir, "train", "a"), 3, 0)
		writeClass(t, filepath.Join(dir, "train", "b"), 2, 100)
		writeClass(t, filepath.Join(dir, name, "b"), 4, 200)
		split := openFolderT(t, dir, Options{})
		want := map[int32][]byte{1: {200, 201, 202, 203}}
		if got := reds(t, split.Test); split.Train.Len() != 5 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %d train images, test %v", name, split.Train.Len(), got)
		}
		writeClass(t, filepath.Join(dir, name, "c"), 1, 0)
		_, err := Open(context.Background(), dir, Options{})
		wantFormatError(t, err, filepath.Join(dir, name, "c"), -1)
	}
	dir := t.TempDir()
	writeClass(t, filepath.Join(dir, "train", "a"), 5, 0)
	writeClass(t, filepath.Join(dir, "train", "b"), 5, 0)
	if split := openFolderT(t, dir, Options{}); split.Train.Len() != 8 || split.Test.Len() != 2 {
		t.Errorf("train folder alone: %d + %d images", split.Train.Len(), split.Test.Len())
	}
}

func TestFolderPixels(t *testing.T) {
	dir := t.TempDir()
	red := color.NRGBA{200, 40, 90, 255}
	writeImage(t, filepath.Join(dir, "a", "1.png"), solid(4, 6, red))
	writeImage(t, filepath.Join(dir, "a", "2.jpg"), solid(9, 5, red))
	writeImage(t, filepath.Join(dir, "a", "3.JPEG"), solidGray(4, 6, 77))
	writeImage(t, filepath.Join(dir, "b", "4.png"), solid(4, 6, color.NRGBA{200, 40, 90, 0}))
	for _, opt := range []Options{{}, {ImageSize: [2]int{3, 8}}, {Grayscale: true}, {MaxMemory: 1}} {
		opt.TestFraction, opt.Seed = 0.01, 3 // one image, not the first
		split := openFolderT(t, dir, opt)
		h, w, c := split.Train.ImageShape()
		wantH, wantW, resized := 4, 6, 1
		if opt.ImageSize[0] > 0 {
			wantH, wantW, resized = 3, 8, 4
		}
		if h != wantH || w != wantW || split.Pictures.Resized != resized {
			t.Errorf("%v: %dx%d, %d resized; want %dx%d, %d", opt, h, w, split.Pictures.Resized, wantH, wantW, resized)
		}
		want := [][]byte{{255, 255, 255}, {77, 77, 77}, {200, 40, 90}}
		if opt.Grayscale {
			want = [][]byte{{255}, {77}, {94}} // 0.299*200 + 0.587*40 + 0.114*90 = 93.54
		}
		if c != len(want[0]) {
			t.Fatalf("%v: %d channels", opt, c)
		}
		pixels := make([]byte, h*w*c)
		for _, set := range []Set{split.Train, split.Test} {
			for i := range set.Len() {
				if _, err := set.Read(i, pixels); err != nil {
					t.Fatal(err)
				}
				for at := 0; at < len(pixels); at += c {
					if !slices.ContainsFunc(want, func(p []byte) bool { return near(p, pixels[at:at+c]) }) {
						t.Fatalf("%v: pixel %v, want one of %v", opt, pixels[at:at+c], want)
					}
				}
			}
		}
	}
}

// near allows for JPEG's rounding.
func near(a, b []byte) bool {
	for i := range a {
		if d := int(a[i]) - int(b[i]); d < -3 || d > 3 {
			return false
		}
	}
	return true
}

// Rows and columns must not be swapped, and halving averages two by two pixels in the middle.
func TestFolderOrientationAndResize(t *testing.T) {
	dir := t.TempDir()
	ramp := image.NewGray(image.Rect(0, 0, 8, 4))
	for y := range 4 {
		for x := range 8 {
			ramp.SetGray(x, y, color.Gray{byte(10*x + 40*y)})
		}
	}
	writeImage(t, filepath.Join(dir, "a", "1.png"), ramp)
	writeImage(t, filepath.Join(dir, "b", "1.png"), ramp)
	split := openFolderT(t, dir, Options{})
	h, w, c := split.Train.ImageShape()
	pixels := make([]byte, h*w*c)
	if _, err := split.Train.Read(0, pixels); err != nil || h != 4 || w != 8 || c != 1 || pixels[1*8+3] != 70 || pixels[3*8] != 120 {
		t.Errorf("%dx%dx%d, %v, %v", h, w, c, pixels, err)
	}
	split = openFolderT(t, dir, Options{ImageSize: [2]int{2, 4}})
	pixels = make([]byte, 8)
	if _, err := split.Train.Read(0, pixels); err != nil {
		t.Fatal(err)
	}
	// In the interior columns the triangle filter maps a ramp to a ramp: 10*2.5 = 25 and 45, 20 apart.
	if d := int(pixels[2]) - int(pixels[1]); d != 20 {
		t.Errorf("a ramp of 10 a pixel has steps of %d after halving, want 20: %v", d, pixels)
	}
}

func TestFolderAllGray(t *testing.T) {
	dir := t.TempDir()
	writeImage(t, filepath.Join(dir, "a", "1.png"), solidGray(4, 4, 10))
	writeImage(t, filepath.Join(dir, "a", "2.jpg"), solidGray(4, 4, 10))
	deep := image.NewGray16(image.Rect(0, 0, 4, 4))
	for i := range deep.Pix {
		deep.Pix[i] = 10
	}
	writeImage(t, filepath.Join(dir, "b", "3.png"), deep)
	palette := image.NewPaletted(image.Rect(0, 0, 4, 4), color.Palette{color.Gray{10}, color.Gray{0}})
	writeImage(t, filepath.Join(dir, "b", "4.png"), palette)
	split := openFolderT(t, dir, Options{})
	if _, _, c := split.Train.ImageShape(); c != 1 {
		t.Fatalf("%d channels", c)
	}
	for _, set := range []Set{split.Train, split.Test} {
		for _, pixels := range reds(t, set) {
			for _, p := range pixels {
				if p != 10 {
					t.Errorf("gray %d, want 10", p)
				}
			}
		}
	}
}

func TestFolderSkipsUnreadableImages(t *testing.T) {
	for _, lazy := range []int64{0, 1} {
		dir := t.TempDir()
		writeClass(t, filepath.Join(dir, "a"), 10, 0)
		writeClass(t, filepath.Join(dir, "b"), 10, 100)
		noHeader := filepath.Join(dir, "a", "x.png")
		writeFile(t, noHeader, []byte("not a PNG"))
		split := openFolderT(t, dir, Options{MaxMemory: lazy})
		if split.Train.Len()+split.Test.Len() != 20 || len(split.Skipped) != 1 || !strings.Contains(split.Skipped[0], noHeader) {
			t.Errorf("%d + %d images, skipped %q", split.Train.Len(), split.Test.Len(), split.Skipped)
		}
		// A valid header with invalid pixel data.
		var b bytes.Buffer
		if err := png.Encode(&b, solid(4, 6, color.White)); err != nil {
			t.Fatal(err)
		}
		broken := filepath.Join(dir, "b", "y.png")
		writeFile(t, broken, b.Bytes()[:b.Len()-20])
		split = openFolderT(t, dir, Options{MaxMemory: lazy})
		if split.Train.Len()+split.Test.Len() != 20 || len(split.Skipped) != 2 || !strings.Contains(split.Skipped[1], broken) {
			t.Errorf("MaxMemory %d: %d + %d images, skipped %q", lazy, split.Train.Len(), split.Test.Len(), split.Skipped)
		}
	}
}

func TestFolderRefuses(t *testing.T) {
	empty := t.TempDir()
	_, err := Open(context.Background(), empty, Options{})
	wantFormatError(t, err, empty, -1, "subfolder")

	dir := t.TempDir()
	writeClass(t, filepath.Join(dir, "a"), 4, 0)
	writeFile(t, filepath.Join(dir, "b", "notes.txt"), nil)
	_, err = Open(context.Background(), dir, Options{})
	wantFormatError(t, err, filepath.Join(dir, "b"), -1, "PNG")

	bad := filepath.Join(dir, "b", "1.jpg")
	writeFile(t, bad, []byte("nothing"))
	if _, err = Open(context.Background(), dir, Options{}); err == nil || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("a class without a readable image: %v", err)
	}
	for i := range 5 {
		writeFile(t, filepath.Join(dir, "b", fmt.Sprintf("%d.png", i)), []byte("nothing"))
	}
	writeClass(t, filepath.Join(dir, "b"), 1, 0)
	if _, err = Open(context.Background(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "6 of 11 images") {
		t.Errorf("more than half unreadable: %v", err)
	}
	for _, opt := range []Options{{TestFraction: 1}, {TestFraction: -0.1}, {ImageSize: [2]int{-1, 4}}, {ImageSize: [2]int{1 << 20, 1 << 20}}} {
		good := t.TempDir()
		writeClass(t, filepath.Join(good, "a"), 4, 0)
		writeClass(t, filepath.Join(good, "b"), 4, 0)
		if _, err = Open(context.Background(), good, opt); err == nil {
			t.Errorf("%+v: no error", opt)
		}
	}
}

func TestFolderIsCancelled(t *testing.T) {
	dir := t.TempDir()
	writeClass(t, filepath.Join(dir, "a"), 4, 0)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := openFolder(ctx, dir, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLoaderReadsFolderLazily(t *testing.T) {
	dir := t.TempDir()
	writeClass(t, filepath.Join(dir, "a"), 20, 0)
	writeClass(t, filepath.Join(dir, "b"), 20, 100)
	split := openFolderT(t, dir, Options{MaxMemory: 1})
	l := newTestLoader(t, LoaderConfig{Set: split.Train, Batch: 5, Shuffle: true, Workers: 4})
	l.Start(0, 0)
	seen := 0
	for range l.Steps() {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		for k, label := range b.Labels {
			if red := b.Images[k*4*6*3]; (red >= 100) != (label == 1) {
				t.Errorf("red %d has label %d", red, label)
			}
			seen++
		}
		l.Release(b)
	}
	if seen != 32 {
		t.Errorf("%d images", seen)
	}
}
