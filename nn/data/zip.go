package data

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

const zipMagic = "PK\x03\x04"

// openZip indexes a zip archive, whose members are then read in place.
func openZip(path string) (*archive, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		var a *archive
		if a, err = indexZip(path, file, info.Size()); err == nil {
			a.stampOf = func(int) stamp { return stampOf(info) }
			return a, nil // the file stays open: the set reads it
		}
	}
	file.Close()
	return nil, err
}

// indexZip lists the members of a zip archive of size bytes.
func indexZip(path string, r io.ReaderAt, size int64) (*archive, error) {
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, &FormatError{path, -1, "a zip archive", err.Error()}
	}
	a := newArchive(path)
	for i, member := range z.File {
		name := member.Name
		if !strings.Contains(name, "/") { // old programs for Windows
			name = strings.ReplaceAll(name, `\`, "/")
		}
		mode := member.Mode()
		if strings.HasSuffix(name, "/") || !mode.IsRegular() && mode&fs.ModeType != 0 {
			continue
		}
		if member.Flags&1 != 0 {
			return nil, &FormatError{path, -1, "members without a password", fmt.Sprintf("%.80q is encrypted", name)}
		}
		if err := a.add(name, i); err != nil {
			return nil, err
		}
	}
	a.finish()
	a.content = func(i int) (io.ReadSeekCloser, error) { return &zipMember{file: z.File[i]}, nil }
	a.sumOf = func(i int) (int64, string) {
		return int64(min(z.File[i].UncompressedSize64, 1<<62)), fmt.Sprintf("crc32 %08x", z.File[i].CRC32)
	}
	return a, nil
}

// zipMember reads a member of a zip archive. A member can only be read from its beginning, so that a seek backwards
// begins again.
type zipMember struct {
	file   *zip.File
	stream io.ReadCloser // nil before the first read
	at     int64         // position of the stream
	want   int64         // position of the next read
}

func (m *zipMember) Read(p []byte) (int, error) {
	if m.stream != nil && m.want < m.at {
		m.stream.Close()
		m.stream = nil
	}
	if m.stream == nil {
		stream, err := m.file.Open()
		if err != nil {
			return 0, err
		}
		m.stream, m.at = stream, 0
	}
	if m.want > m.at {
		n, err := io.CopyN(io.Discard, m.stream, m.want-m.at)
		m.at += n
		if err != nil {
			return 0, err
		}
	}
	n, err := m.stream.Read(p)
	m.at += int64(n)
	m.want = m.at
	return n, err
}

func (m *zipMember) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += m.want
	case io.SeekEnd:
		offset += int64(min(m.file.UncompressedSize64, 1<<62))
	}
	if offset < 0 {
		return 0, os.ErrInvalid
	}
	m.want = offset
	return offset, nil
}

func (m *zipMember) Close() error {
	if m.stream == nil {
		return nil
	}
	return m.stream.Close()
}
