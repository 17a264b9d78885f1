package data

import (
	"context"
	"fmt"
	"path"
	"slices"
)

// scan collects the picture files of one class.
type scan struct {
	tree    tree
	names   []string
	foreign map[string]int  // pictures in formats that can't be read, by kind
	seen    map[string]bool // real paths of the folders already read
	chain   []string        // real paths of the folders being read, outermost first

	keepForeign bool                   // add pictures in formats that can't be read to names
	known       func(name string) bool // whether a file is known to be a picture, and need not be opened; may be nil
	found       func()                 // called for each picture; may be nil
}

// folder adds the pictures of a folder and of all folders below it, sorted by name. Links are followed, but each folder
// counts only once; a link to a folder that contains the link is an error.
func (s *scan) folder(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	real, err := s.tree.real(dir)
	if err != nil {
		return err
	}
	if slices.Contains(s.chain, real) {
		return &FormatError{s.tree.show(dir), -1, "folders that end somewhere", "a link back to " + quoted(real)}
	}
	if s.seen[real] {
		return nil
	}
	s.seen[real] = true
	s.chain = append(s.chain, real)
	defer func() { s.chain = s.chain[:len(s.chain)-1] }()
	entries, err := s.tree.list(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if isIgnored(e.name) {
			continue
		}
		name := path.Join(dir, e.name)
		if e.isFolder {
			if err := s.folder(ctx, name); err != nil {
				return err
			}
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		before := len(s.names)
		if s.file(name); s.found != nil && len(s.names) > before {
			s.found()
		}
	}
	return nil
}

// file adds a file if it is a picture, and counts pictures in formats that can't be read.
func (s *scan) file(name string) {
	if s.known != nil && s.known(name) {
		s.names = append(s.names, name)
		return
	}
	switch what, kind := classify(s.tree, name); what {
	case pictureFile:
		s.names = append(s.names, name)
	case foreignFormat:
		s.foreign[kind]++
		if s.keepForeign {
			s.names = append(s.names, name)
		}
	}
}

// scanClass returns the names of the pictures below a class's folder; see scan.
func (f *folder) scanClass(ctx context.Context, dir string) ([]string, error) {
	t, foreign := f.tree, f.pictures.Unsupported
	s := scan{tree: t, foreign: foreign, seen: map[string]bool{}, known: f.index.knows}
	s.found = func() {
		f.found++
		f.opt.opening(FindingPictures, f.found, 0)
	}
	before := total(foreign)
	if err := s.folder(ctx, dir); err != nil {
		return nil, err
	}
	if len(s.names) > 0 {
		return s.names, nil
	}
	got := "none"
	if n := total(foreign) - before; n > 0 {
		got = fmt.Sprintf("%d pictures in formats that can't be read", n)
	}
	return nil, &FormatError{t.show(dir), -1, "at least one PNG, JPEG, GIF, BMP, TIFF or WebP file", got}
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
	t := osTree(folder)
	s := scan{tree: t, foreign: map[string]int{}, seen: map[string]bool{}, keepForeign: true, known: hasPictureEnding}
	if err := s.folder(context.Background(), "."); err != nil {
		return nil, err
	}
	paths := make([]string, len(s.names))
	for i, name := range s.names {
		paths[i] = t.path(name)
	}
	return paths, nil
}
