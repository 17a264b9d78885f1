package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// packings writes the folder photos, with class folders, as archives, and returns their paths.
func packings(t *testing.T, photos string) []string {
	t.Helper()
	dir := t.TempDir()
	plain := tarOf(t, photos, "set")
	var paths []string
	for name, content := range map[string][]byte{
		"set.zip": zipOf(t, photos, "set"), "set.tar": plain,
		"set.tgz": compressed(t, plain, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }),
	} {
		paths = append(paths, filepath.Join(dir, name))
		writeFile(t, filepath.Join(dir, name), content)
	}
	age(t, dir)
	slices.Sort(paths)
	return paths
}

func openT(t *testing.T, path string, opt Options) *Dataset {
	t.Helper()
	d, err := Open(context.Background(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The second start with an archive decodes nothing, nor does its fingerprint; a changed archive is read anew.
func TestSecondStartWithAnArchive(t *testing.T) {
	photos := filepath.Join(t.TempDir(), "photos")
	writeClass(t, filepath.Join(photos, "a"), 6, 10)
	writeClass(t, filepath.Join(photos, "b"), 6, 110)
	for _, path := range packings(t, photos) {
		opt := Options{Index: filepath.Join(t.TempDir(), "index"), CacheDir: t.TempDir(), NoTest: true}
		first := openT(t, path, opt)
		print, err := first.Fingerprint(t.Context(), false)
		if err != nil || len(print.Train.Files) != 12 || print.Train.Files[0].Size == 0 {
			t.Fatalf("%s: %+v, %v", path, print, err)
		}
		second := openT(t, path, opt)
		again, err := second.Fingerprint(t.Context(), false)
		if err != nil || again.Hash() != print.Hash() {
			t.Errorf("%s: another fingerprint: %s, %v", path, again.Difference(print), err)
		}
		set, isLazy := second.Train.(*folderSet)
		if !isLazy {
			t.Fatalf("%s: the second start decoded everything", path)
		}
		for i := range set.states {
			if set.states[i].Load() != notRead {
				t.Errorf("%s: image %d was decoded", path, i)
			}
		}
		if !bytes.Equal(pixelsOf(t, second.Train), pixelsOf(t, first.Train)) {
			t.Errorf("%s: other pixels", path)
		}

		later := time.Now().Add(-30 * time.Minute)
		if err := os.Chtimes(path, later, later); err != nil {
			t.Fatal(err)
		}
		if _, isLazy := openT(t, path, opt).Train.(*folderSet); isLazy {
			t.Errorf("%s: the index of a changed archive was believed", path)
		}
	}
}

func TestSecondStartWithParquet(t *testing.T) {
	dir := writeFiles(t, parquetFiles(t))
	test := filepath.Join(dir, "data", "test-00000-of-00001.parquet")
	age(t, dir)
	opt := Options{Index: filepath.Join(t.TempDir(), "index"), CacheDir: t.TempDir()}
	first := openT(t, dir, opt)
	second := openT(t, dir, opt)
	for _, sets := range [][2]Set{{first.Train, second.Train}, {first.Test, second.Test}} {
		if set, isLazy := sets[1].(*folderSet); !isLazy || set.states[0].Load() != notRead {
			t.Errorf("%T was decoded", sets[1])
		}
		if !bytes.Equal(pixelsOf(t, sets[0]), pixelsOf(t, sets[1])) {
			t.Error("other pixels")
		}
	}
	// One of the files changes: its pictures are read anew, those of the other are not.
	later := time.Now().Add(-30 * time.Minute)
	if err := os.Chtimes(test, later, later); err != nil {
		t.Fatal(err)
	}
	third := openT(t, dir, opt)
	if _, isLazy := third.Test.(*folderSet); isLazy {
		t.Error("the pictures of a changed file were not read anew")
	}
	if _, isLazy := third.Train.(*folderSet); !isLazy {
		t.Error("the pictures of the other file were read anew")
	}
}

// A run that an earlier version began with an archive has the pixels of pictures decoded in full.
func TestFingerprintOfEarlierVersions(t *testing.T) {
	photos := filepath.Join(t.TempDir(), "photos")
	prepare := Preparation{H: 8, W: 8, C: 3}
	var pictures []image.Image
	var labels []int
	for label, class := range []string{"a", "b"} {
		for i := range 3 {
			var b bytes.Buffer
			if err := jpeg.Encode(&b, noise(80+label, 100+i), nil); err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(photos, class, fmt.Sprintf("%d.jpg", i)), b.Bytes())
			im, err := jpeg.Decode(&b)
			if err != nil {
				t.Fatal(err)
			}
			pictures, labels = append(pictures, im), append(labels, label)
		}
	}
	inFull, err := FromImages(prepare, pictures, labels, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	before, err := (&Dataset{Train: inFull}).Fingerprint(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range packings(t, photos) {
		d := openT(t, path, Options{CacheDir: t.TempDir(), NoTest: true, ImageSize: [2]int{8, 8}})
		if bytes.Equal(pixelsOf(t, d.Train), pixelsOf(t, inFull)) {
			t.Fatalf("%s: the pixels are those of pictures decoded in full: this test tests nothing", path)
		}
		now, err := d.FingerprintLike(t.Context(), before)
		if err != nil || now.Difference(before) != "" {
			t.Errorf("%s: %s, %v", path, now.Difference(before), err)
		}
	}
}
