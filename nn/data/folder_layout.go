package data

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// layout holds the names of the folders of the parts of a data set. If the folder isn't split into parts, train is the
// folder itself.
type layout struct {
	train, val, test string // "" if missing
}

// The names of the parts, in lower case; any case is accepted.
var (
	trainNames = []string{"train", "training"}
	valNames   = []string{"val", "valid", "validation", "dev"}
	testNames  = []string{"test", "testing"}
)

// findLayout finds the folders of a tree that are its parts. A folder "train" is a part if it has subfolders, and an
// ordinary class if it holds pictures.
func findLayout(t tree, root string) (layout, error) {
	names, err := subfolders(t, root)
	if err != nil {
		return layout{}, err
	}
	part := func(valid []string) string {
		for _, want := range valid {
			for _, name := range names {
				if strings.ToLower(name) == want {
					return path.Join(root, name)
				}
			}
		}
		return ""
	}
	l := layout{train: part(trainNames), val: part(valNames), test: part(testNames)}
	isPart := func(name string) bool { _, ok := partNamed(name); return ok }
	isOther := func(name string) bool { return !isPart(name) }
	if l.train == "" {
		for _, part := range []string{l.test, l.val} {
			classes, _ := subfolders(t, cmp.Or(part, root)) // a folder that can't be read is reported when it is listed
			if part != "" && len(classes) > 0 && !slices.ContainsFunc(names, isOther) {
				return layout{}, &FormatError{t.show(root), -1, fmt.Sprintf("a folder train beside %q", path.Base(part)), "none"}
			}
		}
		return layout{train: root}, nil
	}
	classes, err := subfolders(t, l.train)
	if err != nil {
		return layout{}, err
	}
	if len(classes) > 0 {
		return l, nil
	}
	if len(names) > 1 && !slices.ContainsFunc(names, isOther) {
		return layout{}, &FormatError{t.show(l.train), -1, "one subfolder of pictures per class, or a CSV file with labels beside it", "no subfolders"}
	}
	return layout{train: root}, nil
}

// subfolders returns the names of a folder's subfolders (or links to folders) that can hold pictures, in natural order:
// numbers by their value.
func subfolders(t tree, dir string) ([]string, error) {
	entries, err := t.list(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.isFolder && !isIgnored(e.name) && !isRunFolder(t, path.Join(dir, e.name), maxRunDepth) {
			names = append(names, e.name)
		}
	}
	slices.SortFunc(names, compareNames)
	return names, nil
}

// isIgnored reports whether a name is hidden or was left behind by an operating system.
func isIgnored(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains([]string{"__MACOSX", "$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "desktop.ini", "@eaDir"}, name)
}

// maxRunDepth is the number of levels of folders below which a run is looked for: runs/<date>/<seed>.
const maxRunDepth = 3

// isRunFolder reports whether a folder was written by a training, or holds only such folders, at most depth levels
// below.
func isRunFolder(t tree, dir string, depth int) bool {
	entries, err := t.list(dir)
	if err != nil || depth == 0 {
		return false
	}
	has := func(name string) bool { return slices.Contains(entries, entry{name: name}) }
	if has("config.toml") && (has("metrics.jsonl") || has("data.json")) {
		return true
	}
	runs := 0
	for _, e := range entries {
		if isIgnored(e.name) {
			continue
		}
		if !e.isFolder || !isRunFolder(t, path.Join(dir, e.name), depth-1) {
			return false
		}
		runs++
	}
	return runs > 0
}

// compareNames orders names: whole numbers come first, by value.
func compareNames(a, b string) int {
	numberA, numberB := isNumber(a), isNumber(b)
	switch {
	case numberA && numberB:
		valueA, valueB := strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if len(valueA) != len(valueB) {
			return len(valueA) - len(valueB)
		}
		if c := strings.Compare(valueA, valueB); c != 0 {
			return c
		}
	case numberA:
		return -1
	case numberB:
		return 1
	}
	return strings.Compare(a, b)
}

func isNumber(name string) bool { return name != "" && strings.Trim(name, "0123456789") == "" }
