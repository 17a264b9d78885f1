package data

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// layout holds the folders of the parts of a data set. If the folder isn't split into parts, train is the folder
// itself.
type layout struct {
	train, val, test string // "" if missing
}

// The names of the parts, in lower case; any case is accepted.
var (
	trainNames = []string{"train", "training"}
	valNames   = []string{"val", "valid", "validation", "dev"}
	testNames  = []string{"test", "testing"}
)

// findLayout finds the folders of root that are its parts. A folder "train" is a part if it has subfolders, and an
// ordinary class if it holds pictures.
func findLayout(root string) (layout, error) {
	names, err := subfolders(root)
	if err != nil {
		return layout{}, err
	}
	part := func(valid []string) string {
		for _, want := range valid {
			for _, name := range names {
				if strings.ToLower(name) == want {
					return filepath.Join(root, name)
				}
			}
		}
		return ""
	}
	l := layout{train: part(trainNames), val: part(valNames), test: part(testNames)}
	if l.train == "" {
		return layout{train: root}, nil
	}
	classes, err := subfolders(l.train)
	if err != nil {
		return layout{}, err
	}
	if len(classes) == 0 {
		return layout{train: root}, nil
	}
	return l, nil
}

// subfolders returns the names of dir's subfolders (or links to folders) that can hold pictures, in natural order:
// numbers by their value.
func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); !isIgnored(e.Name()) && isFolder(path) && !isRunFolder(path) {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, compareNames)
	return names, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// isIgnored reports whether a name is hidden or was left behind by an operating system.
func isIgnored(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains([]string{"__MACOSX", "$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "desktop.ini", "@eaDir"}, name)
}

// isRunFolder reports whether a folder was written by a training, or holds only such folders.
func isRunFolder(dir string) bool {
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	if exists("config.toml") && (exists("metrics.jsonl") || exists("data.json")) {
		return true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	runs := 0
	for _, e := range entries {
		if isIgnored(e.Name()) {
			continue
		}
		if !e.IsDir() || !isRunFolder(filepath.Join(dir, e.Name())) {
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
