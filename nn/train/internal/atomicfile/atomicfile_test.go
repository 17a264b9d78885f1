package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestWriteReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for _, text := range []string{"first", "second, longer"} {
		err := Write(path, func(f *os.File) error { _, err := f.WriteString(text); return err })
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Fatalf("the file has %q, %v, want %q", got, err, text)
		}
	}
	if names := files(t, filepath.Dir(path)); len(names) != 1 {
		t.Errorf("the folder has %v", names)
	}
}

// TestFullDisk fails half-way through: the old file must stay, and nothing else.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := Write(path, func(f *os.File) error {
		if _, err := f.WriteString("ne"); err != nil {
			return err
		}
		return &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "writing "+path) {
		t.Errorf("error %v, want ENOSPC and the path", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("the file has %q, want the old contents", got)
	}
	if names := files(t, filepath.Dir(path)); len(names) != 1 {
		t.Errorf("the folder has %v", names)
	}
}

func TestNoFolder(t *testing.T) {
	err := Write(filepath.Join(t.TempDir(), "missing", "a"), func(*os.File) error { return nil })
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
}
