package bounded

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// Gunzip returns a reader of the content of gzip data, which fails with a LimitError once there is more than
// Budget(compressed) of it.
func Gunzip(r io.Reader, compressed int64) (io.Reader, error) {
	unzip, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	return Reader(unzip, "the unpacked data", Budget(compressed)), nil
}

// maxEntries bounds the files of an archive; ImageNet has 1.4 million.
const maxEntries = 4 << 20

// ErrEntry is the cause of the error for an entry of an archive that is refused for its kind or name.
var ErrEntry = errors.New("an entry that is refused")

// Entry is a regular file of an archive.
type Entry struct {
	Name string // with slashes, relative, without ".."
	Size int64  // as the header says; it may be wrong
	io.Reader
	budget int64
}

// ReadAll returns the entry's content.
func (e *Entry) ReadAll() ([]byte, error) {
	content, err := ReadAll(e.Reader, e.Name, min(e.Size, e.budget), e.Size)
	if err == nil && int64(len(content)) != e.Size {
		err = io.ErrUnexpectedEOF
	}
	return content, err
}

// Tar calls each for every regular file of a tar archive, plain or compressed with gzip, in the archive's order. Folders,
// links and devices are passed over; nothing is ever written. Refused are sparse entries, whose few bytes stand for any
// number of zeros, names that lead out of the archive, more than four million entries, and content of more than
// Budget(the file's size). offset returns the number of unpacked bytes read so far, for messages. Tar reads to the end of
// the file, so that gzip's checksum is verified.
func Tar(ctx context.Context, file *os.File, each func(e *Entry) error) (offset int64, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	buffered := bufio.NewReaderSize(Context(ctx, file), 1<<16)
	content := io.Reader(buffered)
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		if content, err = Gunzip(buffered, info.Size()); err != nil {
			return 0, err
		}
	}
	count := &counter{r: content}
	entries := tar.NewReader(count)
	for n := 0; ; n++ {
		header, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return count.n, err
		}
		if n == maxEntries {
			return count.n, fmt.Errorf("%w: more than %d", ErrEntry, maxEntries)
		}
		if err := checkEntry(header); err != nil {
			return count.n, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := each(&Entry{Name: path.Clean(header.Name), Size: header.Size, Reader: entries, budget: Budget(info.Size())}); err != nil {
			return count.n, err
		}
	}
	// The archive may end before the gzip data, which has the checksum at its end.
	_, err = io.Copy(io.Discard, count)
	return count.n, err
}

// checkEntry refuses sparse files and names that lead out of the archive.
func checkEntry(header *tar.Header) error {
	sparse := header.Typeflag == tar.TypeGNUSparse
	for key := range header.PAXRecords {
		sparse = sparse || strings.HasPrefix(key, "GNU.sparse.")
	}
	if sparse {
		return fmt.Errorf("%w: %q is sparse", ErrEntry, header.Name)
	}
	if err := CheckName(header.Name); err != nil {
		return err
	}
	if header.Size < 0 {
		return fmt.Errorf("%w: %q has a negative size", ErrEntry, header.Name)
	}
	return nil
}

// CheckName refuses the name of an archive's entry if it leads out of the archive: an absolute path, or one with "..".
func CheckName(name string) error {
	slashes := strings.ReplaceAll(name, `\`, "/")
	clean := path.Clean(slashes)
	if path.IsAbs(slashes) || clean == ".." || strings.HasPrefix(clean, "../") || strings.ContainsRune(name, 0) {
		return fmt.Errorf("%w: the name %q leads out of it", ErrEntry, name)
	}
	return nil
}

// counter counts the bytes read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
