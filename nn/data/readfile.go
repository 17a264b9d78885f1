package data

import (
	"context"
	"errors"
	"fmt"
	"io"

	"trainer/nn/bounded"
	"trainer/nn/memlimit"
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
		if free, ok := memlimit.Available(); ok && size > free {
			return nil, fmt.Errorf("%s: %d MiB, more than the memory that is free", shown, size>>20)
		}
		raw, err := bounded.ReadAll(r, shown, size, size)
		return raw, wrapStream(shown, raw, err)
	}
	unzip, err := bounded.Gunzip(r, size)
	if err != nil {
		return nil, &FormatError{shown, 0, "gzip data", err.Error()}
	}
	raw, err := bounded.ReadAll(unzip, shown, bounded.Budget(size), 0)
	return raw, wrapStream(shown, raw, err)
}

// wrapStream is streamError of a read that may have succeeded.
func wrapStream(file string, raw []byte, err error) error {
	if err == nil {
		return nil
	}
	return streamError(file, int64(len(raw)), "more data", err)
}

// streamError describes a read of unpacked data that failed at a byte. The error is a FormatError, except that a stop
// stays what it is.
func streamError(file string, offset int64, want string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if limit, ok := errors.AsType[*bounded.LimitError](err); ok {
		return &FormatError{file, -1, fmt.Sprintf("at most %d MiB of unpacked data in a file of this size (unpack it yourself if you trust it)", limit.Limit>>20), "more"}
	}
	if errors.Is(err, bounded.ErrEntry) {
		return &FormatError{file, -1, "an archive of plain files with relative names", err.Error()}
	}
	got := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		got = "end of file"
	}
	return &FormatError{file, offset, want, got}
}
