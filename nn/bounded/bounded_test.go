package bounded

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func isLimit(err error) bool {
	_, ok := errors.AsType[*LimitError](err)
	return ok
}

func TestReadAllStopsAtTheLimit(t *testing.T) {
	for _, hint := range []int64{-1, 0, 5, 10, 11, 1 << 40} {
		for _, n := range []int64{0, 1, 9, 10} {
			got, err := ReadAll(io.LimitReader(zeros{}, n), "x", 10, hint)
			if err != nil || int64(len(got)) != n {
				t.Errorf("hint %d: %d of %d bytes, %v", hint, len(got), n, err)
			}
		}
		if _, err := ReadAll(io.LimitReader(zeros{}, 11), "x", 10, hint); !isLimit(err) {
			t.Errorf("hint %d: 11 bytes: %v", hint, err)
		}
		if _, err := ReadAll(zeros{}, "x", 3<<20, hint); !isLimit(err) {
			t.Errorf("hint %d: endless: %v", hint, err)
		}
	}
}

func TestReadAllBelievesNoHint(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := ReadAll(strings.NewReader("short"), "x", 1<<40, 1<<50); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
		t.Errorf("%d bytes were allocated for 5", took)
	}
}

func TestOpenTakesRegularFilesOnly(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "file")
	if err := os.WriteFile(name, []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	for limit, ok := range map[int64]bool{9: false, 10: true, 11: true} {
		if got, err := ReadFile(t.Context(), name, limit); (err == nil) != ok || ok && len(got) != 10 {
			t.Errorf("limit %d: %d bytes, %v", limit, len(got), err)
		}
	}
	for _, path := range append([]string{folder}, specialFiles(t)...) {
		if _, err := Open(path); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Open(filepath.Join(folder, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestAStopEndsReading(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	r := Context(ctx, zeros{})
	if _, err := io.CopyN(io.Discard, r, 1<<21); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// archive writes headers with contents of the letter x; compressed if asked for.
func archive(t *testing.T, zip bool, headers ...*tar.Header) *os.File {
	t.Helper()
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for _, h := range headers {
		h.Mode = 0o644
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if zip {
		return file(t, gzipped(content.Bytes()))
	}
	return file(t, content.Bytes())
}

func gzipped(raw []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	w.Write(raw)
	w.Close()
	return out.Bytes()
}

func file(t *testing.T, raw []byte) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(name, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestTarGivesRegularFiles(t *testing.T) {
	for _, zip := range []bool{false, true} {
		f := archive(t, zip,
			&tar.Header{Name: "d/", Typeflag: tar.TypeDir}, &tar.Header{Name: "./d/a", Size: 700},
			&tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, &tar.Header{Name: "b", Size: 0})
		var got []string
		_, err := Tar(t.Context(), f, func(e *Entry) error {
			content, err := e.ReadAll()
			if int64(len(content)) != e.Size {
				t.Errorf("%s: %d bytes of %d", e.Name, len(content), e.Size)
			}
			got = append(got, e.Name)
			return err
		})
		if err != nil || strings.Join(got, " ") != "d/a b" {
			t.Errorf("gzip %v: %q, %v", zip, got, err)
		}
	}
}

func TestTarRefuses(t *testing.T) {
	for _, name := range []string{"../x", "/x", "a/../../x", `..\x`} {
		if _, err := Tar(t.Context(), archive(t, false, &tar.Header{Name: name}), func(*Entry) error { return nil }); !errors.Is(err, ErrEntry) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bomb := file(t, gzipped(make([]byte, 60<<20))) // 100 KB
	if _, err := Tar(t.Context(), bomb, func(*Entry) error { return nil }); err != nil && !isLimit(err) {
		t.Errorf("zeros, which are an empty archive: %v", err)
	}
	big := archive(t, true, &tar.Header{Name: "big", Size: 60 << 20})
	if _, err := Tar(t.Context(), big, func(*Entry) error { return nil }); !isLimit(err) {
		t.Errorf("bomb: %v", err)
	}
}

// sparse is an archive of GNU tar, in its PAX 1.0 form, of a file of 8 GiB without data.
func TestTarRefusesSparseFiles(t *testing.T) {
	f := file(t, gzipped(sparseTar()))
	if _, err := Tar(t.Context(), f, func(e *Entry) error { t.Errorf("got %s of %d bytes", e.Name, e.Size); return nil }); !errors.Is(err, ErrEntry) {
		t.Errorf("got %v", err)
	}
}

// sparseTar makes the archive by hand, because the standard library doesn't write sparse files.
func sparseTar() []byte {
	record := func(key, value string) string {
		for n := len(key) + len(value) + 3; ; n++ {
			if s := strings.Join([]string{strconv.Itoa(n), " ", key, "=", value, "\n"}, ""); len(s) == n {
				return s
			}
		}
	}
	sparseMap := "1\n8589934592\n0\n"
	sparseMap += strings.Repeat("\x00", 512-len(sparseMap))
	pax := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", "big") + record("GNU.sparse.realsize", "8589934592")
	return append(append(block("PaxHeaders/big", 'x', pax), block("GNUSparseFile/big", '0', sparseMap)...), make([]byte, 1024)...)
}

// block returns a header of the ustar format and the content, padded.
func block(name string, kind byte, content string) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], octal(len(content)))
	copy(h[136:], octal(0))
	copy(h[148:], "        ")
	h[156] = kind
	copy(h[257:], "ustar\x0000")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], octal(sum)[5:])
	padded := make([]byte, (len(content)+511)/512*512)
	copy(padded, content)
	return append(h, padded...)
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{"a": true, "./a/b": true, "..a": true, "a/..b/c": true, "": true,
		"..": false, "../a": false, "a/../..": false, "/": false, "a\x00": false, `a\..\..\b`: false} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzTar(f *testing.F) {
	f.Add(sparseTar(), true)
	f.Add(sparseTar()[:600], false)
	f.Add(block("a", '0', "content"), true)
	path := filepath.Join(f.TempDir(), "archive")
	f.Fuzz(func(t *testing.T, raw []byte, zip bool) {
		if len(raw) > 1<<16 {
			return
		}
		if zip {
			raw = gzipped(raw)
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		total := int64(0)
		_, _ = Tar(context.Background(), file, func(e *Entry) error {
			content, err := e.ReadAll()
			if total += int64(len(content)); total > Budget(int64(len(raw))) {
				t.Fatalf("%d bytes from %d", total, len(raw))
			}
			return err
		})
	})
}

func octal(n int) string { return fmt.Sprintf("%011o\x00", n) }
