// Pack puts compiled kernels into the archives that package kernels embeds; scripts/kernels.sh calls it.
//
//	go run ./kernels/generate/pack FOLDER OUT       packs what compile.py wrote to FOLDER
//	go run ./kernels/generate/pack -x FOLDER OUT    unpacks the archives in FOLDER, for a look at the PTX
//
// FOLDER has files MODULE.KIND, such as cast_f16.ptx and cast_f16.sm_90. OUT gets one archive per source, so that a change of a
// source changes a small file: see code.go. The bytes depend on the files and on the version of the compressor alone.
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

func main() {
	args := os.Args[1:]
	run := pack
	if len(args) > 0 && args[0] == "-x" {
		run, args = unpack, args[1:]
	}
	err := fmt.Errorf("want two folders, got %q", args)
	if len(args) == 2 {
		err = run(args[0], args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// pack writes an archive for each source.
func pack(in, out string) error {
	files, err := os.ReadDir(in) // sorted by name
	if err != nil {
		return err
	}
	members := map[string]map[string][]string{} // names of modules by source and kind
	for _, f := range files {
		module, kind, _ := strings.Cut(f.Name(), ".")
		source := sourceOf(module)
		if members[source] == nil {
			members[source] = map[string][]string{}
		}
		members[source][kind] = append(members[source][kind], module)
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	for source, kinds := range members {
		archive, err := archiveOf(in, kinds, encoder)
		if err == nil {
			err = os.WriteFile(filepath.Join(out, source+".zip"), archive, 0o666)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
	}
	return nil
}

// sourceOf returns the name, without .cu, of a module's source: the modules of a source that is compiled for each storage type end
// with the type's name.
func sourceOf(module string) string {
	for _, storage := range []string{"_f32", "_f16", "_bf16"} {
		if source, found := strings.CutSuffix(module, storage); found {
			return source
		}
	}
	return module
}

// archiveOf returns a zip archive of a source's code of all kinds.
func archiveOf(folder string, kinds map[string][]string, encoder *zstd.Encoder) ([]byte, error) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		contents, err := tarOf(folder, kind, kinds[kind])
		if err != nil {
			return nil, err
		}
		compressed := encoder.EncodeAll(contents, nil)
		member, err := w.CreateRaw(&zip.FileHeader{
			Name: kind, Method: zstd.ZipMethodWinZip, CRC32: crc32.ChecksumIEEE(contents),
			UncompressedSize64: uint64(len(contents)), CompressedSize64: uint64(len(compressed)),
		})
		if err != nil {
			return nil, err
		}
		if _, err := member.Write(compressed); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return archive.Bytes(), err
}

// tarOf returns a tar archive of the code of modules.
func tarOf(folder, kind string, modules []string) ([]byte, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, module := range modules {
		code, err := os.ReadFile(filepath.Join(folder, module+"."+kind))
		if err != nil {
			return nil, err
		}
		if err := w.WriteHeader(&tar.Header{Name: module, Mode: 0o644, Size: int64(len(code))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(code); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return archive.Bytes(), err
}

// unpack writes the code in all archives of a folder, as pack reads it.
func unpack(in, out string) error {
	archives, err := filepath.Glob(filepath.Join(in, "*.zip"))
	if err != nil {
		return err
	}
	for _, path := range archives {
		archive, err := zip.OpenReader(path)
		if err != nil {
			return err
		}
		defer archive.Close()
		archive.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor())
		for _, member := range archive.File {
			if err := unpackMember(member, out); err != nil {
				return fmt.Errorf("%s: %s: %w", path, member.Name, err)
			}
		}
	}
	return nil
}

// unpackMember writes the code of one kind.
func unpackMember(member *zip.File, out string) error {
	contents, err := member.Open()
	if err != nil {
		return err
	}
	defer contents.Close()
	modules := tar.NewReader(contents)
	for {
		header, err := modules.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		code, err := io.ReadAll(modules)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, filepath.Base(header.Name)+"."+filepath.Base(member.Name)), code, 0o666); err != nil {
			return err
		}
	}
}
