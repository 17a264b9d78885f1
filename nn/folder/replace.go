package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
)

// partialSuffix ends the names of files that are being written.
const partialSuffix = ".tmp"

// Replace calls write with a new file, and gives it the name once its contents are on the disk. If anything fails, the
// new file is removed and the old one is unchanged.
func (f *Folder) Replace(name string, write func(file *os.File) error) (err error) {
	file, partial, err := f.createPartial(name)
	if err != nil {
		return fmt.Errorf("writing %w", f.plain(name, err))
	}
	defer func() {
		if err != nil {
			_ = file.Close() // already closed if the rename failed
			_ = f.root.Remove(partial)
			err = fmt.Errorf("writing %w", f.plain(name, err))
		}
	}()
	if err := write(file); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := f.root.Rename(partial, name); err != nil {
		return err
	}
	return syncDir(f.root)
}

// Try makes sure that Replace can make the named file.
func (f *Folder) Try(name string) error {
	file, partial, err := f.createPartial(name)
	if err != nil {
		return f.plain(name, err)
	}
	return errors.Join(file.Close(), f.root.Remove(partial))
}

// createPartial makes a file with an unused name.
func (f *Folder) createPartial(name string) (file *os.File, partial string, err error) {
	const attempts = 100
	for range attempts {
		partial = fmt.Sprintf("%s.%d%s", name, rand.Uint32(), partialSuffix)
		file, err = f.root.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return file, partial, err
}

// plain returns an error of the file system with the path of the file in place of a temporary name, without the
// operation; any other error with the path before it.
func (f *Folder) plain(name string, err error) error {
	if p, ok := err.(*fs.PathError); ok {
		return &writeError{f.File(name), p}
	}
	return fmt.Errorf("%s: %w", f.File(name), err)
}

// writeError is a failure to write a file.
type writeError struct {
	path string
	err  *fs.PathError
}

func (e *writeError) Error() string { return e.path + ": " + e.err.Err.Error() }

// Unwrap returns the file system's error.
func (e *writeError) Unwrap() error { return e.err }

// Write replaces a file's contents.
func (f *Folder) Write(name string, content []byte) error {
	return f.Replace(name, func(file *os.File) error {
		_, err := file.Write(content)
		return err
	})
}

// RemovePartial removes what processes that were killed while they replaced one of the named files left. The caller must
// hold the folder's lock.
func (f *Folder) RemovePartial(names ...string) error {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return f.fail("read", ".", err)
	}
	var partial []string
	for _, e := range entries {
		for _, name := range names {
			if isPartial(e.Name(), name) && e.Type().IsRegular() {
				partial = append(partial, e.Name())
			}
		}
	}
	return f.Remove(partial...)
}

// isPartial reports whether an entry was a file's temporary name, in this version or, with a dot in front, in older ones.
func isPartial(entry, name string) bool {
	return strings.HasPrefix(entry, name+".") && strings.HasSuffix(entry, partialSuffix) || strings.HasPrefix(entry, "."+name+"-")
}
