package data

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"trainer/nn/bounded"
	nnfolder "trainer/nn/folder"
)

// indexFile is a file of an index: a head, and a line of JSON for each picture.
type indexFile struct {
	folder string // Options.Index
	name   string // in it
	head   indexHead
}

// newIndexFile returns the file of a kind for the folder of pictures at a place and the settings with which it is read.
func newIndexFile(folder, place, kind, settings string) indexFile {
	settings = kind + ": " + settings
	sum := sha256.Sum256([]byte(place + "\x00" + settings))
	return indexFile{folder, hex.EncodeToString(sum[:12]) + "-" + kind + ".jsonl", indexHead{indexVersion, place, settings, 0, ""}}
}

func (f indexFile) path() string { return filepath.Join(f.folder, f.name) }

// remove removes the file.
func (f indexFile) remove() {
	if f.name != "" {
		_ = os.Remove(f.path())
	}
}

// readIndexLines reads the lines of a file, or returns an error if it is not valid.
func readIndexLines[L any](ctx context.Context, f indexFile) ([]L, error) {
	raw, err := bounded.ReadFile(ctx, f.path(), maxIndexBytes)
	if err != nil {
		return nil, err
	}
	return parseIndexLines[L](raw, f.head)
}

// parseIndexLines reads the content of a file, which must have this head except for the number of files and the checksum.
func parseIndexLines[L any](raw []byte, want indexHead) ([]L, error) {
	first, rest, _ := bytes.Cut(raw, []byte("\n"))
	var head indexHead
	if len(first) > maxIndexLine || json.Unmarshal(first, &head) != nil {
		return nil, errors.New("no first line")
	}
	if want.Files, want.Sum = head.Files, head.Sum; head != want {
		return nil, errors.New("another folder's index")
	}
	if head.Sum != sumOf(rest) {
		return nil, errors.New("another checksum")
	}
	var all []L
	lines := bufio.NewScanner(bytes.NewReader(rest))
	lines.Buffer(make([]byte, 0, maxIndexLine), maxIndexLine)
	for lines.Scan() {
		var l L
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	if lines.Err() != nil || len(all) != head.Files {
		return nil, fmt.Errorf("%d of %d files", len(all), head.Files)
	}
	return all, nil
}

// writeIndexLines replaces the file.
func writeIndexLines[L any](f indexFile, lines []L) error {
	var rest, all bytes.Buffer
	encoder := json.NewEncoder(&rest)
	for i := range lines {
		_ = encoder.Encode(&lines[i]) // into memory, and of texts and numbers: it can't fail
	}
	f.head.Files, f.head.Sum = len(lines), sumOf(rest.Bytes())
	_ = json.NewEncoder(&all).Encode(f.head)
	all.Write(rest.Bytes())
	if all.Len() > maxIndexBytes {
		return errors.New("an index of too many files")
	}
	dir, err := nnfolder.Make(f.folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Write(f.name, all.Bytes()); err != nil {
		return err
	}
	f.prune()
	return nil
}

// prune removes the oldest files of indexes if there are too many.
func (f indexFile) prune() {
	files, _ := filepath.Glob(filepath.Join(f.folder, "*.jsonl"))
	if len(files) <= maxIndexes {
		return
	}
	age := func(file string) int64 {
		info, err := os.Stat(file)
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(files, func(a, b string) int { return int(max(-1, min(1, age(a)-age(b)))) })
	for _, file := range files[:len(files)-maxIndexes] {
		_ = os.Remove(file) // only takes space
	}
}

// sumOf returns the SHA-256 of bytes in hexadecimal.
func sumOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
