package data

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// parquetFiles returns the files of testdata/parquet, which pyarrow wrote like the Hugging Face hub: 10, 5 and 6 pictures
// of 6x4, red i, red 10+i and red 100+i, label i%3, in row groups of 7; snappy and zstd.
func parquetFiles(t testing.TB) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{"train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"} {
		raw, err := os.ReadFile("testdata/parquet/" + name + ".parquet")
		if err != nil {
			t.Fatal(err)
		}
		files["data/"+name+".parquet"] = raw
	}
	return files
}

func TestParquet(t *testing.T) {
	dir := writeFiles(t, parquetFiles(t))
	opt := Options{CacheDir: t.TempDir()}
	for range 2 { // the second time, from the cache
		set := openFolderT(t, dir, opt)
		if h, w, c := set.Train.ImageShape(); h != 4 || w != 6 || c != 3 || !slices.Equal(set.Train.Classes(), []string{"cat", "dog", "emu"}) {
			t.Errorf("%dx%dx%d, classes %v", h, w, c, set.Train.Classes())
		}
		got := reds(t, set.Train)
		for label, want := range map[int32][]byte{0: {0, 3, 6, 9, 10, 13}, 1: {1, 4, 7, 11, 14}, 2: {2, 5, 8, 12}} {
			if !bytes.Equal(got[label], want) {
				t.Errorf("training pictures of class %d: %v, want %v", label, got[label], want)
			}
		}
		if got := reds(t, set.Test); !bytes.Equal(got[2], []byte{102, 105}) {
			t.Errorf("test pictures %v", got)
		}
	}
	one := openFolderT(t, filepath.Join(dir, "data", "train-00000-of-00002.parquet"), opt)
	if one.Train.Len() != 7 || one.Test.Len() != 3 {
		t.Errorf("one file: %d and %d pictures", one.Train.Len(), one.Test.Len())
	}
	ordered := openFolderT(t, dir, Options{CacheDir: opt.CacheDir, Classes: []string{"emu", "dog", "cat"}})
	if got := reds(t, ordered.Test)[0]; !bytes.Equal(got, []byte{102, 105}) {
		t.Errorf("classes in another order: %v", got)
	}
}

// Labels may be texts, missing, or in another column.
func TestParquetColumns(t *testing.T) {
	type row struct {
		Image struct {
			Bytes []byte `parquet:"bytes"`
			Path  string `parquet:"path"`
		} `parquet:"image"`
		Label *string `parquet:"label"`
		Other int32   `parquet:"other"`
	}
	var picture bytes.Buffer
	writeTo := t.TempDir()
	writeImage(t, filepath.Join(writeTo, "a.png"), photo(1))
	raw, err := os.ReadFile(filepath.Join(writeTo, "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]row, 12)
	for i := range rows {
		rows[i].Image.Bytes = raw
		if i != 5 {
			rows[i].Label = new([]string{"b", "a"}[i%2])
		}
		rows[i].Other = int32(i % 3)
	}
	w := parquet.NewGenericWriter[row](&picture)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := writeFiles(t, map[string][]byte{"set.parquet": picture.Bytes()})
	opt := Options{CacheDir: t.TempDir()}
	set := openFolderT(t, dir, opt)
	if !slices.Equal(set.Train.Classes(), []string{"a", "b"}) || set.Train.Len()+set.Test.Len() != 11 || len(set.Skipped) != 1 || !strings.Contains(set.Skipped[0], "row 5") {
		t.Errorf("classes %v, %d + %d pictures, skipped %q", set.Train.Classes(), set.Train.Len(), set.Test.Len(), set.Skipped)
	}
	opt.Labels = "other"
	if set := openFolderT(t, dir, opt); !slices.Equal(set.Train.Classes(), []string{"0", "1", "2"}) {
		t.Errorf("classes %v", set.Train.Classes())
	}
	opt.Labels = "none"
	_, err = Open(context.Background(), dir, opt)
	wantFormatError(t, err, filepath.Join(dir, "set.parquet"), -1, "data.labels", "image.bytes")
}

// Headers that ask for more memory than there is to read are refused before the library sees them.
func TestParquetHeaders(t *testing.T) {
	list := []byte{0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0} // field 2, a list of 2^31-1 structures
	text := []byte{0x18, 0xff, 0xff, 0xff, 0xff, 0x07, 0}       // field 1, a text of 2^31-1 bytes
	deep := append(bytes.Repeat([]byte{0x1c}, 100), bytes.Repeat([]byte{0}, 100)...)
	many := append(append([]byte{0x19, 0xf3}, binary.AppendUvarint(nil, 1<<20)...), make([]byte, 1<<20+1)...) // a million bytes, each an element
	for name, metadata := range map[string][]byte{"list": list, "text": text, "deep": deep, "many": many, "cut": {0x15}} {
		raw := append([]byte(parquetMagic), metadata...)
		raw = binary.LittleEndian.AppendUint32(raw, uint32(len(metadata)))
		raw = append(raw, parquetMagic...)
		err := checkParquetFooter(name, bytes.NewReader(raw), int64(len(raw)))
		if _, ok := err.(*FormatError); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParquet(f *testing.F) {
	for _, raw := range parquetFiles(f) {
		f.Add(raw)
	}
	dir, cache := f.TempDir(), f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(dir, "train.parquet")
		writeFile(t, path, raw)
		table, err := openParquetFile(context.Background(), path, Options{CacheDir: cache})
		if err == nil {
			_, err = table.unpack(context.Background(), Options{CacheDir: cache})
			table.file.Close()
		}
		onlyFormatErrors(t, err)
	})
}
