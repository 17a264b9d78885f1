// Package folder reads and replaces the files of one folder. The folder may come from a stranger: no link is followed out
// of it (see os.Root), and what is not a regular file, such as a FIFO, is not opened. And the machine may stop at any
// moment: a file has its old contents or its new, never a part.
package folder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Folder is an open folder. It stays the same folder when it is moved.
type Folder struct{ root *os.Root }

// errNotRegular is a FIFO, a device, a folder or a link where a file should be.
var errNotRegular = errors.New("not a regular file")

// Open opens an existing folder. The path itself may be a link.
func Open(path string) (*Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Folder{root}, nil
}

// Make opens a folder, and makes it with its parents if it is missing.
func Make(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	// A crash must not lose the new folder's name. Some file systems can't sync folders: then a crash may.
	if parent, err := os.OpenRoot(filepath.Dir(filepath.Clean(path))); err == nil {
		_ = syncDir(parent)
		_ = parent.Close()
	}
	return f, nil
}

// Sub opens a folder in the folder, and makes it if it is missing.
func (f *Folder) Sub(name string) (*Folder, error) {
	if err := f.root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, f.fail("mkdir", name, err)
	}
	root, err := f.root.OpenRoot(name)
	if err != nil {
		return nil, f.fail("open", name, err)
	}
	return &Folder{root}, nil
}

// In returns the Folder for an open root, which the caller closes.
func In(root *os.Root) *Folder { return &Folder{root} }

// Root returns the folder's root.
func (f *Folder) Root() *os.Root { return f.root }

// Close closes the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Path returns the path by which the folder was opened.
func (f *Folder) Path() string { return f.root.Name() }

// File returns the path of a file in the folder, for messages.
func (f *Folder) File(name string) string { return filepath.Join(f.Path(), name) }

// Has reports whether the folder has an entry of this name.
func (f *Folder) Has(name string) bool {
	_, err := f.root.Lstat(name)
	return err == nil
}

// Gone reports whether the folder has been removed. A folder that was moved is not gone.
func (f *Folder) Gone() bool {
	return errors.Is(f.Try("probe"), fs.ErrNotExist)
}

// Open opens a file for reading.
func (f *Folder) Open(name string) (*os.File, error) {
	info, err := f.root.Stat(name)
	if err != nil {
		return nil, f.fail("open", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, f.fail("open", name, errNotRegular)
	}
	file, err := f.root.Open(name)
	return file, f.fail("open", name, err)
}

// OpenFile opens the file at a path for reading, as Open does in the file's folder.
func OpenFile(path string) (*os.File, error) {
	f, err := Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Open(filepath.Base(path))
}

// Read returns the contents of a file of at most limit bytes.
func (f *Folder) Read(name string, limit int64) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return text, f.fail("read", name, err)
}

// Update opens a file for reading and writing, and makes it if it is missing. It must not be a link, not even to another
// file of the folder.
func (f *Folder) Update(name string) (*os.File, error) {
	if info, err := f.root.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return nil, f.fail("open", name, errNotRegular)
	}
	file, err := f.root.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	return file, f.fail("open", name, err)
}

// Remove removes files; it is no error if one is missing.
func (f *Folder) Remove(names ...string) error {
	var all error
	for _, name := range names {
		if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			all = errors.Join(all, f.fail("remove", name, err))
		}
	}
	return all
}

// fail returns err with the file's path in place of its name.
func (f *Folder) fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	} else if l, ok := errors.AsType[*os.LinkError](err); ok {
		err = l.Err
	}
	return &fs.PathError{Op: op, Path: f.File(name), Err: err}
}

// ReadFile returns the contents of the file at a path that a user named, which may be a link, if it has at most limit
// bytes.
func ReadFile(path string, limit int64) ([]byte, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	f, err := Open(filepath.Dir(real))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Read(filepath.Base(real), limit)
}
