package data

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// folderSet decodes an image when it is read, and keeps the pixels of the first images, as many as there is memory for.
type folderSet struct {
	folder *folder
	images []folderImage
	pixels []byte          // of images that are kept
	slots  []int           // place of an image in pixels, in images; those from len(pixels) on are not kept
	states []atomic.Uint32 // of each image
	bad    atomic.Int64    // images that have become unreadable
}

// The states of an image.
const (
	notRead    = iota
	keeping    // a goroutine is copying its pixels
	kept       // its pixels are in memory
	unreadable // it was reported
)

// newFolderSet returns the set of the images that can be read. pixels has the first images, those that were read.
func newFolderSet(f *folder, images []folderImage, isRead []bool, pixels []byte) *folderSet {
	s := &folderSet{folder: f, pixels: pixels}
	for i, im := range images {
		if im.reason == nil {
			s.images, s.slots = append(s.images, im), append(s.slots, i)
		}
	}
	s.states = make([]atomic.Uint32, len(s.images))
	for i, slot := range s.slots {
		if isRead[slot] && s.slot(i) != nil {
			s.states[i].Store(kept)
		}
	}
	return s
}

func (s *folderSet) Len() int { return len(s.images) }

func (s *folderSet) ImageShape() (h, w, c int) {
	return s.folder.reader.h, s.folder.reader.w, s.folder.reader.c
}

func (s *folderSet) Classes() []string { return s.folder.classes }

// Label returns image i's label.
func (s *folderSet) Label(i int) int32 { return s.images[i].label }

func (s *folderSet) statistics(i int) (statistics, bool) {
	known := s.images[i].known.statistics
	return known, known.isKnown
}

// slot returns the memory for image i's pixels, or nil if they are not kept.
func (s *folderSet) slot(i int) []byte {
	size := s.folder.imageLen()
	if first := s.slots[i] * size; first+size <= len(s.pixels) {
		return s.pixels[first : first+size]
	}
	return nil
}

// Read writes image i. If it can't be read any more and Options.Warn is set, the next image of its class that can be read
// takes its place.
func (s *folderSet) Read(i int, dst []byte) (int32, error) {
	label, dst := s.images[i].label, dst[:s.folder.imageLen()]
	var first error
	for k := range s.images {
		at := (i + k) % len(s.images)
		if s.images[at].label != label {
			continue
		}
		err := s.read(at, dst)
		if err == nil {
			return label, nil
		}
		if first == nil {
			first = err
		}
		if !s.goesOn(at, err) {
			break
		}
	}
	return 0, first
}

// errReported is an image that is known to be unreadable.
var errReported = errors.New("it could not be read before")

// read writes the pixels of an image itself.
func (s *folderSet) read(i int, dst []byte) error {
	im, slot := &s.images[i], s.slot(i)
	switch s.states[i].Load() {
	case kept:
		copy(dst, slot)
		return nil
	case unreadable:
		return fmt.Errorf("%s: %w", s.folder.tree.show(im.name), errReported)
	}
	_, err := s.folder.decode(context.Background(), im, dst)
	if err != nil {
		err = fmt.Errorf("%s: %w", s.folder.tree.show(im.name), err)
		if !errors.Is(err, errIndexWrong) || s.folder.opt.Warn == nil {
			return err
		}
		if !s.folder.isWarned.Swap(true) { // the pixels are right
			s.folder.opt.Warn(err)
		}
	}
	if slot != nil && s.states[i].CompareAndSwap(notRead, keeping) {
		copy(slot, dst)
		s.states[i].Store(kept)
	}
	return nil
}

// A set with more images than these that have become unreadable is an error: a folder that is gone, not a damaged file.
const (
	maxUnreadable         = 10
	maxUnreadableFraction = 10 // of the images, one in so many
)

// goesOn reports an image that can't be read, once, and returns whether another image may take its place.
func (s *folderSet) goesOn(i int, err error) bool {
	warn := s.folder.opt.Warn
	if warn == nil {
		return false
	}
	if s.states[i].Swap(unreadable) == unreadable {
		return true
	}
	if int(s.bad.Add(1)) > max(maxUnreadable, len(s.images)/maxUnreadableFraction) {
		return false
	}
	warn(err)
	return true
}
