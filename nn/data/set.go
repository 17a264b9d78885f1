package data

import (
	"fmt"
	"math"
)

// Set is a labelled set of images of one size, NHWC uint8.
type Set interface {
	// Len returns the number of images.
	Len() int
	// ImageShape returns the size of every image: rows, columns, channels.
	ImageShape() (h, w, c int)
	// Classes returns the classes' names; a label is an index into it. The caller must not change it.
	Classes() []string
	// Read writes image i's h*w*c bytes to dst and returns its label, 0 <= i < Len.
	// It may be called from several goroutines at once.
	Read(i int, dst []byte) (label int32, err error)
}

// InMemory is a Set whose pixels are all in memory.
type InMemory struct {
	Name       string
	H, W, C    int
	ClassNames []string
	Images     []byte      // [n, h, w, c]
	Labels     []int32     // [n]
	Files      []ImageFile // [n], or nil if the images are not files of their own
}

// Len returns the number of images.
func (s *InMemory) Len() int { return len(s.Labels) }

// ImageShape returns rows, columns, channels.
func (s *InMemory) ImageShape() (h, w, c int) { return s.H, s.W, s.C }

// Classes returns the classes' names.
func (s *InMemory) Classes() []string { return s.ClassNames }

// Read copies image i to dst and returns its label. It never fails.
func (s *InMemory) Read(i int, dst []byte) (int32, error) {
	size := s.H * s.W * s.C
	copy(dst[:size], s.Images[i*size:(i+1)*size])
	return s.Labels[i], nil
}

// Dataset is a training set, a test set and optionally a validation set, with the same image size and classes.
type Dataset struct {
	Name  string
	Train Set
	// Val is the set on which epochs are scored, or nil; epochs are then scored on Test.
	Val      Set
	Test     Set
	Source   string    // origin of the data, for reports: "embedded", or a file or folder
	Skipped  []string  // images that could not be read, each with the reason
	Pictures *Pictures // statistics of a folder's files; nil for other data

	folder *folder // the folder that it was read from; nil for other data
}

// Pictures holds statistics of the picture files of a folder.
type Pictures struct {
	Count                  int // number of files that could be read
	MinH, MinW, MaxH, MaxW int // sizes of the files' pictures, upright

	Resized     int            // files whose size differs from the set's
	Resize      Resize         // how they were resized; "" if none was
	Transparent int            // files with pixels that are not opaque, laid on the background
	Empty       int            // files of nearly a single colour
	Turned      int            // files that were turned or mirrored because of their EXIF orientation
	Unsupported map[string]int // files in formats that can't be read, by format
	Unlabelled  []string       // files of a test set without labels, and files beside class folders, which are not used
}

// subset holds the images of a set with the given indices, in that order.
type subset struct {
	Set
	indices []int32
}

// Subset returns the images of set with the given indices, in that order. An index may
// occur more than once. It panics if an index is out of range.
func Subset(set Set, indices []int) Set {
	own := make([]int32, len(indices))
	for k, i := range indices {
		if i < 0 || i >= set.Len() {
			panic(fmt.Sprintf("data: Subset: index %d at %d, set has %d images", i, k, set.Len()))
		}
		own[k] = int32(i)
	}
	return &subset{Set: set, indices: own}
}

// Limit returns the first n images of set, or the set itself if it has at most n images.
// From an InMemory it returns an InMemory.
func Limit(set Set, n int) Set {
	if n < 0 {
		panic(fmt.Sprintf("data: Limit: %d images", n))
	}
	if n >= set.Len() {
		return set
	}
	if m, ok := set.(*InMemory); ok {
		short := *m
		short.Images = m.Images[:n*m.H*m.W*m.C]
		short.Labels = m.Labels[:n]
		if m.Files != nil {
			short.Files = m.Files[:n]
		}
		return &short
	}
	first := make([]int, n)
	for i := range first {
		first[i] = i
	}
	return Subset(set, first)
}

func (s *subset) Len() int { return len(s.indices) }

func (s *subset) Read(i int, dst []byte) (int32, error) {
	return s.Set.Read(int(s.indices[i]), dst)
}

// checkSet returns an error if a loader or a network can't use the set.
func checkSet(set Set) error {
	h, w, c := set.ImageShape()
	if h <= 0 || w <= 0 || c <= 0 {
		return fmt.Errorf("images of %dx%dx%d have no pixels", h, w, c)
	}
	if set.Len() == 0 {
		return fmt.Errorf("the set has no images")
	}
	if set.Len() > math.MaxInt32 {
		return fmt.Errorf("the set has %d images, more than %d", set.Len(), math.MaxInt32)
	}
	return nil
}
