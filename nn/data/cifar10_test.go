package data

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cifarImages returns n records; image i has label (first+i)%10, and red, green and blue of
// pixel p are functions of i and p.
func cifarImages(first, n int) []byte {
	var raw []byte
	for i := first; i < first+n; i++ {
		raw = append(raw, byte(i%10))
		for plane := range 3 {
			for p := range cifarPlane {
				raw = append(raw, byte(i+p+100*plane))
			}
		}
	}
	return raw
}

// tinyCIFAR is the six files with two images each, three in the test file.
func tinyCIFAR() map[string][]byte {
	files := map[string][]byte{}
	for i, name := range cifarNames {
		n := 2
		if i == 5 {
			n = 3
		}
		files[name] = cifarImages(2*i, n)
	}
	return files
}

// tarGz packs the files into a folder of the archive.
func tarGz(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: cifarFolder + "/", Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: cifarFolder + "/" + name, Typeflag: tar.TypeReg, Size: int64(len(content)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return gzipped(b.Bytes())
}

func checkTinyCIFAR(t *testing.T, split *Dataset) {
	t.Helper()
	if split.Train.Len() != 10 || split.Test.Len() != 3 {
		t.Fatalf("%d train, %d test images", split.Train.Len(), split.Test.Len())
	}
	h, w, c := split.Train.ImageShape()
	if h != 32 || w != 32 || c != 3 {
		t.Fatalf("images of %dx%dx%d", h, w, c)
	}
	pixels := make([]byte, cifarPixels)
	for i := range 10 {
		label, err := split.Train.Read(i, pixels)
		if err != nil || label != int32(i%10) {
			t.Fatalf("image %d: label %d, %v", i, label, err)
		}
		for p := range cifarPlane {
			want := []byte{byte(i + p), byte(i + p + 100), byte(i + p + 200)}
			if !bytes.Equal(pixels[3*p:3*p+3], want) {
				t.Fatalf("image %d, pixel %d: %v, want %v", i, p, pixels[3*p:3*p+3], want)
			}
		}
	}
	if got := split.Test.(*InMemory).Labels; !slices.Equal(got, []int32{0, 1, 2}) {
		t.Errorf("test labels %v", got)
	}
}

func TestCIFAR10FromFolderAndArchive(t *testing.T) {
	for _, sub := range []string{"", cifarFolder, "cifar10", "cifar10/" + cifarFolder} {
		dir := t.TempDir()
		for name, raw := range tinyCIFAR() {
			writeFile(t, filepath.Join(dir, sub, name), raw)
		}
		split, err := Open(context.Background(), "cifar10", Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		checkTinyCIFAR(t, split)
		if !slices.Equal(split.Train.Classes(), cifarClasses()) {
			t.Errorf("classes %v", split.Train.Classes())
		}
	}
	files := tinyCIFAR()
	files[cifarMeta] = []byte("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n")
	dir := t.TempDir()
	archive := filepath.Join(dir, cifarArchive)
	writeFile(t, archive, tarGz(t, files))
	for _, at := range []string{dir, archive} {
		split, err := Open(context.Background(), "cifar10", Options{Dir: at})
		if err != nil {
			t.Fatal(err)
		}
		checkTinyCIFAR(t, split)
		if split.Test.Classes()[9] != "j" || split.Source != archive {
			t.Errorf("classes %v, source %s", split.Test.Classes(), split.Source)
		}
	}
}

func TestCIFAR10Refuses(t *testing.T) {
	badLabel := cifarImages(0, 2)
	badLabel[cifarRecord] = 10
	for name, c := range map[string]struct {
		file   string
		raw    []byte
		offset int64
		says   string
	}{
		"truncated":          {"data_batch_2.bin", cifarImages(0, 2)[:2*cifarRecord-1], cifarRecord, "got 3072 bytes"},
		"cut record in test": {"test_batch.bin", cifarImages(0, 2)[:2*cifarRecord-1], cifarRecord, "got 3072 bytes"},
		"fewer images":       {"data_batch_5.bin", cifarImages(0, 1), cifarRecord, "want 2 images"},
		"more images":        {"data_batch_5.bin", cifarImages(0, 3), 2 * cifarRecord, "want 2 images"},
		"label out of range": {"data_batch_3.bin", badLabel, cifarRecord, "got 10"},
		"empty":              {"test_batch.bin", nil, 0, "empty"},
		"class names":        {cifarMeta, []byte("cat\ndog\n"), -1, "want 10 class names"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files := tinyCIFAR()
			files[c.file] = c.raw
			for name, raw := range files {
				writeFile(t, filepath.Join(dir, name), raw)
			}
			_, err := Open(context.Background(), "cifar10", Options{Dir: dir})
			wantFormatError(t, err, filepath.Join(dir, c.file), c.offset, c.says)
		})
	}
	dir := t.TempDir()
	for name, raw := range tinyCIFAR() {
		if name != "data_batch_4.bin" {
			writeFile(t, filepath.Join(dir, name), raw)
		}
	}
	_, err := Open(context.Background(), "cifar10", Options{Dir: dir})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "data_batch_4.bin") {
		t.Errorf("one file missing: %v", err)
	}
}

func TestCIFAR10ArchiveRefuses(t *testing.T) {
	whole := tarGz(t, tinyCIFAR())
	lacking := tinyCIFAR()
	delete(lacking, "test_batch.bin")
	badSum := bytes.Clone(whole)
	badSum[len(badSum)-8] ^= 1
	for name, c := range map[string]struct {
		raw  []byte
		says string
	}{
		"not gzip":  {[]byte("<html>"), "gzip"},
		"not tar":   {gzipped(bytes.Repeat([]byte("x"), 2000)), "tar"},
		"cut off":   {whole[:len(whole)/2], "end of file"},
		"bad sum":   {badSum, "checksum"},
		"file lost": {tarGz(t, lacking), "test_batch.bin"},
		"no files":  {tarGz(t, nil), "the files of cifar10"},
	} {
		path := filepath.Join(t.TempDir(), cifarArchive)
		writeFile(t, path, c.raw)
		_, err := Open(context.Background(), "cifar10", Options{Dir: path})
		var format *FormatError
		if !errors.As(err, &format) || format.File != path || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCIFAR10ArchiveIsBounded(t *testing.T) {
	bomb := tinyCIFAR()
	bomb["data_batch_1.bin"] = make([]byte, 60<<20) // 60 KB in the archive
	escaping := tinyCIFAR()
	escaping["../../x"] = nil
	for name, c := range map[string]struct {
		files map[string][]byte
		says  string
	}{
		"bomb":           {bomb, "at most 48 MiB"},
		"name leads out": {escaping, "leads out"},
	} {
		path := filepath.Join(t.TempDir(), cifarArchive)
		writeFile(t, path, tarGz(t, c.files))
		t.Run(name, func(t *testing.T) {
			_, err := Open(context.Background(), "cifar10", Options{Dir: path})
			wantFormatError(t, err, path, -1, c.says)
		})
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	path := filepath.Join(t.TempDir(), cifarArchive)
	writeFile(t, path, tarGz(t, tinyCIFAR()))
	if _, _, err := readCIFARArchive(stopped, "cifar10", path); !errors.Is(err, context.Canceled) {
		t.Errorf("after a stop: %v", err)
	}
}

func FuzzCIFAR10Archive(f *testing.F) {
	whole := tarGz(f, tinyCIFAR())
	f.Add(whole)
	f.Add(whole[:100])
	f.Add([]byte{0x1f, 0x8b})
	path := filepath.Join(f.TempDir(), cifarArchive)
	f.Fuzz(func(t *testing.T, raw []byte) {
		writeFile(t, path, raw)
		files, form, err := readCIFARArchive(context.Background(), "cifar10", path)
		if err == nil {
			_, err = form.open(context.Background(), path, files, ".", Options{})
		}
		var format *FormatError
		if err != nil && !errors.As(err, &format) {
			t.Fatalf("want a *FormatError, got %v", err)
		}
	})
}

func FuzzParseCIFAR10(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(cifarImages(0, 2))
	f.Add(cifarImages(9, 1)[:3000])
	f.Add(bytes.Repeat([]byte{200}, cifarRecord))
	f.Fuzz(func(t *testing.T, raw []byte) {
		images, labels, err := ParseCIFAR10("f", raw)
		if err != nil {
			var format *FormatError
			if !errors.As(err, &format) || format.Offset > int64(len(raw)) {
				t.Fatalf("want a *FormatError within the file, got %v", err)
			}
			return
		}
		if len(labels)*cifarRecord != len(raw) || len(images) != len(labels)*cifarPixels {
			t.Fatalf("%d labels, %d bytes of pixels from %d bytes", len(labels), len(images), len(raw))
		}
		for i, label := range labels {
			if label < 0 || label > 9 || images[i*cifarPixels+1] != raw[i*cifarRecord+1+cifarPlane] {
				t.Fatalf("image %d is not record %d", i, i)
			}
		}
	})
}

// TestRealCIFAR10 reads the folder or archive named by CIFAR10_DIR, and checks its size and some labels.
func TestRealCIFAR10(t *testing.T) {
	dir := os.Getenv("CIFAR10_DIR")
	if dir == "" {
		t.Skip("CIFAR10_DIR is not set")
	}
	split, err := Open(context.Background(), "cifar10", Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	train, test := split.Train.(*InMemory), split.Test.(*InMemory)
	if train.Len() != 50000 || test.Len() != 10000 {
		t.Errorf("%d train, %d test images", train.Len(), test.Len())
	}
	if !slices.Equal(train.Labels[:5], []int32{6, 9, 9, 4, 1}) || !slices.Equal(test.Labels[:5], []int32{3, 8, 8, 0, 6}) {
		t.Errorf("labels %v, %v", train.Labels[:5], test.Labels[:5])
	}
	mean, std, err := MeanStd(train)
	t.Logf("mean %v, std %v, %v", mean, std, err)
}
