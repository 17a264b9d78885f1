package data

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// members packs members with the given names, each a picture, into a zip and a tar archive.
func members(t *testing.T, names ...string) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	writeImage(t, filepath.Join(dir, "a.png"), photo(1))
	picture, err := os.ReadFile(filepath.Join(dir, "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	var zipped, tarred bytes.Buffer
	z, w := zip.NewWriter(&zipped), tar.NewWriter(&tarred)
	for _, name := range names {
		member, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = member.Write(picture)
		}
		if err == nil {
			err = w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(picture))})
		}
		if err == nil {
			_, err = w.Write(picture)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"set.zip": zipped.Bytes(), "set.tar": tarred.Bytes()}
}

func TestArchivesThatLeaveTheirFolder(t *testing.T) {
	for _, name := range []string{"../x.png", "a/../../x.png", "/etc/x.png", `C:/x.png`, "a/" + strings.Repeat("b/", 40) + "x.png"} {
		for file, raw := range members(t, "a/1.png", "a/2.png", "b/1.png", "b/2.png", name) {
			dir := writeFiles(t, map[string][]byte{file: raw})
			_, err := Open(context.Background(), filepath.Join(dir, file), Options{})
			wantFormatError(t, err, filepath.Join(dir, file), -1, "names of")
		}
	}
}

// Links, in archives, are left out, and what computers leave behind too.
func TestArchiveMembersThatAreNoPictures(t *testing.T) {
	for file, raw := range members(t, "a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "__MACOSX/a/._1.png", ".DS_Store", "b/sub folder/3.png") {
		set := openFolderT(t, filepath.Join(writeFiles(t, map[string][]byte{file: raw}), file), Options{})
		if set.Train.Len() != 4 || set.Test.Len() != 2 || len(set.Train.Classes()) != 2 {
			t.Errorf("%s: %d and %d pictures of %v", file, set.Train.Len(), set.Test.Len(), set.Train.Classes())
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Name: "a/link.png", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, {Name: "a/hard.png", Typeflag: tar.TypeLink, Linkname: "../x"},
		{Name: "b/pipe.png", Typeflag: tar.TypeFifo},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	a, err := indexTar("set.tar", bytes.NewReader(b.Bytes()))
	if err != nil || len(a.index) != 0 {
		t.Errorf("%d members, %v", len(a.index), err)
	}
}

// A name with a line break is quoted in messages; as the name of a class it is kept.
func TestNamesWithLineBreaks(t *testing.T) {
	for file, raw := range members(t, "a\nb/1.png", "a\nb/2.png", "c/1.png", "c/2.png") {
		path := filepath.Join(writeFiles(t, map[string][]byte{file: raw}), file)
		if got := openFolderT(t, path, Options{}).Train.Classes(); !slices.Equal(got, []string{"a\nb", "c"}) {
			t.Errorf("classes %q", got)
		}
	}
	dir := t.TempDir()
	writeClass(t, filepath.Join(dir, "a"), 5, 0)
	writeClass(t, filepath.Join(dir, "b"), 5, 0)
	writeFile(t, filepath.Join(dir, "a", "x\ny.png"), []byte("no picture"))
	set := openFolderT(t, dir, Options{})
	if len(set.Skipped) != 1 || strings.Contains(set.Skipped[0], "\n") {
		t.Errorf("skipped %q", set.Skipped)
	}
}

func TestArchivesThatAreRefused(t *testing.T) {
	whole := members(t, "a/1.png", "a/2.png", "b/1.png", "b/2.png")
	for name, c := range map[string]struct {
		file string
		raw  []byte
		says string
	}{
		"a cut zip":     {"set.zip", whole["set.zip"][:len(whole["set.zip"])-30], "zip"},
		"a cut tar":     {"set.tar", whole["set.tar"][:700], "end of file"},
		"cut gzip":      {"set.tgz", gzipped(whole["set.tar"])[:100], "end of file"},
		"xz":            {"set.txz", []byte(xzMagic + "xxxxxx"), "unpack it first"},
		"zeros in gzip": {"set.tgz", gzipped(make([]byte, 2048)), "subfolder"},
	} {
		dir := writeFiles(t, map[string][]byte{c.file: c.raw})
		_, err := Open(context.Background(), filepath.Join(dir, c.file), Options{CacheDir: filepath.Join(dir, "cache")})
		var format *FormatError
		if !errors.As(err, &format) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "cache", "unpacked", "*.part")); len(left) > 0 {
			t.Errorf("%s: left %v behind", name, left)
		}
	}
}

// An archive that changed is unpacked again, and the older copy goes.
func TestUnpackedCopiesAreReplaced(t *testing.T) {
	dir, opt := t.TempDir(), Options{CacheDir: t.TempDir()}
	path := filepath.Join(dir, "set.tgz")
	for n, names := range [][]string{{"a/1.png", "a/2.png", "b/1.png", "b/2.png"}, {"a/1.png", "a/2.png", "b/1.png", "b/2.png", "b/3.png"}} {
		writeFile(t, path, gzipped(members(t, names...)["set.tar"]))
		set := openFolderT(t, path, opt)
		if got := set.Train.Len() + set.Test.Len(); got != 4+n {
			t.Errorf("%d pictures, want %d", got, 4+n)
		}
	}
	if copies, _ := filepath.Glob(filepath.Join(opt.CacheDir, "unpacked", "*")); len(copies) != 1 {
		t.Errorf("copies: %v", copies)
	}
}

func FuzzArchives(f *testing.F) {
	f.Add([]byte(zipMagic))
	f.Add(make([]byte, 1024))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, index := range []func() (*archive, error){
			func() (*archive, error) { return indexZip("a", bytes.NewReader(raw), int64(len(raw))) },
			func() (*archive, error) { return indexTar("a", bytes.NewReader(raw)) },
		} {
			a, err := index()
			onlyFormatErrors(t, err)
			if err != nil {
				continue
			}
			for name := range a.index {
				if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "..") {
					t.Fatalf("a name out of the archive: %q", name)
				}
				firstBytes(a, name)
			}
		}
	})
}
