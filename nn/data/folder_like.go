package data

import (
	"context"
	"path/filepath"
	"slices"
)

// listLike finds the images of an earlier fingerprint: each part has the files that it had, in the same order, whatever
// else is in the folder now. The classes are the earlier ones.
func (f *folder) listLike(ctx context.Context, where layout) (*parts, error) {
	f.classes = f.opt.Like.Classes
	found := map[string]folderImage{}
	for _, root := range []string{where.train, where.val, where.test} {
		if root == "" {
			continue
		}
		if err := f.findAll(ctx, root, found); err != nil {
			return nil, err
		}
	}
	p := &parts{}
	for k, part := range f.opt.Like.parts() {
		images := make([]folderImage, len(part.Files))
		for i, file := range part.Files {
			im, ok := found[file.Name]
			if !ok {
				return nil, &FormatError{filepath.Join(f.root, filepath.FromSlash(file.Name)), -1, "an image of the run", "no such file"}
			}
			images[i] = im
		}
		if err := f.readInfo(ctx, images); err != nil {
			return nil, err
		}
		var err error
		if *p.all()[k], err = f.dropUnreadable(f.root, images, false); err != nil {
			return nil, err
		}
	}
	if len(p.train) == 0 {
		return nil, &FormatError{f.root, -1, "the training images of the run", "none"}
	}
	return p, nil
}

// findAll adds the pictures of a part's class folders to found, by their names in a fingerprint.
func (f *folder) findAll(ctx context.Context, root string, found map[string]folderImage) error {
	classes, err := subfolders(root)
	if err != nil {
		return err
	}
	for _, class := range classes {
		label := slices.Index(f.classes, validText(class))
		if label < 0 {
			continue
		}
		paths, err := scanClass(ctx, filepath.Join(root, class), f.pictures.Unsupported)
		if err != nil {
			return err
		}
		for _, path := range paths {
			found[validText(relative(f.root, path))] = folderImage{path: path, label: int32(label)}
		}
	}
	return nil
}
