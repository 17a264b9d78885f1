package data

import "context"

// Versions before the index of archives identified the pictures of an archive by their pixels, as they were before JPEG files
// were decoded at a scale. Their runs must still be recognised.

// pixelsInFull is a folder's set without names of files, and with pictures decoded in full.
type pixelsInFull struct {
	set    Set
	files  map[string]*folderImage
	folder *folder
	reader *pictureReader
}

// inFull returns the set as those versions read it.
func (f *folder) inFull(set Set) Set {
	r := &f.reader
	s := &pixelsInFull{set: set, files: map[string]*folderImage{}, folder: f}
	s.reader = &pictureReader{
		h: r.h, w: r.w, c: r.c, resize: r.resize, background: r.background, ignoreOrientation: r.ignoreOrientation,
		decoding: r.decoding, inFull: true,
	}
	for i := range f.listed {
		s.files[f.listed[i].name] = &f.listed[i]
	}
	return s
}

func (s *pixelsInFull) Len() int { return s.set.Len() }

func (s *pixelsInFull) ImageShape() (h, w, c int) { return s.set.ImageShape() }

func (s *pixelsInFull) Classes() []string { return s.set.Classes() }

// labels returns the label of every image, which all sets of a folder know.
func (s *pixelsInFull) labels() []int32 {
	known, _ := knownLabels(s.set)
	return known
}

// Read writes image i, decoded in full.
func (s *pixelsInFull) Read(i int, dst []byte) (int32, error) {
	im := s.files[fileOf(s.set, i).Name]
	if im == nil || !im.info.isJPEG {
		return s.set.Read(i, dst)
	}
	_, err := s.reader.decode(context.Background(), s.folder.tree, im.name, im.info, dst)
	return im.label, err
}
