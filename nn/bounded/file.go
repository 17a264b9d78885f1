package bounded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrNotRegular is the cause of the error for a path that is no regular file.
var ErrNotRegular = errors.New("it is not a regular file")

// notRegular returns ErrNotRegular with the kind of file.
func notRegular(mode fs.FileMode) error {
	kind := "special file"
	switch {
	case mode.IsDir():
		kind = "folder"
	case mode&fs.ModeNamedPipe != 0:
		kind = "pipe"
	case mode&fs.ModeSocket != 0:
		kind = "socket"
	case mode&fs.ModeDevice != 0:
		kind = "device"
	}
	return fmt.Errorf("%w but a %s", ErrNotRegular, kind)
}

// Open opens a regular file for reading. The error is a *fs.PathError; for anything but a regular file its cause is
// ErrNotRegular, and Open never waits for a pipe's writer.
func Open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: notRegular(info.Mode())}
	}
	file, err := os.OpenFile(path, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, err
	}
	// The name may lead elsewhere by now.
	if info, err = file.Stat(); err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: notRegular(info.Mode())}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// ReadFile reads a regular file. A file of more than limit bytes is a LimitError, before it is read.
func ReadFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, &LimitError{path, limit}
	}
	return ReadAll(Context(ctx, file), path, limit, info.Size())
}
