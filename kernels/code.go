package kernels

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The compiled code is packed: code/SOURCE.zip has a member for each kind of code, ptx, sm_75 and so on, compressed by Zstandard
// (method 93 of zip archives). A member is a tar archive of the source's modules, because the code of one storage type
// tells much of the others'. A program needs one kind of code of a few sources, and unpacks only that. generate/pack writes the
// archives.

//go:embed code/*.zip
var codeFiles embed.FS

// PTX returns the module's code for the driver to compile.
func (m Module) PTX() []byte {
	ptx, err := m.unpack(codeFiles, "ptx")
	if err != nil {
		panic(fmt.Sprintf("kernels: module %s has no PTX: %v", m.Name, err))
	}
	return ptx
}

// Cubin returns the module's machine code for GPUs of an architecture, such as 86 for compute capability 8.6, and the
// architecture that it was made for, such as 80; nil and 0 if there is none. A GPU runs the code of its own major version, up
// to its own minor version.
func (m Module) Cubin(architecture int) (cubin []byte, of int) {
	for name := range m.Cubins {
		if n, err := strconv.Atoi(name); err == nil && n/10 == architecture/10 && n <= architecture {
			of = max(of, n)
		}
	}
	if of == 0 {
		return nil, 0
	}
	cubin, err := m.unpack(codeFiles, fmt.Sprintf("sm_%d", of))
	if err != nil {
		panic(fmt.Sprintf("kernels: module %s has no cubin for %d: %v", m.Name, of, err))
	}
	return cubin, of
}

// decoder unpacks the archives' members. It is made once, because its tables take longer than most members.
var decoder = sync.OnceValues(func() (*zstd.Decoder, error) { return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1)) })

// decompress returns what a member holds.
func decompress(member *zip.File) ([]byte, error) {
	d, err := decoder()
	if err != nil {
		return nil, err
	}
	raw, err := member.OpenRaw()
	if err != nil {
		return nil, err
	}
	packed, err := io.ReadAll(raw)
	if err != nil {
		return nil, err
	}
	return d.DecodeAll(packed, make([]byte, 0, member.UncompressedSize64))
}

// unpack returns code of one kind, "ptx" or such as "sm_75", from the archives.
func (m Module) unpack(archives fs.FS, kind string) ([]byte, error) {
	packed, err := fs.ReadFile(archives, "code/"+strings.TrimSuffix(m.Source, ".cu")+".zip")
	if err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, err
	}
	member := slices.IndexFunc(archive.File, func(f *zip.File) bool { return f.Name == kind })
	if member < 0 {
		return nil, fs.ErrNotExist
	}
	code, err := decompress(archive.File[member])
	if err != nil {
		return nil, err
	}
	modules := tar.NewReader(bytes.NewReader(code))
	for {
		header, err := modules.Next()
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", kind, m.Source, err)
		}
		if header.Name == m.Name {
			return io.ReadAll(modules)
		}
	}
}
