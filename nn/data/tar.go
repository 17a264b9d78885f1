package data

import (
	"archive/tar"
	"bufio"
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/klauspost/compress/zstd"
)

const (
	gzipMagic  = "\x1f\x8b"
	bzip2Magic = "BZh"
	zstdMagic  = "\x28\xb5\x2f\xfd"
	xzMagic    = "\xfd7zXZ\x00"

	maxZstdWindow = 128 << 20 // what zstd --ultra writes
)

// openTar indexes a tar archive. The members of a plain archive are read in place; a compressed one is unpacked into the
// cache first, because its members can't be found without unpacking what comes before.
func openTar(ctx context.Context, path string, opt Options) (*archive, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	head := make([]byte, 6)
	n, _ := io.ReadFull(file, head)
	info, err := file.Stat()
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	if isCompressed(string(head[:n])) {
		unpacked, err := opt.unpacked(path, "tar", func(w io.Writer) error { return decompress(ctx, path, file, w) })
		file.Close()
		if err != nil {
			return nil, err
		}
		if file, err = openRegular(unpacked); err != nil {
			return nil, err
		}
	}
	a, err := indexTar(path, file)
	if err != nil {
		file.Close()
		return nil, err
	}
	a.stampOf = func(int) stamp { return stampOf(info) } // of the archive, not of what is in the cache
	return a, nil
}

func isCompressed(head string) bool {
	return strings.HasPrefix(head, gzipMagic) || strings.HasPrefix(head, bzip2Magic) || strings.HasPrefix(head, zstdMagic) || strings.HasPrefix(head, xzMagic)
}

// newDecompressor returns a reader of compressed data, which its first bytes name.
func newDecompressor(file string, r io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(r, 1<<16)
	magic, _ := buffered.Peek(6)
	switch head := string(magic); {
	case strings.HasPrefix(head, gzipMagic):
		unzip, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, &FormatError{file, 0, "gzip data", err.Error()}
		}
		return unzip, nil
	case strings.HasPrefix(head, bzip2Magic):
		return io.NopCloser(bzip2.NewReader(buffered)), nil
	case strings.HasPrefix(head, zstdMagic):
		unzip, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, &FormatError{file, 0, "zstd data", err.Error()}
		}
		return unzip.IOReadCloser(), nil
	case strings.HasPrefix(head, xzMagic):
		return nil, &FormatError{file, 0, "an archive compressed with gzip, bzip2 or zstd", "xz: unpack it first (tar -xJf)"}
	}
	return io.NopCloser(buffered), nil
}

// diskLimit is the largest number of bytes that an archive of some size may take when it is unpacked into the cache. Small
// pictures take blocks of 512 bytes in a tar archive, so that they shrink more than pictures do.
func diskLimit(size int64) int64 { return 1<<30 + 16*size }

// decompress writes the unpacked content of an archive to w.
func decompress(ctx context.Context, path string, file *os.File, w io.Writer) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	r, err := newDecompressor(path, file)
	if err != nil {
		return err
	}
	defer r.Close()
	limit := diskLimit(info.Size())
	var done int64
	for done <= limit {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(w, r, 1<<20)
		done += n
		if err == io.EOF {
			return nil
		}
		if err != nil {
			if isPathError(err) {
				return err
			}
			return streamError(path, done, "compressed data", err)
		}
	}
	return &FormatError{path, -1, fmt.Sprintf("at most %s after decompression", humanize.Bytes(uint64(limit))), "more"}
}

func isPathError(err error) bool {
	_, ok := errors.AsType[*os.PathError](err)
	return ok
}

// tarMember is where a member's content lies.
type tarMember struct{ offset, size int64 }

// indexTar lists the members of a plain tar archive. path is its name in messages.
func indexTar(path string, r interface {
	io.ReadSeeker
	io.ReaderAt
}) (*archive, error) {
	a := newArchive(path)
	var members []tarMember
	for entries := tar.NewReader(r); ; {
		header, err := entries.Next()
		if err == io.EOF {
			break
		}
		offset, seekErr := r.Seek(0, io.SeekCurrent)
		if err != nil || seekErr != nil {
			if len(members) == 0 {
				return nil, streamError(path, offset, "a tar archive", cmp.Or(err, seekErr))
			}
			return nil, streamError(path, offset, "a member of the tar archive", cmp.Or(err, seekErr))
		}
		if header.Typeflag != tar.TypeReg || isSparse(header) {
			continue
		}
		if err := a.add(header.Name, len(members)); err != nil {
			return nil, err
		}
		members = append(members, tarMember{offset, header.Size})
	}
	if err := checkTarEnd(path, r); err != nil {
		return nil, err
	}
	a.finish()
	a.content = func(i int) (io.ReadSeekCloser, error) {
		return sectionReader{io.NewSectionReader(r, members[i].offset, members[i].size)}, nil
	}
	return a, nil
}

// checkTarEnd returns an error unless the last block that was read is one of zeros, which end an archive: otherwise the
// archive was cut off.
func checkTarEnd(path string, r interface {
	io.Seeker
	io.ReaderAt
}) error {
	at, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	block := make([]byte, 512)
	if _, err := r.ReadAt(block, at-int64(len(block))); err != nil || slices.Max(block) != 0 {
		return streamError(path, at, "blocks of zeros, which end a tar archive", io.ErrUnexpectedEOF)
	}
	return nil
}

// isSparse reports whether a member's content is stored without its zeros: the only form in which it isn't stored as one
// piece. No program packs pictures so.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// sectionReader is a part of a file that needn't be closed.
type sectionReader struct{ *io.SectionReader }

func (sectionReader) Close() error { return nil }
