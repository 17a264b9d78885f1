package data

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"image"
	"image/color"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// photo is a small picture that differs for every seed.
func photo(seed int) image.Image {
	im := image.NewRGBA(image.Rect(0, 0, 11, 9))
	for y := range 9 {
		for x := range 11 {
			im.Set(x, y, color.RGBA{byte(37*seed + 20*x), byte(91*seed + 13*y), byte(5 * seed * x), 255})
		}
	}
	return im
}

// example is a picture of the set that all layouts hold: names are in the order of the numbers.
type example struct{ part, class, name string }

func examples() []example {
	var all []example
	for _, part := range []string{"train", "val", "test"} {
		for _, class := range []string{"ant", "bee", "10"} {
			for i := range map[string]int{"train": 6, "val": 2, "test": 3}[part] {
				all = append(all, example{part, class, fmt.Sprintf("%03d.jpg", i)})
			}
		}
	}
	return all
}

// writeExamples writes each picture to the path that at returns.
func writeExamples(t *testing.T, dir string, at func(e example) string) {
	t.Helper()
	for i, e := range examples() {
		writeImage(t, filepath.Join(dir, filepath.FromSlash(at(e))), photo(i))
	}
}

// pack calls add for every file below dir, with its name relative to dir.
func pack(t *testing.T, dir string, add func(name string, content []byte) error) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		return add(filepath.ToSlash(name), raw)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// zipOf packs a folder into a zip archive, below a folder of its own.
func zipOf(t *testing.T, dir, top string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	pack(t, dir, func(name string, content []byte) error {
		member, err := w.Create(path.Join(top, name))
		if err == nil {
			_, err = member.Write(content)
		}
		return err
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tarOf packs a folder into a plain tar archive.
func tarOf(t *testing.T, dir, top string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	pack(t, dir, func(name string, content []byte) error {
		err := w.WriteHeader(&tar.Header{Name: path.Join(top, name), Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))})
		if err == nil {
			_, err = w.Write(content)
		}
		return err
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// compressed runs content through a compressor.
func compressed(t *testing.T, content []byte, open func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// One set of pictures with one split gives the same bits in every layout in which it may be brought.
func TestLayoutsGiveTheSameBits(t *testing.T) {
	folders := t.TempDir()
	writeExamples(t, folders, func(e example) string { return path.Join(e.part, e.class, e.name) })
	opt := Options{CacheDir: t.TempDir()}
	want := openFolderT(t, folders, opt)
	if want.Train.Len() != 18 || want.Val.Len() != 6 || want.Test.Len() != 9 || !slices.Equal(want.Train.Classes(), []string{"10", "ant", "bee"}) {
		t.Fatalf("%d, %d, %d images of %v", want.Train.Len(), want.Val.Len(), want.Test.Len(), want.Train.Classes())
	}
	for name, write := range map[string]func(dir string) string{
		"nested folders, other names": func(dir string) string {
			writeExamples(t, dir, func(e example) string {
				return path.Join(map[string]string{"train": "Training", "val": "valid", "test": "TEST"}[e.part], e.class, "part "+e.name[:2], "x", e.name)
			})
			return dir
		},
		"CSV": func(dir string) string {
			writeExamples(t, dir, func(e example) string { return path.Join("all", e.part+e.class, e.name) })
			var table strings.Builder
			table.WriteString("label,split,filename\n")
			for _, e := range slices.Backward(examples()) {
				fmt.Fprintf(&table, "%s,%s,%s\n", e.class, e.part, path.Join("all", e.part+e.class, e.name))
			}
			writeFile(t, filepath.Join(dir, "labels.csv"), []byte(table.String()))
			return filepath.Join(dir, "labels.csv")
		},
		"CSV per part, without header, in a folder": func(dir string) string {
			writeExamples(t, dir, func(e example) string { return path.Join(e.part, e.class+"-"+e.name) })
			for _, part := range []string{"train", "val", "test"} {
				var table strings.Builder
				for _, e := range examples() {
					if e.part == part {
						fmt.Fprintf(&table, "%s-%s;%s\n", e.class, e.name, e.class)
					}
				}
				writeFile(t, filepath.Join(dir, part+".csv"), []byte(table.String()))
			}
			return dir
		},
		"zip": func(dir string) string {
			writeFile(t, filepath.Join(dir, "set.zip"), zipOf(t, folders, "set"))
			return filepath.Join(dir, "set.zip")
		},
		"tar": func(dir string) string {
			writeFile(t, filepath.Join(dir, "set.tar"), tarOf(t, folders, ""))
			return filepath.Join(dir, "set.tar")
		},
		"tar.gz": func(dir string) string {
			gz := compressed(t, tarOf(t, folders, "set"), func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil })
			writeFile(t, filepath.Join(dir, "set.tgz"), gz)
			return filepath.Join(dir, "set.tgz")
		},
		"tar.zst": func(dir string) string {
			zst := compressed(t, tarOf(t, folders, "set"), func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })
			writeFile(t, filepath.Join(dir, "set"), zst)
			return filepath.Join(dir, "set")
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := write(t.TempDir())
			for range 2 { // a compressed archive comes from the cache the second time
				got, err := Open(context.Background(), at, opt)
				if err != nil {
					t.Fatal(err)
				}
				sameBits(t, "train", got.Train, want.Train)
				sameBits(t, "val", got.Val, want.Val)
				sameBits(t, "test", got.Test, want.Test)
			}
		})
	}
}

// sameBits compares two sets that are in memory.
func sameBits(t *testing.T, part string, got, want Set) {
	t.Helper()
	g, ok := got.(*InMemory)
	w := want.(*InMemory)
	if !ok {
		t.Fatalf("%s: a %T", part, got)
	}
	if g.H != w.H || g.W != w.W || g.C != w.C || !slices.Equal(g.ClassNames, w.ClassNames) || !slices.Equal(g.Labels, w.Labels) || !bytes.Equal(g.Images, w.Images) {
		t.Errorf("%s: %d images of %dx%dx%d, classes %v, labels %v; want %d of %dx%dx%d, %v, %v, or the pixels differ", part,
			g.Len(), g.H, g.W, g.C, g.ClassNames, g.Labels, w.Len(), w.H, w.W, w.C, w.ClassNames, w.Labels)
	}
}
