package data

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"trainer/nn/bounded"
)

// The forms in which CIFAR-10 and CIFAR-100 are given out (Krizhevsky, "Learning Multiple Layers of Features from Tiny
// Images", 2009): binary records, and pickles of Python. In both, an image is three planes of 32x32 bytes: red, green and
// blue. CIFAR-100 has two labels per image: one of 100 classes ("fine"), and the superclass, one of 20 ("coarse").

// cifarForm is one of the forms.
type cifarForm struct {
	set         string   // name of the data set
	train, test []string // files
	isPickle    bool
	meta        string            // file with the classes' names; for binary files, by label, below
	names       map[string]string // label -> file with one name per line; nil for pickles
	labelAt     map[string]int    // label -> byte of a binary record
	record      int               // bytes of a binary record
}

// cifarForms returns all forms.
func cifarForms() []cifarForm {
	ten, pickles := cifarNames[:5], make([]string, 5)
	for i, name := range ten {
		pickles[i] = strings.TrimSuffix(name, ".bin")
	}
	return []cifarForm{
		{set: "cifar10", train: ten, test: cifarNames[5:], names: map[string]string{"": cifarMeta}, labelAt: map[string]int{"": 0}, record: cifarRecord},
		{set: "cifar10", train: pickles, test: []string{"test_batch"}, isPickle: true, meta: "batches.meta"},
		{set: "cifar100", train: []string{"train.bin"}, test: []string{"test.bin"}, record: cifarRecord + 1, labelAt: map[string]int{"fine": 1, "coarse": 0},
			names: map[string]string{"fine": "fine_label_names.txt", "coarse": "coarse_label_names.txt"}},
		{set: "cifar100", train: []string{"train"}, test: []string{"test"}, isPickle: true, meta: "meta"},
	}
}

// isCIFARFile reports whether a file belongs to one of the forms.
func isCIFARFile(name string) bool {
	for _, f := range cifarForms() {
		if slices.Contains(f.train, name) || slices.Contains(f.test, name) || name == f.meta {
			return true
		}
		for _, names := range f.names {
			if name == names {
				return true
			}
		}
	}
	return false
}

// findCIFARForm returns the form of the files in a folder, or nil: all files of the test set and one of the training
// set must be there, so that a missing one is reported. Of CIFAR-100, whose names are short, the names of the classes
// too.
func findCIFARForm(t tree, dir string) *cifarForm {
	entries, err := t.list(dir)
	if err != nil {
		return nil
	}
	has := func(name string) bool { return slices.Contains(entries, entry{name: name}) }
	for _, f := range cifarForms() {
		isThere := slices.ContainsFunc(f.train, has) || has(f.test[0])
		if f.set == "cifar100" {
			isThere = has(f.train[0]) && has(f.test[0]) && (has(f.meta) || has(f.names["fine"]))
		}
		if isThere {
			return &f
		}
	}
	return nil
}

// open reads the files in a folder of a tree. source is the tree's path, for messages.
func (f *cifarForm) open(ctx context.Context, source string, t tree, dir string, opt Options) (*Dataset, error) {
	label := opt.Labels
	switch {
	case f.set == "cifar100" && label == "":
		label = "fine"
	case f.set == "cifar100" && label != "fine" && label != "coarse", f.set == "cifar10" && label != "":
		want := `"fine" or "coarse"`
		if f.set == "cifar10" {
			want = "none for " + f.set
		}
		return nil, fmt.Errorf("data.labels: want %s, got %q", want, label)
	}
	classes, err := f.classes(ctx, t, dir, label)
	if err != nil {
		return nil, err
	}
	set := &arraySet{name: f.set, source: source}
	if classes != nil {
		set.names = func([]int64) ([]string, []int64) { return classes, counted(len(classes)) }
	}
	for p, files := range map[part][]string{trainPart: f.train, testPart: f.test} {
		if set.images[p], set.labels[p], err = f.readPart(ctx, t, dir, files, label); err != nil {
			return nil, err
		}
	}
	return set.dataset(opt)
}

// cifarPart is the content of a file: image i's planes begin at raw[first+i*step].
type cifarPart struct {
	file        string
	raw         []byte
	first, step int
	labels      []int64
}

// readPart reads and joins the files of a part: images [n, 32, 32, 3] and labels [n].
func (f *cifarForm) readPart(ctx context.Context, t tree, dir string, files []string, label string) (images, labels *array, err error) {
	parts := make([]cifarPart, len(files))
	err = parallel(len(files), len(files), func(i int) error {
		name := path.Join(dir, files[i])
		raw, err := readFile(ctx, t, name)
		if err != nil {
			return err
		}
		if f.isPickle {
			parts[i], err = cifarPickle(t.show(name), raw, label)
		} else {
			parts[i], err = f.records(t.show(name), raw, label)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	perFile := len(parts[0].labels)
	for _, p := range parts {
		if got := len(p.labels); got != perFile {
			return nil, nil, &FormatError{p.file, int64(min(got, perFile) * p.step), fmt.Sprintf("%d images, as in %s", perFile, parts[0].file), fmt.Sprint(got)}
		}
	}
	n := perFile * len(parts)
	images = &array{file: parts[0].file, dims: []int{n, cifarSide, cifarSide, 3}, raw: make([]byte, n*cifarPixels)}
	labels = &array{file: parts[0].file, dims: []int{n}, kind: int64Element, order: binary.LittleEndian, raw: make([]byte, 0, 8*n)}
	err = parallel(len(parts), len(parts), func(i int) error {
		for k := range perFile {
			at := parts[i].first + k*parts[i].step
			interleave(images.raw[(i*perFile+k)*cifarPixels:][:cifarPixels], parts[i].raw[at:at+cifarPixels])
		}
		return nil
	})
	for _, p := range parts {
		for _, v := range p.labels {
			labels.raw = binary.LittleEndian.AppendUint64(labels.raw, uint64(v))
		}
	}
	return images, labels, err
}

// interleave turns an image of three planes into one of pixels.
func interleave(image, planes []byte) {
	red, green, blue := planes[:cifarPlane], planes[cifarPlane:2*cifarPlane], planes[2*cifarPlane:]
	for p := range cifarPlane {
		image[3*p], image[3*p+1], image[3*p+2] = red[p], green[p], blue[p]
	}
}

// cifarLabels are the numbers of classes of each label.
func cifarLabels() map[string]int { return map[string]int{"": 10, "fine": 100, "coarse": 20} }

// records reads a binary file.
func (f *cifarForm) records(file string, raw []byte, label string) (cifarPart, error) {
	part := cifarPart{file: file, raw: raw, first: f.record - cifarPixels, step: f.record}
	if len(raw) == 0 {
		return part, &FormatError{file, 0, fmt.Sprintf("records of %d bytes", f.record), "an empty file"}
	}
	if rest := len(raw) % f.record; rest != 0 {
		return part, &FormatError{file, int64(len(raw) - rest), fmt.Sprintf("a record of %d bytes", f.record), fmt.Sprintf("%d bytes", rest)}
	}
	classes := cifarLabels()[label]
	for at := f.labelAt[label]; at < len(raw); at += f.record {
		if int(raw[at]) >= classes {
			return part, &FormatError{file, int64(at), fmt.Sprintf("a label from 0 to %d", classes-1), fmt.Sprint(raw[at])}
		}
		part.labels = append(part.labels, int64(raw[at]))
	}
	return part, nil
}

// cifarPickle reads a pickle: a dictionary with "data", and "labels" or "fine_labels" and "coarse_labels".
func cifarPickle(file string, raw []byte, label string) (cifarPart, error) {
	v, err := unpickle(file, raw)
	if err != nil {
		return cifarPart{}, err
	}
	key := "labels"
	if label != "" {
		key = label + "_labels"
	}
	dict, ok := v.(*pickleDict)
	var images, numbers *array
	if ok {
		images, ok = dict.items["data"].(*array)
	}
	if ok {
		numbers, ok = numbersOf(file, dict.items[key])
	}
	if !ok || images.kind != uint8Element || len(images.dims) != 2 || images.dims[1] != cifarPixels {
		return cifarPart{}, &FormatError{file, -1, fmt.Sprintf(`a dictionary with "data", an array [n, %d] of bytes, and %q, a list`, cifarPixels, key), "something else"}
	}
	labels, err := numbers.labels()
	if err != nil {
		return cifarPart{}, err
	}
	if len(labels) != images.dims[0] || len(labels) == 0 {
		return cifarPart{}, &FormatError{file, -1, fmt.Sprintf("%d labels, one per image", images.dims[0]), fmt.Sprint(len(labels))}
	}
	return cifarPart{file: file, raw: images.raw, step: cifarPixels, labels: labels}, nil
}

// classes returns the names of the classes, or nil if the file that has them is missing.
func (f *cifarForm) classes(ctx context.Context, t tree, dir, label string) ([]string, error) {
	file := f.meta
	if !f.isPickle {
		file = f.names[label]
	}
	if !hasFile(t, dir, file) {
		if f.set == "cifar10" {
			return cifarClasses(), nil
		}
		return nil, nil
	}
	name := path.Join(dir, file)
	raw, err := readFile(ctx, t, name)
	if err != nil {
		return nil, err
	}
	want := cifarLabels()[label]
	names := strings.Fields(string(raw))
	if f.isPickle {
		v, err := unpickle(t.show(name), raw)
		if err != nil {
			return nil, err
		}
		names = nil
		if dict, ok := v.(*pickleDict); ok {
			names, _ = textsOf(dict.items[strings.TrimPrefix(label+"_label_names", "_")])
		}
	}
	if len(names) != want {
		return nil, &FormatError{t.show(name), -1, fmt.Sprintf("%d class names", want), fmt.Sprint(len(names))}
	}
	return names, nil
}

// readTarInMemory reads the members of a tar archive that keep accepts by their names, without their folders.
func readTarInMemory(ctx context.Context, file string, keep func(name string) bool) (*archive, error) {
	f, err := bounded.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a := newArchive(file)
	var content [][]byte
	at, err := bounded.Tar(ctx, f, func(e *bounded.Entry) error {
		name := path.Base(e.Name)
		if !keep(name) {
			return nil
		}
		raw, err := e.ReadAll()
		if err == nil {
			err = a.add(name, len(content))
			content = append(content, raw)
		}
		return err
	})
	if err != nil {
		return nil, streamError(file, at, "an archive of tar and gzip", err)
	}
	a.finish()
	a.content = func(i int) (io.ReadSeekCloser, error) { return memoryFile{bytes.NewReader(content[i])}, nil }
	return a, nil
}

// memoryFile is a file in memory.
type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }
