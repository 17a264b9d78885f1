package data

import (
	"crypto/sha256"
	"fmt"
	"io"
)

// ImageFile is the file of an image: one in a folder, a member of an archive, or a row of a table. The zero value stands
// for images that are not files of their own.
type ImageFile struct {
	Name string // relative to the data set's folder or archive, with slashes
	Path string // by which it can be opened; "" if it is in an archive or a table
	tree tree
}

// Filed is a Set whose images can be files of their own.
type Filed interface {
	Set
	// File returns the file of image i; its name is "" if the set's images are not files of their own.
	File(i int) ImageFile
}

// fileOf returns the file of an image of a set, or the zero value if it has none of its own.
func fileOf(set Set, i int) ImageFile {
	if filed, ok := set.(Filed); ok {
		return filed.File(i)
	}
	return ImageFile{}
}

// String returns the path, or the archive's path and the name in it.
func (f ImageFile) String() string {
	if f.Path == "" && f.tree != nil {
		return f.tree.show(f.Name)
	}
	return f.Path
}

// open opens the file.
func (f ImageFile) open() (io.ReadSeekCloser, error) {
	if f.tree == nil { // a set that another program made
		return openRegular(f.Path)
	}
	return f.tree.open(f.Name)
}

// checksummed is a tree that knows sizes and checksums of its files.
type checksummed interface {
	checksum(name string) (size int64, sum string, ok bool)
}

// sum returns the size and a checksum: of all bytes or, if not allBytes, of the first and the last, or else what the
// archive says.
func (f ImageFile) sum(allBytes bool) (size int64, sum string, err error) {
	if known, ok := f.tree.(checksummed); ok && !allBytes {
		if size, sum, ok := known.checksum(f.Name); ok {
			return size, sum, nil
		}
	}
	file, err := f.open()
	if err != nil {
		return 0, "", fmt.Errorf("%s: %w", f, err)
	}
	defer file.Close()
	if size, err = file.Seek(0, io.SeekEnd); err != nil {
		return 0, "", fmt.Errorf("%s: %w", f, err)
	}
	parts := [][2]int64{{0, sampledFromFile}, {size - sampledFromFile, sampledFromFile}} // first byte, number of bytes
	if allBytes || size <= 2*sampledFromFile {
		parts = [][2]int64{{0, size}}
	}
	h := sha256.New()
	for _, p := range parts {
		if _, err = file.Seek(p[0], io.SeekStart); err == nil {
			_, err = io.CopyN(h, file, p[1])
		}
		if err != nil {
			return 0, "", fmt.Errorf("%s: %w", f, err)
		}
	}
	return size, short(h), nil
}

// File returns the file of image i.
func (s *InMemory) File(i int) ImageFile {
	if s.Files == nil {
		return ImageFile{}
	}
	return s.Files[i]
}

// File returns the file of image i.
func (s *folderSet) File(i int) ImageFile { return s.folder.file(s.images[i]) }

// File returns the file of image i, if the set that it is taken from has files.
func (s *subset) File(i int) ImageFile { return fileOf(s.Set, int(s.indices[i])) }

// File returns the file of image i, if the set that it is in has files.
func (j *joined) File(i int) ImageFile { return fileOf(j.at(i)) }
