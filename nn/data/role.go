package data

import (
	"path"
	"slices"
	"strings"
)

// Files and arrays say in their names what they hold: train-images-idx3-ubyte, emnist-letters-test-labels-idx1-ubyte,
// x_train, val_images.

// part is a part of a data set.
type part int

const (
	trainPart part = iota
	valPart
	testPart
	partCount
)

// role is what the name of a file or an array says.
type role struct {
	prefix  string // the words before, joined with "-"; "" if there are none
	part    part
	hasPart bool
	kind    roleKind
}

type roleKind uint8

const (
	unknownRole roleKind = iota
	imagesRole
	labelsRole
)

// The words that name parts and roles, in lower case.
var (
	imageWords = []string{"x", "images", "image", "imgs", "img", "data", "pixels", "features"}
	labelWords = []string{"y", "labels", "label", "targets", "target"}
)

// partNamed returns the part that a word names.
func partNamed(word string) (part, bool) {
	switch word = strings.ToLower(word); {
	case slices.Contains(trainNames, word):
		return trainPart, true
	case slices.Contains(valNames, word):
		return valPart, true
	case slices.Contains(testNames, word), word == "t10k":
		return testPart, true
	}
	return trainPart, false
}

// roleOf reads a name.
func roleOf(name string) role {
	var r role
	var before []string
	for _, word := range strings.FieldsFunc(strings.ToLower(path.Base(name)), isSeparator) {
		if len(word) > 2 && (word[0] == 'x' || word[0] == 'y') { // xtrain
			if _, isPart := partNamed(word[1:]); isPart {
				r.setKind(word[:1])
				word = word[1:]
			}
		}
		switch p, isPart := partNamed(word); {
		case isPart && !r.hasPart:
			r.part, r.hasPart = p, true
		case r.setKind(word):
		case !r.hasPart && r.kind == unknownRole:
			before = append(before, word)
		}
	}
	if r.hasPart || r.kind != unknownRole {
		r.prefix = strings.Join(before, "-")
	}
	return r
}

// setKind notes what a word names, if nothing did before.
func (r *role) setKind(word string) bool {
	kind := unknownRole
	switch {
	case slices.Contains(imageWords, word):
		kind = imagesRole
	case slices.Contains(labelWords, word):
		kind = labelsRole
	}
	if kind == unknownRole || r.kind != unknownRole {
		return false
	}
	r.kind = kind
	return true
}

func isSeparator(c rune) bool { return strings.ContainsRune("-_. ", c) }
