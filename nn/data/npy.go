package data

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"trainer/nn/bounded"
)

const npyMagic = "\x93NUMPY"

var (
	npyDescr   = regexp.MustCompile(`'descr'\s*:\s*'([<>|=]?)([a-z][0-9]+)'`)
	npyFortran = regexp.MustCompile(`'fortran_order'\s*:\s*(True|False)`)
	npyShape   = regexp.MustCompile(`'shape'\s*:\s*\(([0-9, ]*)\)`)
)

// parseNPY reads an array as numpy.save writes it (numpy.lib.format in NumPy's reference):
//
//	0 .. 6      "\x93NUMPY"
//	6, 7        version: 1, 2 or 3, and 0
//	8 .. 10     length of the header, little endian; in versions 2 and 3, four bytes
//	then        {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }
//	then        the elements
//
// The elements share raw's memory. Errors are *FormatError.
func parseNPY(file string, raw []byte) (*array, error) {
	if len(raw) < 12 || !bytes.HasPrefix(raw, []byte(npyMagic)) || raw[6] < 1 || raw[6] > 3 {
		return nil, &FormatError{file, 0, "an array of numpy.save, version 1 to 3", fmt.Sprintf("%.8q", raw)}
	}
	start, length := 10, int64(binary.LittleEndian.Uint16(raw[8:]))
	if raw[6] > 1 {
		start, length = 12, int64(binary.LittleEndian.Uint32(raw[8:]))
	}
	if length > int64(len(raw)-start) || length > 1<<16 {
		return nil, &FormatError{file, 8, "a header of at most 65536 bytes", fmt.Sprintf("%d bytes, in a file of %d", length, len(raw))}
	}
	header := string(raw[start : start+int(length)])
	a := &array{file: file, offset: int64(start) + length, raw: raw[start+int(length):]}
	if err := a.readNPYHeader(header, int64(start)); err != nil {
		return nil, err
	}
	size := int64(a.kind.size())
	n, ok := elements(a.dims, bounded.Budget(int64(len(raw))))
	if got := int64(len(a.raw)); !ok || n*size != got {
		return nil, &FormatError{file, int64(len(raw)), fmt.Sprintf("%s elements of %d bytes", product(a.dims), size), fmt.Sprintf("%d bytes", got)}
	}
	return a, nil
}

// readNPYHeader sets type and dimensions.
func (a *array) readNPYHeader(header string, at int64) error {
	descr, fortran, shape := npyDescr.FindStringSubmatch(header), npyFortran.FindStringSubmatch(header), npyShape.FindStringSubmatch(header)
	if descr == nil || fortran == nil || shape == nil {
		return &FormatError{a.file, at, "an array of numbers: descr, fortran_order and shape", fmt.Sprintf("%.120q", header)}
	}
	kind, ok := numpyElement(descr[2])
	if !ok {
		return &FormatError{a.file, at, "elements of type u1, i1, ... i8, f4 or f8", strconv.Quote(descr[1] + descr[2])}
	}
	a.kind, a.order = kind, binary.LittleEndian
	if descr[1] == ">" {
		a.order = binary.BigEndian
	}
	for _, d := range strings.FieldsFunc(shape[1], func(c rune) bool { return c == ',' || c == ' ' }) {
		n, err := strconv.ParseInt(d, 10, 32)
		if err != nil {
			return &FormatError{a.file, at, "dimensions below 2^31", fmt.Sprintf("%.40q", d)}
		}
		a.dims = append(a.dims, int(n))
	}
	if len(a.dims) > 1 && fortran[1] == "True" {
		return &FormatError{a.file, at, "an array stored by rows (numpy.ascontiguousarray)", "fortran_order: True"}
	}
	return nil
}

// parseNPZ reads the arrays of an archive as numpy.savez writes it: a zip archive of .npy files. Arrays of other types
// than numbers are left out.
func parseNPZ(ctx context.Context, file string, raw []byte) (map[string]*array, error) {
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, &FormatError{file, -1, "an archive of numpy.savez", err.Error()}
	}
	left := bounded.Budget(int64(len(raw)))
	arrays := map[string]*array{}
	for _, member := range z.File {
		name, isNPY := strings.CutSuffix(member.Name, ".npy")
		if !isNPY {
			continue
		}
		shown := quoted(file + ":" + member.Name)
		content, err := member.Open()
		if err != nil {
			return nil, &FormatError{shown, -1, "a member of the archive", err.Error()}
		}
		unpacked, err := bounded.ReadAll(bounded.Context(ctx, content), shown, left, int64(min(member.UncompressedSize64, 1<<40)))
		content.Close()
		if err != nil {
			return nil, streamError(shown, int64(len(unpacked)), "more data", err)
		}
		left -= int64(len(unpacked))
		a, err := parseNPY(shown, unpacked)
		if err != nil {
			if isOfOtherType(unpacked) {
				continue
			}
			return nil, err
		}
		arrays[name] = a
	}
	return arrays, nil
}

// isOfOtherType reports whether an array has elements that aren't numbers, such as the names of classes.
func isOfOtherType(raw []byte) bool {
	header := string(raw[:min(len(raw), 256)])
	return strings.Contains(header, "'descr': '<U") || strings.Contains(header, "'descr': '|S") || strings.Contains(header, "'descr': '|O'")
}

// isArrayFile reports whether a file's name is one of NumPy's.
func isArrayFile(name string) bool {
	ending := strings.ToLower(path.Ext(name))
	return ending == ".npy" || ending == ".npz"
}

// openArrays reads a data set from files of NumPy in a folder of a tree. Images and labels have names such as x_train and
// y_train, train_images and train_labels, or X and y: either the arrays in an .npz file, or the files.
func openArrays(ctx context.Context, name, source string, t tree, files []string, opt Options) (*Dataset, error) {
	set := &arraySet{name: name, source: source, transpose: opt.Transpose}
	for _, file := range files {
		raw, err := readFile(ctx, t, file)
		if err != nil {
			return nil, err
		}
		arrays := map[string]*array{}
		if strings.HasPrefix(string(raw[:min(len(raw), 4)]), zipMagic) {
			arrays, err = parseNPZ(ctx, t.show(file), raw)
		} else {
			arrays[""], err = parseNPY(t.show(file), raw)
		}
		if err != nil {
			return nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(arrays)) {
			if err := set.add(roleOf(strings.TrimSuffix(path.Base(file), path.Ext(file))), roleOf(key), arrays[key]); err != nil {
				return nil, err
			}
		}
	}
	if set.images[trainPart] == nil {
		return nil, &FormatError{source, -1, "arrays of images and labels, such as x_train and y_train", "none with such names"}
	}
	return set.dataset(opt)
}

// add gives an array its place. The name of the array counts more than that of the file. An array that is neither images
// nor labels is left out.
func (s *arraySet) add(file, key role, a *array) error {
	kind, part := key.kind, key.part
	if kind == unknownRole {
		kind = file.kind
	}
	if !key.hasPart {
		part = file.part
	}
	var place **array
	switch kind {
	case imagesRole:
		place = &s.images[part]
	case labelsRole:
		place = &s.labels[part]
	default:
		return nil
	}
	if *place != nil {
		return &FormatError{a.file, -1, "one array for each part and role", "another one in " + (*place).file}
	}
	*place = a
	return nil
}
