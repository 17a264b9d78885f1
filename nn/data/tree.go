package data

import (
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"trainer/nn/bounded"
)

// A tree is a folder, or an archive that is read like a folder. Names are paths within it, separated by slashes; "." is
// the tree itself.
type tree interface {
	// list returns what a folder holds, sorted by name.
	list(dir string) ([]entry, error)
	opener
	// real returns the same text for all names of one folder.
	real(dir string) (string, error)
	// show returns a name as messages give it.
	show(name string) string
}

// opener is what reads files.
type opener interface {
	// open opens a regular file. Everything else is refused, because a read of a pipe or a device may never end.
	open(name string) (io.ReadSeekCloser, error)
}

// entry is a file or a folder in a folder.
type entry struct {
	name     string
	isFolder bool
}

// osTree is a folder of the file system, given by its path.
type osTree string

func (t osTree) path(name string) string { return filepath.Join(string(t), filepath.FromSlash(name)) }

func (t osTree) show(name string) string { return quoted(t.path(name)) }

func (t osTree) real(dir string) (string, error) { return filepath.EvalSymlinks(t.path(dir)) }

// place returns the absolute path of the folder, without links.
func (t osTree) place() (string, error) {
	real, err := t.real(".")
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}

// stamp returns the stamp of a regular file.
func (t osTree) stamp(name string) (stamp, bool) {
	info, err := os.Stat(t.path(name))
	if err != nil || !info.Mode().IsRegular() {
		return stamp{}, false
	}
	return stampOf(info), true
}

// stampOf returns the stamp of a file.
func stampOf(info os.FileInfo) stamp { return stamp{info.Size(), info.ModTime().UnixNano()} }

func (t osTree) list(dir string) ([]entry, error) {
	found, err := os.ReadDir(t.path(dir)) // sorted by name
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, e := range found {
		isFolder := e.IsDir()
		if e.Type()&os.ModeSymlink != 0 {
			info, err := os.Stat(t.path(path.Join(dir, e.Name())))
			isFolder = err == nil && info.IsDir()
		}
		entries = append(entries, entry{e.Name(), isFolder})
	}
	return entries, nil
}

func (t osTree) open(name string) (io.ReadSeekCloser, error) { return openRegular(t.path(name)) }

// openRegular opens a regular file, and refuses anything else. The error doesn't name the path.
func openRegular(path string) (*os.File, error) {
	file, err := bounded.Open(path)
	if err != nil {
		return nil, plainCause(err)
	}
	return file, nil
}

// hasFile reports whether a folder of a tree holds a file.
func hasFile(t tree, dir, name string) bool {
	file, err := t.open(path.Join(dir, name))
	if err != nil {
		return false
	}
	file.Close()
	return true
}

// quoted returns a name that can't break a line or move the cursor: it is quoted if it has control characters.
func quoted(name string) string {
	if strings.ContainsFunc(name, unicode.IsControl) {
		return strconv.Quote(name)
	}
	return name
}
