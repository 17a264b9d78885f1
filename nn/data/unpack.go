package data

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// unpacked returns the path of a file in the cache that write makes out of the file at path. It is made once, and again
// after the size or the time of change of the file at path is another; the older one is then removed. ending ends its
// name.
func (opt *Options) unpacked(path, ending string, write func(w io.Writer) error) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	folder, err := opt.cacheFolder("unpacked")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(full))
	prefix := hex.EncodeToString(sum[:8])
	file := filepath.Join(folder, fmt.Sprintf("%s-%d-%x.%s", prefix, info.Size(), info.ModTime().UnixNano(), ending))
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	older, _ := filepath.Glob(filepath.Join(folder, prefix+"-*."+ending))
	for _, f := range older {
		_ = os.Remove(f) // a file that can't be removed only takes space
	}
	temporary, err := os.CreateTemp(folder, prefix+"-*.part")
	if err != nil {
		return "", err
	}
	err = write(temporary)
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		if _, isNamed := errors.AsType[*FormatError](err); isNamed {
			return "", err
		}
		return "", fmt.Errorf("unpacking %s: %w", path, err)
	}
	return file, nil
}
