package data

import "slices"

// sortedRows sorts the pictures that the rows of tables name, by part and class.
type sortedRows struct {
	numbers map[string]int32 // of the classes, by name
	byLabel [partCount][][]folderImage
}

// newSortedRows returns rows of the classes of the folder.
func (f *folder) newSortedRows() *sortedRows {
	s := &sortedRows{numbers: map[string]int32{}}
	for i, class := range f.classes {
		s.numbers[class] = int32(i)
	}
	for k := range s.byLabel {
		s.byLabel[k] = make([][]folderImage, len(f.classes))
	}
	return s
}

// add adds a picture, and reports whether its class is one of the folder's.
func (s *sortedRows) add(name, class string, to part) bool {
	label, ok := s.numbers[class]
	if ok {
		s.byLabel[to][label] = append(s.byLabel[to][label], folderImage{name: name, label: label})
	}
	return ok
}

// parts returns the pictures of each part, by class, and within a class in the order in which they were added.
func (s *sortedRows) parts() *parts {
	p := &parts{}
	for k, images := range p.all() {
		*images = slices.Concat(s.byLabel[k]...)
	}
	return p
}
