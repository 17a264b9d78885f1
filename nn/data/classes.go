package data

import (
	"fmt"
	"slices"
)

// Labelled is a Set that knows the labels without reading images.
type Labelled interface {
	Set
	// Label returns image i's label, 0 <= i < Len.
	Label(i int) int32
}

// Label returns image i's label.
func (s *InMemory) Label(i int) int32 { return s.Labels[i] }

// ClassCounts returns the number of images in each class. Labels outside the range of classes are not counted. Images
// are read only if the set is not Labelled.
func ClassCounts(set Set) ([]int, error) {
	counts := make([]int, len(set.Classes()))
	h, w, c := set.ImageShape()
	var pixels []byte
	for i := range set.Len() {
		label, ok := labelOf(set, i)
		if !ok {
			if pixels == nil {
				pixels = make([]byte, h*w*c)
			}
			var err error
			if label, err = set.Read(i, pixels); err != nil {
				return nil, fmt.Errorf("counting the images of each class: image %d: %w", i, err)
			}
		}
		if label >= 0 && int(label) < len(counts) {
			counts[label]++
		}
	}
	return counts, nil
}

// labelOf returns image i's label if the set knows it without reading the image.
func labelOf(set Set, i int) (int32, bool) {
	switch s := set.(type) {
	case *subset:
		return labelOf(s.Set, int(s.indices[i]))
	case *joined:
		set, k := s.at(i)
		return labelOf(set, k)
	case Labelled:
		return s.Label(i), true
	}
	return 0, false
}

// orderClasses returns the classes in the order of Options.Classes, if it is given. It must then name exactly the
// classes that were found, in any order. file is where they were found.
func (opt *Options) orderClasses(file string, found []string) ([]string, error) {
	if opt.Classes == nil || opt.Like != nil {
		return found, nil
	}
	for _, name := range found {
		if !slices.Contains(opt.Classes, name) {
			return nil, &FormatError{file, -1, fmt.Sprintf("only the %d classes of data.classes", len(opt.Classes)), fmt.Sprintf("a class %q", name)}
		}
	}
	for i, name := range opt.Classes {
		if slices.Contains(opt.Classes[:i], name) {
			return nil, fmt.Errorf("data.classes: %q is there twice", name)
		}
		if !slices.Contains(found, name) {
			return nil, &FormatError{file, -1, fmt.Sprintf("examples of the class %q of data.classes", name), "none"}
		}
	}
	return opt.Classes, nil
}
