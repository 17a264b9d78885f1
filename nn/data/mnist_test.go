package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEmbeddedMNIST(t *testing.T) {
	split, err := Open(context.Background(), "mnist", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if split.Source != "embedded" || split.Name != "mnist" {
		t.Errorf("name %q, source %q", split.Name, split.Source)
	}
	for _, c := range []struct {
		set    Set
		n      int
		labels []int32
	}{{split.Train, 60000, []int32{5, 0, 4, 1, 9}}, {split.Test, 10000, []int32{7, 2, 1, 0, 4}}} {
		h, w, ch := c.set.ImageShape()
		if c.set.Len() != c.n || h != 28 || w != 28 || ch != 1 || len(c.set.Classes()) != 10 {
			t.Fatalf("%d images of %dx%dx%d", c.set.Len(), h, w, ch)
		}
		if got := c.set.(*InMemory).Labels[:5]; !slices.Equal(got, c.labels) {
			t.Errorf("labels %v, want %v", got, c.labels)
		}
	}
	// The usual constants for MNIST.
	mean, std, err := MeanStd(split.Train)
	if err != nil || mean[0] < 0.13065 || mean[0] > 0.13067 || std[0] < 0.30810 || std[0] > 0.30811 {
		t.Errorf("mean %v, std %v, %v; want 0.1306604, 0.3081078", mean, std, err)
	}
}

func TestEmbeddedFilesAreTheOfficialOnes(t *testing.T) {
	readme, err := os.ReadFile("mnist/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range idxNames {
		raw, err := mnistFiles.ReadFile("mnist/" + name + ".gz")
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(raw)
		if !strings.Contains(string(readme), "`"+name+".gz`") || !strings.Contains(string(readme), hex.EncodeToString(sum[:])) {
			t.Errorf("README.md has not %s, sha256 %x", name, sum)
		}
	}
}

// writeIDXSet writes a tiny set of four files: three and two images of 2x2.
func writeIDXSet(t *testing.T, dir string, zip bool) {
	t.Helper()
	for i, raw := range tinyIDX() {
		name := idxNames[i]
		if zip {
			name, raw = name+".gz", gzipped(raw)
		}
		writeFile(t, filepath.Join(dir, name), raw)
	}
}

func tinyIDX() [4][]byte {
	return [4][]byte{
		idxFile([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 3, 2, 2), idxFile([]byte{0, 9, 5}, 3),
		idxFile([]byte{21, 22, 23, 24, 25, 26, 27, 28}, 2, 2, 2), idxFile([]byte{3, 4}, 2),
	}
}

func writeFile(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func checkTiny(t *testing.T, split *Dataset) {
	t.Helper()
	train, test := split.Train.(*InMemory), split.Test.(*InMemory)
	if !slices.Equal(train.Labels, []int32{0, 9, 5}) || !slices.Equal(test.Labels, []int32{3, 4}) {
		t.Errorf("labels %v, %v", train.Labels, test.Labels)
	}
	pixels := make([]byte, 4)
	label, err := test.Read(1, pixels)
	if err != nil || label != 4 || !slices.Equal(pixels, []byte{25, 26, 27, 28}) {
		t.Errorf("test image 1: %v, label %d, %v", pixels, label, err)
	}
}

func TestIDXFromFolder(t *testing.T) {
	for _, zip := range []bool{false, true} {
		for _, name := range []string{"mnist", "fashion-mnist"} {
			for _, sub := range []string{"", name} {
				dir := t.TempDir()
				writeIDXSet(t, filepath.Join(dir, sub), zip)
				split, err := Open(context.Background(), name, Options{Dir: dir})
				if err != nil {
					t.Fatal(err)
				}
				checkTiny(t, split)
				if split.Source != filepath.Join(dir, sub) {
					t.Errorf("source %q", split.Source)
				}
			}
		}
	}
}

// Some programs unpack the files with a dot before "idx".
func TestIDXNamesWithADot(t *testing.T) {
	dir := t.TempDir()
	for i, raw := range tinyIDX() {
		writeFile(t, filepath.Join(dir, strings.Replace(idxNames[i], "-idx", ".idx", 1)), raw)
	}
	split, err := Open(context.Background(), "mnist", Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	checkTiny(t, split)
}

func TestFashionFromSystemFolder(t *testing.T) {
	dir := t.TempDir()
	writeIDXSet(t, dir, true)
	split, err := open(context.Background(), "fashion-mnist", Options{CacheDir: t.TempDir()}, catalog{systemFashion: dir})
	if err != nil {
		t.Fatal(err)
	}
	checkTiny(t, split)
	if split.Train.Classes()[9] != "Ankle boot" {
		t.Errorf("classes %v", split.Train.Classes())
	}
}

func TestIDXSetRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		file   int
		raw    []byte
		offset int64
		says   string
	}{
		"fewer labels":        {1, idxFile([]byte{0, 1}, 2), 4, "want 3 labels"},
		"no images":           {2, idxFile(nil, 0, 2, 2), 4, "at least one"},
		"no pixels":           {0, idxFile(nil, 3, 0, 2), 4, "at least one"},
		"other size":          {2, idxFile([]byte{1, 2, 3, 4, 5, 6}, 2, 1, 3), 8, "images of 2x2"},
		"labels for images":   {0, idxFile([]byte{0, 1}, 2), -1, "[n, h, w]"},
		"truncated test file": {3, idxFile([]byte{1}, 2), 9, "want 2 elements"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeIDXSet(t, dir, false)
			path := filepath.Join(dir, idxNames[c.file])
			writeFile(t, path, c.raw)
			_, err := Open(context.Background(), "mnist", Options{Dir: dir})
			wantFormatError(t, err, path, c.offset, c.says)
		})
	}
	dir := t.TempDir()
	writeIDXSet(t, dir, false)
	if err := os.Remove(filepath.Join(dir, idxNames[3])); err != nil {
		t.Fatal(err)
	}
	_, err := Open(context.Background(), "mnist", Options{Dir: dir})
	wantFormatError(t, err, filepath.Join(dir, idxNames[2]), -1, "labels for these images")

	other := t.TempDir()
	writeIDXSet(t, other, false)
	path := filepath.Join(other, idxNames[1])
	writeFile(t, path, idxFile([]byte{0, 10, 5}, 3))
	_, err = Open(context.Background(), "fashion-mnist", Options{Dir: other})
	wantFormatError(t, err, path, 9, "a label from 0 to 9", "got 10")
}

func TestNotFound(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, nil)
	for _, c := range []struct{ name, dir string }{
		{"mnits", ""}, {"no/such/folder", ""}, {file, ""}, {"mnist", filepath.Join(t.TempDir(), "gone")}, {"mnist", t.TempDir()},
	} {
		_, err := Open(context.Background(), c.name, Options{Dir: c.dir})
		var missing *NotFoundError
		if !errors.As(err, &missing) {
			t.Errorf("%v: want a *NotFoundError, got %v", c, err)
			continue
		}
		want := []string{c.name, c.dir}
		if !slices.Contains(Names(), c.name) { // for a valid name, only the files are missing
			want = append(want, Names()...)
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not mention %q", err, part)
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, "mnist", Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func BenchmarkOpenMNIST(b *testing.B) {
	for b.Loop() {
		if _, err := Open(context.Background(), "mnist", Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// The kinds say how many training images there are, without opening the data set.
func TestTrainImagesOfKinds(t *testing.T) {
	for _, kind := range SetKinds() {
		if kind.TrainImages == 0 {
			t.Errorf("no number of training images of %s", kind.Name)
		}
	}
	mnist, err := mnistKind().Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := mnist.Train.Len(), mnistKind().TrainImages; got != want {
		t.Errorf("MNIST has %d training images, its kind says %d", got, want)
	}
}
