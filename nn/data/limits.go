package data

import (
	"fmt"
	"io"

	"github.com/dustin/go-humanize"
)

// Files of strangers may claim any size, and a kilobyte of compressed zeros may stand for a gigabyte: what is read into
// memory is limited by the size of the file that it comes from.

// memoryLimit is the largest number of bytes that a file of the given size may take in memory, unpacked.
func memoryLimit(size int64) int64 { return 64<<20 + 4*size }

// diskLimit is the largest number of bytes that an archive of the given size may take when it is unpacked into the cache.
func diskLimit(size int64) int64 { return 1<<30 + 16*size }

// readLimited reads r to its end, and returns a *FormatError for file if that is more than limit bytes. It allocates
// what it has read, not what a header promises.
func readLimited(file string, r io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, streamError(file, int64(len(raw)), "more data", err)
	}
	if int64(len(raw)) > limit {
		return nil, sizeError(file, limit)
	}
	return raw, nil
}

func sizeError(file string, limit int64) error {
	return &FormatError{file, -1, fmt.Sprintf("at most %s after decompression (64 MB and four times the file)", humanize.Bytes(uint64(limit))), "more"}
}

// readFile reads a file of a tree, which may be compressed with gzip.
func readFile(t tree, name string) ([]byte, error) {
	file, err := t.open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.show(name), err)
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.show(name), err)
	}
	head := make([]byte, 2)
	n, _ := io.ReadFull(file, head)
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%s: %w", t.show(name), err)
	}
	if string(head[:n]) != gzipMagic {
		return readLimited(t.show(name), file, size)
	}
	unzip, err := newGzip(t.show(name), file)
	if err != nil {
		return nil, err
	}
	return readLimited(t.show(name), unzip, memoryLimit(size))
}
