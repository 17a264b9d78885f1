package data

import (
	"context"
	"errors"
	"fmt"
	"io"

	"trainer/internal/bounded"
)

// readFile reads a file of a tree, which may be compressed with gzip, into memory.
func readFile(ctx context.Context, t tree, name string) ([]byte, error) {
	shown := t.show(name)
	file, err := t.open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	head := make([]byte, len(gzipMagic))
	if _, err = file.Seek(0, io.SeekStart); err == nil {
		_, err = io.ReadFull(file, head)
	}
	if err == nil || err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	r := bounded.Context(ctx, file)
	if string(head) != gzipMagic {
		raw, err := bounded.ReadAll(r, shown, bounded.Budget(0)+size, size)
		return raw, readError(shown, int64(len(raw)), err)
	}
	unzip, err := bounded.Gunzip(r, size)
	if err != nil {
		return nil, &FormatError{shown, 0, "gzip data", err.Error()}
	}
	raw, err := bounded.ReadAll(unzip, shown, bounded.Budget(size), 0)
	return raw, readError(shown, int64(len(raw)), err)
}

// readError names the file in an error of reading it.
func readError(file string, offset int64, err error) error {
	if err == nil {
		return nil
	}
	if limit, ok := errors.AsType[*bounded.LimitError](err); ok {
		return &FormatError{file, -1, "at most 64 MiB and four times the file's size after decompression", limit.Error()}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return streamError(file, offset, "more data", err)
}
