package data

import (
	"fmt"
	"slices"
)

// Difference describes the first thing in which the data now differ from before: a class, a file, the order, or pixels. It
// is "" if nothing does. Classes and files are named, because that is how a user finds what was changed.
func (f *Fingerprint) Difference(before *Fingerprint) string {
	if d := classDifference(f.Classes, before.Classes); d != "" {
		return d
	}
	if f.Shape != before.Shape {
		return fmt.Sprintf("images are %dx%dx%d, not %dx%dx%d", f.Shape[0], f.Shape[1], f.Shape[2], before.Shape[0], before.Shape[1], before.Shape[2])
	}
	if d := f.fileDifference(before); d != "" {
		return d
	}
	for k, now := range f.parts() {
		if d := now.difference(before.parts()[k], partNames[k]); d != "" {
			return d
		}
	}
	if f.AllBytes != before.AllBytes {
		return "one fingerprint is of all bytes, the other of a sample"
	}
	return ""
}

// partNames are the names of the parts in messages.
var partNames = [3]string{"training", "validation", "test"}

func (f *Fingerprint) parts() [3]*Part { return [3]*Part{&f.Train, &f.Val, &f.Test} }

// classDifference names the first class that is new, missing or in another place.
func classDifference(now, before []string) string {
	for _, c := range before {
		if !slices.Contains(now, c) {
			if len(now) == len(before) {
				for _, n := range now {
					if !slices.Contains(before, n) {
						return fmt.Sprintf("class %q is missing, and %q is new", c, n)
					}
				}
			}
			return fmt.Sprintf("class %q is missing", c)
		}
	}
	for _, c := range now {
		if !slices.Contains(before, c) {
			return fmt.Sprintf("class %q is new", c)
		}
	}
	for i := range min(len(now), len(before)) {
		if now[i] != before[i] {
			return fmt.Sprintf("class %d is %q, not %q: the classes are in another order", i+1, now[i], before[i])
		}
	}
	if len(now) != len(before) {
		return fmt.Sprintf("%d classes, not %d", len(now), len(before))
	}
	return ""
}

// placed is a file and the part that it belongs to.
type placed struct {
	File
	part int
}

// files returns all files by name.
func (f *Fingerprint) files() map[string]placed {
	all := map[string]placed{}
	for k, p := range f.parts() {
		for _, file := range p.Files {
			all[file.Name] = placed{file, k}
		}
	}
	return all
}

// fileDifference names the first file that is missing, changed, new or in another part.
func (f *Fingerprint) fileDifference(before *Fingerprint) string {
	now, then := f.files(), before.files()
	for _, p := range before.parts() {
		for _, file := range p.Files {
			n, ok := now[file.Name]
			switch {
			case !ok:
				return fmt.Sprintf("file %s is missing", file.Name)
			case n.Size != file.Size:
				return fmt.Sprintf("file %s has %d bytes, not %d", file.Name, n.Size, file.Size)
			case n.Sum != file.Sum && f.AllBytes == before.AllBytes:
				return fmt.Sprintf("file %s has other contents", file.Name)
			}
		}
	}
	for _, p := range f.parts() {
		for _, file := range p.Files {
			if _, ok := then[file.Name]; !ok {
				return fmt.Sprintf("file %s is new", file.Name)
			}
		}
	}
	for k, p := range f.parts() {
		for _, file := range p.Files {
			if was := then[file.Name].part; was != k {
				return fmt.Sprintf("file %s is a %s image, not a %s image", file.Name, partNames[k], partNames[was])
			}
		}
	}
	return ""
}

// difference says how a set of the same files, or without files, differs from before.
func (p *Part) difference(before *Part, name string) string {
	for i := range min(len(p.Files), len(before.Files)) {
		if p.Files[i].Name != before.Files[i].Name {
			return fmt.Sprintf("%s image %d is %s, not %s: the files are in another order", name, i+1, p.Files[i].Name, before.Files[i].Name)
		}
	}
	switch {
	case p.Images != before.Images:
		return fmt.Sprintf("%d %s images, not %d", p.Images, name, before.Images)
	case p.Labels != before.Labels && before.Labels != "": // older versions didn't take those of a part of a folder
		return fmt.Sprintf("the labels of the %s images are others", name)
	case p.Pixels != before.Pixels:
		return fmt.Sprintf("the pixels of the %s images are others", name)
	}
	return ""
}
