package data

import "slices"

// likeBefore returns the images of an earlier fingerprint: each part has the files that it had, in the same order,
// whatever else was found now. The classes are the earlier ones.
func (f *folder) likeBefore(now *parts) (*parts, error) {
	like := f.opt.Like
	labels := make([]int32, len(f.classes)) // of the classes that were found, in the earlier order
	for i, class := range f.classes {
		labels[i] = int32(slices.Index(like.Classes, validText(class)))
	}
	f.classes = like.Classes
	found := map[string]folderImage{}
	for _, images := range now.all() {
		for _, im := range *images {
			if im.label = labels[im.label]; im.label >= 0 {
				found[validText(im.name)] = im
			}
		}
	}
	p := &parts{}
	for k, part := range like.parts() {
		for _, file := range part.Files {
			im, ok := found[file.Name]
			if !ok {
				return nil, &FormatError{f.tree.show(file.Name), -1, "an image of the run", "no such file"}
			}
			*p.all()[k] = append(*p.all()[k], im)
		}
	}
	return p, nil
}

// file returns the file of an image.
func (f *folder) file(im folderImage) ImageFile {
	file := ImageFile{Name: im.name, tree: f.tree}
	if t, ok := f.tree.(osTree); ok {
		file.Path = t.path(im.name)
	}
	return file
}
