package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"trainer/nn/bounded"
)

// Data sets in MNIST's format: a pair of IDX files per part, images [n, h, w] (or with channels) and labels [n], [n, 1]
// or, in QMNIST, [n, 8] with the label first. What a file holds is in its name, such as train-images-idx3-ubyte,
// t10k-labels.idx1-ubyte.gz or emnist-letters-test-images-idx3-ubyte, or else in its number of dimensions.

// idxElements are IDX's codes of types, and what they stand for. Elements are big endian.
func idxElements() map[byte]element {
	return map[byte]element{
		idxUint8: uint8Element, 0x09: int8Element, 0x0b: int16Element, 0x0c: int32Element, 0x0d: float32Element, 0x0e: float64Element,
	}
}

const maxIDXRank = 4

// parseIDXArray reads an IDX file of any type; see ParseIDX for the format. The elements share raw's memory.
func parseIDXArray(file string, raw []byte) (*array, error) {
	if !isIDX(raw) {
		return nil, &FormatError{file, 0, "an IDX file: a magic number such as 0x00000803", fmt.Sprintf("%#x", raw[:min(len(raw), 4)])}
	}
	rank := int(raw[3])
	start := 4 + 4*rank
	if len(raw) < start {
		return nil, &FormatError{file, int64(len(raw)), fmt.Sprintf("an IDX header of %d bytes", start), "end of file"}
	}
	a := &array{file: file, offset: int64(start), kind: idxElements()[raw[2]], order: binary.BigEndian, raw: raw[start:]}
	for i := range rank {
		d := binary.BigEndian.Uint32(raw[4+4*i:])
		if d > 1<<31-1 {
			return nil, &FormatError{file, int64(4 + 4*i), "a dimension below 2^31", fmt.Sprint(d)}
		}
		a.dims = append(a.dims, int(d))
	}
	got := int64(len(a.raw)) / int64(a.kind.size())
	want, ok := elements(a.dims, bounded.Budget(int64(len(raw))))
	if !ok || want != got || len(a.raw)%a.kind.size() != 0 {
		at := got // where the file ends, or should end
		if ok {
			at = min(want, got)
		}
		return nil, &FormatError{file, a.offset + at*int64(a.kind.size()), fmt.Sprintf("%s elements for dimensions %v", product(a.dims), a.dims), fmt.Sprint(got)}
	}
	return a, nil
}

// product returns the product of dimensions for a message.
func product(dims []int) string {
	x := 1.0
	for _, d := range dims {
		x *= float64(d)
	}
	return fmt.Sprintf("%.0f", x)
}

// isIDX reports whether a file begins like an IDX file.
func isIDX(head []byte) bool {
	if len(head) < 4 || head[0] != 0 || head[1] != 0 {
		return false
	}
	_, ok := idxElements()[head[2]]
	return ok && head[3] >= 1 && head[3] <= maxIDXRank
}

// idxSets holds the IDX files of a folder, by the prefix of their names.
type idxSets map[string]*idxFiles

// idxFiles are the files of one data set; a missing one is "".
type idxFiles struct{ images, labels [partCount]string }

// findIDX finds the IDX files of a folder by their first bytes.
func findIDX(t tree, dir string) (idxSets, error) {
	entries, err := t.list(dir)
	if err != nil {
		return nil, err
	}
	sets := idxSets{}
	for _, e := range entries {
		if e.isFolder || isIgnored(e.name) || isNamedLikeAPicture(e.name) {
			continue
		}
		name := path.Join(dir, e.name)
		head := firstUnzipped(t, name)
		if !isIDX(head) {
			continue
		}
		r := roleOf(e.name)
		if r.kind == unknownRole {
			r.kind = labelsRole
			if head[3] >= 3 {
				r.kind = imagesRole
			}
		}
		files := sets[r.prefix]
		if files == nil {
			files = &idxFiles{}
			sets[r.prefix] = files
		}
		place := &files.labels[r.part]
		if r.kind == imagesRole {
			place = &files.images[r.part]
		}
		if *place == "" { // a file comes before its compressed copy
			*place = name
		}
	}
	return sets, nil
}

// isNamedLikeAPicture reports whether a file's name is that of a picture.
func isNamedLikeAPicture(name string) bool {
	ending := strings.ToLower(path.Ext(name))
	return slices.Contains(readableEndings, ending) || slices.Contains(foreignEndings, ending)
}

// firstUnzipped returns the first bytes of a file, after decompression.
func firstUnzipped(t tree, name string) []byte {
	head := firstBytes(t, name)
	if !bytes.HasPrefix(head, []byte(gzipMagic)) {
		return head
	}
	file, err := t.open(name)
	if err != nil {
		return nil
	}
	defer file.Close()
	unzip, err := gzip.NewReader(file)
	if err != nil {
		return nil
	}
	head = make([]byte, 16)
	n, _ := io.ReadFull(unzip, head)
	return head[:n]
}

// names returns the prefixes, sorted.
func (s idxSets) names() []string { return slices.Sorted(maps.Keys(s)) }

// open reads the set with a prefix.
func (s idxSets) open(ctx context.Context, name, source string, t tree, prefix string, names func([]int64) ([]string, []int64), opt Options) (*Dataset, error) {
	files := s[prefix]
	set := &arraySet{name: name, source: source, names: names, transpose: opt.Transpose || strings.HasPrefix(prefix, "emnist")}
	err := parallel(2*int(partCount), 2*int(partCount), func(i int) error {
		file, place := files.images[i/2], &set.images[i/2]
		if i%2 == 1 {
			file, place = files.labels[i/2], &set.labels[i/2]
		}
		if file == "" {
			return nil
		}
		raw, err := readFile(ctx, t, file)
		if err == nil {
			*place, err = parseIDXArray(t.show(file), raw)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return set.dataset(opt)
}

// openIDXDir reads a set in MNIST's format from opt.Dir, or from its subfolder with the set's name. If the user gives a
// folder, no other place is searched, because training would silently use other files than the user meant.
func openIDXDir(ctx context.Context, name string, names func([]int64) ([]string, []int64), hint string, opt Options) (*Dataset, error) {
	for _, dir := range []string{opt.Dir, filepath.Join(opt.Dir, name)} {
		t := osTree(dir)
		sets, err := findIDX(t, ".")
		if err != nil || len(sets) == 0 {
			continue
		}
		prefix, err := sets.choose(dir, name, "")
		if err != nil {
			return nil, err
		}
		if emnist := emnistNames(prefix); emnist != nil {
			names = emnist
		}
		return sets.open(ctx, name, dir, t, prefix, names, opt)
	}
	return nil, &NotFoundError{Name: name, Valid: Names(), Reason: fmt.Sprintf("%s has no IDX files such as %s.gz%s", opt.Dir, idxNames[0], hint)}
}

// choose returns the prefix of the set to read: the only one, or one of the preferred ones.
func (s idxSets) choose(dir string, preferred ...string) (string, error) {
	if len(s) == 1 {
		return s.names()[0], nil
	}
	for _, p := range preferred {
		if _, ok := s[p]; ok {
			return p, nil
		}
	}
	return "", &FormatError{dir, -1, fmt.Sprintf("one data set; to choose: -data %s", filepath.Join(dir, s.names()[0])), "IDX files of " + strings.Join(s.names(), ", ")}
}

// openIDX reads the IDX files of a folder in a tree. prefix is the beginning of their names, or "".
func openIDX(ctx context.Context, name, source string, t tree, dir, prefix string, opt Options) (*Dataset, error) {
	sets, err := findIDX(t, dir)
	if err != nil {
		return nil, err
	}
	if _, ok := sets[prefix]; prefix == "" || !ok {
		if prefix, err = sets.choose(source); err != nil {
			return nil, err
		}
	}
	return sets.open(ctx, name, source, t, prefix, emnistNames(prefix), opt)
}

// emnistNames returns the classes of a split of EMNIST (Cohen et al., "EMNIST: an extension of MNIST to handwritten
// letters", 2017), whose name follows "emnist-" in the names of its files, or nil. Letters that look alike in both cases
// are one class in the splits balanced and bymerge, and all are in the split letters, which counts from 1.
func emnistNames(prefix string) func([]int64) ([]string, []int64) {
	const digits, upper = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	var characters string
	first := int64(0)
	switch split, _ := strings.CutPrefix(prefix, "emnist-"); split {
	case "letters":
		characters, first = upper, 1
	case "digits", "mnist":
		characters = digits
	case "byclass":
		characters = digits + upper + strings.ToLower(upper)
	case "balanced", "bymerge":
		characters = digits + upper + "abdefghnqrt"
	}
	if characters == "" || !strings.HasPrefix(prefix, "emnist-") {
		return nil
	}
	labels := counted(len(characters))
	for i := range labels {
		labels[i] += first
	}
	return func([]int64) ([]string, []int64) { return strings.Split(characters, ""), labels }
}
