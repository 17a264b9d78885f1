package data

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// scan collects the picture files of one class.
type scan struct {
	paths   []string
	foreign map[string]int  // pictures in formats that can't be read, by kind
	seen    map[string]bool // real paths of the folders already read
	chain   []string        // real paths of the folders being read, outermost first

	keepForeign bool // add pictures in formats that can't be read to paths
}

// folder adds the pictures of a folder and of all folders below it, sorted by name. Links are followed, but each folder
// counts only once; a link to a folder that contains the link is an error.
func (s *scan) folder(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if slices.Contains(s.chain, real) {
		return &FormatError{dir, -1, "folders that end somewhere", "a link back to " + real}
	}
	if s.seen[real] {
		return nil
	}
	s.seen[real] = true
	s.chain = append(s.chain, real)
	defer func() { s.chain = s.chain[:len(s.chain)-1] }()
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return err
	}
	for _, e := range entries {
		if isIgnored(e.Name()) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if isFolder(path) {
			if err := s.folder(ctx, path); err != nil {
				return err
			}
			continue
		}
		s.file(path)
	}
	return nil
}

// file adds a file if it is a picture, and counts pictures in formats that can't be read.
func (s *scan) file(path string) {
	switch what, kind := classify(path); what {
	case pictureFile:
		s.paths = append(s.paths, path)
	case foreignFormat:
		s.foreign[kind]++
		if s.keepForeign {
			s.paths = append(s.paths, path)
		}
	}
}

// scanClass returns the pictures below a class's folder.
func scanClass(ctx context.Context, dir string, foreign map[string]int) ([]string, error) {
	s := scan{foreign: foreign, seen: map[string]bool{}}
	before := total(foreign)
	if err := s.folder(ctx, dir); err != nil {
		return nil, err
	}
	if len(s.paths) > 0 {
		return s.paths, nil
	}
	got := "none"
	if n := total(foreign) - before; n > 0 {
		got = fmt.Sprintf("%d pictures in formats that can't be read", n)
	}
	return nil, &FormatError{dir, -1, "at least one PNG, JPEG, GIF, BMP, TIFF or WebP file", got}
}

func total(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

// PictureFiles returns the paths of the pictures below a folder, sorted by name within each folder. Files that are not
// pictures are left out; pictures in formats that can't be read are not.
func PictureFiles(folder string) ([]string, error) {
	s := scan{foreign: map[string]int{}, seen: map[string]bool{}, keepForeign: true}
	if err := s.folder(context.Background(), folder); err != nil {
		return nil, err
	}
	return s.paths, nil
}
