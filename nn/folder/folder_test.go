package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// opened returns an empty folder.
func opened(t *testing.T) *Folder {
	t.Helper()
	f, err := Make(filepath.Join(t.TempDir(), "folder"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func names(t *testing.T, f *Folder) []string {
	t.Helper()
	entries, err := os.ReadDir(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestReplace(t *testing.T) {
	f := opened(t)
	for _, text := range []string{"first", "second, longer"} {
		if err := f.Write("a", []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := f.Read("a", 100)
		if err != nil || string(got) != text {
			t.Fatalf("the file has %q, %v, want %q", got, err, text)
		}
	}
	if got := names(t, f); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the folder has %v", got)
	}
	if _, err := f.Read("a", 3); err == nil {
		t.Error("a file beyond the limit was read")
	}
}

// TestFullDisk fails half-way through: the old file must stay, and nothing else.
func TestFullDisk(t *testing.T) {
	f := opened(t)
	if err := f.Write("a", []byte("old")); err != nil {
		t.Fatal(err)
	}
	err := f.Replace("a", func(file *os.File) error {
		if _, err := file.WriteString("ne"); err != nil {
			return err
		}
		return &os.PathError{Op: "write", Path: file.Name(), Err: syscall.ENOSPC}
	})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "writing "+f.File("a")) || strings.Contains(err.Error(), partialSuffix) {
		t.Errorf("error %v, want ENOSPC and the path", err)
	}
	if got, _ := f.Read("a", 100); string(got) != "old" {
		t.Errorf("the file has %q, want the old contents", got)
	}
	if got := names(t, f); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the folder has %v", got)
	}
}

// TestLinks: a link is followed for reading within the folder only, and never for writing.
func TestLinks(t *testing.T) {
	f := opened(t)
	outside := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(outside, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Write("inside", []byte("mine")); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"out": outside, "dangling": outside + "2", "in": "inside", LockFile: outside} {
		if err := os.Symlink(target, f.File(name)); err != nil {
			t.Skip(err)
		}
	}
	if got, err := f.Read("in", 100); err != nil || string(got) != "mine" {
		t.Errorf("a link within the folder gave %q, %v", got, err)
	}
	for _, name := range []string{"out", "dangling"} {
		if got, err := f.Read(name, 100); err == nil {
			t.Errorf("the link %s gave %q", name, got)
		}
	}
	for _, name := range []string{"out", "dangling", "in"} {
		if _, err := f.Update(name); err == nil {
			t.Errorf("the link %s was opened for writing", name)
		}
		if err := f.Write(name, []byte("new")); err != nil {
			t.Errorf("replacing the link %s: %v", name, err)
		}
	}
	if _, err := f.Lock(); err == nil {
		t.Error("a link was locked")
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != "precious" {
		t.Errorf("the file outside has %q, %v", got, err)
	}
	if _, err := os.Stat(outside + "2"); err == nil {
		t.Error("a file outside was made")
	}
	if got, _ := f.Read("inside", 100); string(got) != "mine" {
		t.Errorf("the file inside has %q", got)
	}
}

func TestFoldersAreNotFiles(t *testing.T) {
	f := opened(t)
	if err := os.Mkdir(f.File("a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Open("a"); !errors.Is(err, errNotRegular) {
		t.Errorf("error %v", err)
	}
	if _, err := f.Update("a"); !errors.Is(err, errNotRegular) {
		t.Errorf("error %v", err)
	}
	if _, err := OpenFile(f.File("b")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestRemovePartial(t *testing.T) {
	f := opened(t)
	for _, name := range []string{"a", "a.12.tmp", ".a-34", "b.1.tmp", "ab.1.tmp", "a.txt"} {
		if err := os.WriteFile(f.File(name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.RemovePartial("a"); err != nil {
		t.Fatal(err)
	}
	if got := names(t, f); !slices.Equal(got, []string{"a", "a.txt", "ab.1.tmp", "b.1.tmp"}) {
		t.Errorf("left are %v", got)
	}
}

func TestLock(t *testing.T) {
	f := opened(t)
	unlock, err := f.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lock(); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), f.Path()) {
		t.Errorf("error %v, want ErrLocked and the path", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = f.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestGone(t *testing.T) {
	f := opened(t)
	if f.Gone() {
		t.Error("an open folder is gone")
	}
	moved := f.Path() + "2"
	if err := os.Rename(f.Path(), moved); err != nil {
		t.Fatal(err)
	}
	if f.Gone() {
		t.Error("a moved folder is gone")
	}
	if err := os.RemoveAll(moved); err != nil {
		t.Fatal(err)
	}
	if !f.Gone() {
		t.Error("a removed folder is not gone")
	}
	if err := f.Write("a", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
}
