package data

import (
	"context"
	"errors"
	"fmt"
	"io"

	"trainer/nn/bounded"
	"trainer/nn/memlimit"
)

// readWhole reads one file of a data set into memory. The file must be a regular one and smaller than the memory that is
// free.
func readWhole(ctx context.Context, path string) ([]byte, error) {
	limit := int64(1) << 50
	if free, ok := memlimit.Available(); ok {
		limit = free
	}
	raw, err := bounded.ReadFile(ctx, path, limit)
	if _, ok := errors.AsType[*bounded.LimitError](err); ok {
		return nil, fmt.Errorf("%w, all the memory that is free", err)
	}
	return raw, err
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
