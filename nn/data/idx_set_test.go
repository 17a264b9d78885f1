package data

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// idxOf is an IDX file of a type's code, with the elements' bytes.
func idxOf(code byte, elements []byte, dims ...int) []byte {
	raw := []byte{0, 0, code, byte(len(dims))}
	for _, d := range dims {
		raw = binary.BigEndian.AppendUint32(raw, uint32(d))
	}
	return append(raw, elements...)
}

func bigEndian[T int32 | float32](values ...T) []byte {
	var raw []byte
	for _, v := range values {
		switch v := any(v).(type) {
		case int32:
			raw = binary.BigEndian.AppendUint32(raw, uint32(v))
		case float32:
			raw = binary.BigEndian.AppendUint32(raw, math.Float32bits(v))
		}
	}
	return raw
}

// writeFiles writes files into a new folder.
func writeFiles(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, raw := range files {
		writeFile(t, filepath.Join(dir, name), raw)
	}
	return dir
}

// Images of 2x2 or 2x3, in the types and with the dimensions that IDX files have.
func TestIDXSets(t *testing.T) {
	images, labels := idxFile([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2), idxFile([]byte{1, 2}, 2)
	pair := func(i, l []byte) map[string][]byte {
		return map[string][]byte{"train-images-idx3-ubyte": i, "train-labels-idx1-ubyte": l, "t10k-images-idx3-ubyte": i, "t10k-labels-idx1-ubyte": l}
	}
	for name, c := range map[string]struct {
		files   map[string][]byte
		at      string // below the folder
		opt     Options
		classes []string
		first   []byte // the pixels of the training set's first image
		labels  []int32
	}{
		"labels from 1":  {files: pair(images, labels), classes: []string{"1", "2"}, first: []byte{1, 2, 3, 4}, labels: []int32{0, 1}},
		"named classes":  {files: pair(images, labels), opt: Options{Classes: []string{"x", "y", "z"}}, classes: []string{"x", "y", "z"}, first: []byte{1, 2, 3, 4}, labels: []int32{1, 2}},
		"by a file":      {files: pair(images, gzipped(labels)), at: "t10k-images-idx3-ubyte", classes: []string{"1", "2"}, first: []byte{1, 2, 3, 4}, labels: []int32{0, 1}},
		"4-D":            {files: pair(idxFile([]byte{1, 2, 3, 4, 5, 6}, 2, 1, 1, 3), labels), classes: []string{"1", "2"}, first: []byte{1, 2, 3}, labels: []int32{0, 1}},
		"4-D, planes":    {files: pair(idxFile([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 3, 1, 2), labels), classes: []string{"1", "2"}, first: []byte{1, 3, 5, 2, 4, 6}, labels: []int32{0, 1}},
		"float32":        {files: pair(idxOf(0x0d, bigEndian[float32](0, 1, 0.5, 0.2), 2, 1, 2), labels), classes: []string{"1", "2"}, first: []byte{0, 255}, labels: []int32{0, 1}},
		"QMNIST":         {files: pair(images, idxOf(0x0c, bigEndian[int32](7, 0, 0, 9, 1, 1), 2, 3)), classes: []string{"7", "9"}, first: []byte{1, 2, 3, 4}, labels: []int32{0, 1}},
		"transposed":     {files: pair(images, labels), opt: Options{Transpose: true}, classes: []string{"1", "2"}, first: []byte{1, 3, 2, 4}, labels: []int32{0, 1}},
		"roles by shape": {files: map[string][]byte{"train": images, "train-l": labels, "test": images, "test-l": labels}, classes: []string{"1", "2"}, first: []byte{1, 2, 3, 4}, labels: []int32{0, 1}},
		"in a subfolder": {files: map[string][]byte{"MNIST/raw/train-images.idx3-ubyte": images, "MNIST/raw/train-labels.idx1-ubyte": labels, "MNIST/raw/t10k-images.idx3-ubyte.gz": gzipped(images), "MNIST/raw/t10k-labels.idx1-ubyte": labels},
			classes: []string{"1", "2"}, first: []byte{1, 2, 3, 4}, labels: []int32{0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := Open(context.Background(), filepath.Join(writeFiles(t, c.files), c.at), c.opt)
			if err != nil {
				t.Fatal(err)
			}
			train := set.Train.(*InMemory)
			if !slices.Equal(train.ClassNames, c.classes) || !slices.Equal(train.Images[:len(c.first)], c.first) || !slices.Equal(train.Labels, c.labels) || set.Test.Len() != 2 {
				t.Errorf("classes %v, images %v, labels %v, %d test images", train.ClassNames, train.Images, train.Labels, set.Test.Len())
			}
		})
	}
}

// EMNIST's splits stand beside each other, store images by columns and have names for their classes.
func TestEMNIST(t *testing.T) {
	files := map[string][]byte{}
	for split, labels := range map[string][]byte{"letters": {1, 26}, "balanced": {10, 46}, "digits": {0, 9}, "byclass": {35, 61}, "mnist": {3, 4}, "bymerge": {36, 9}} {
		for _, part := range []string{"train", "test"} {
			files["emnist-"+split+"-"+part+"-images-idx3-ubyte.gz"] = gzipped(idxFile([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 2, 3))
			files["emnist-"+split+"-"+part+"-labels-idx1-ubyte.gz"] = gzipped(idxFile(labels, 2))
		}
	}
	dir := writeFiles(t, files)
	for split, want := range map[string]string{"letters": "26 AZ", "balanced": "47 At", "digits": "10 09", "byclass": "62 Zz", "mnist": "10 34", "bymerge": "47 a9"} {
		set, err := Open(context.Background(), filepath.Join(dir, "emnist-"+split), Options{})
		if err != nil {
			t.Fatal(err)
		}
		train := set.Train.(*InMemory)
		got := train.ClassNames[train.Labels[0]] + train.ClassNames[train.Labels[1]]
		if w := strings.Fields(want); w[1] != got || len(train.ClassNames) != map[string]int{"26": 26, "47": 47, "10": 10, "62": 62}[w[0]] {
			t.Errorf("%s: %d classes, the first two images are of %s, want %s", split, len(train.ClassNames), got, want)
		}
		if train.H != 3 || train.W != 2 || !slices.Equal(train.Images[:6], []byte{1, 4, 2, 5, 3, 6}) {
			t.Errorf("%s: %dx%d, %v", split, train.H, train.W, train.Images[:6])
		}
	}
	_, err := Open(context.Background(), dir, Options{})
	wantFormatError(t, err, dir, -1, "-data "+filepath.Join(dir, "emnist-balanced"), "emnist-letters")
}

// Without test images, a share of each class is held out; validation images take the place of missing test images.
func TestIDXSetWithoutTestImages(t *testing.T) {
	images, labels := idxFile(make([]byte, 20*4), 20, 2, 2), make([]byte, 20)
	for i := range labels {
		labels[i] = byte(i / 10)
	}
	dir := writeFiles(t, map[string][]byte{"mine-images": images, "mine-labels": idxFile(labels, 20)})
	set, err := Open(context.Background(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	counts, _ := ClassCounts(set.Test)
	if set.Train.Len() != 16 || !slices.Equal(counts, []int{2, 2}) {
		t.Errorf("%d training images, test %v", set.Train.Len(), counts)
	}
}

func TestIDXSetsRefuse(t *testing.T) {
	images, labels := idxFile([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2), idxFile([]byte{1, 2}, 2)
	for name, c := range map[string]struct {
		files map[string][]byte
		says  string
	}{
		"no labels":         {map[string][]byte{"train-images": images}, "want labels for these images"},
		"no images":         {map[string][]byte{"train-labels": labels}, "want images of a training set"},
		"negative":          {map[string][]byte{"train-images": idxOf(0x0d, bigEndian[float32](-1, 1, 0, 0), 2, 1, 2), "train-labels": labels}, "got -1 to 1"},
		"NaN":               {map[string][]byte{"train-images": idxOf(0x0d, bigEndian(float32(math.NaN()), 1, 0, 0), 2, 1, 2), "train-labels": labels}, "got NaN"},
		"one class":         {map[string][]byte{"train-images": images, "train-labels": idxFile([]byte{1, 1}, 2)}, "two classes"},
		"fractions":         {map[string][]byte{"train-images": images, "train-labels": idxOf(0x0d, bigEndian[float32](1, 0.5), 2)}, "whole numbers"},
		"a dimension of 0":  {map[string][]byte{"train-images": idxFile(nil, 2, 0, 2), "train-labels": labels}, "at least one image"},
		"huge dimensions":   {map[string][]byte{"train-images": idxOf(0x0e, nil, 1<<30, 1<<30, 1<<30), "train-labels": labels}, "elements for dimensions"},
		"other channels":    {map[string][]byte{"train-images": idxFile(make([]byte, 32), 2, 2, 4, 2), "train-labels": labels}, "1 or 3 channels"},
		"labels of a cube":  {map[string][]byte{"train-images": images, "train-labels": idxFile([]byte{1, 2}, 2, 1, 1)}, "labels as [n]"},
		"size of test":      {map[string][]byte{"train-images": images, "train-labels": labels, "test-images": idxFile([]byte{1, 2}, 2, 1, 1), "test-labels": labels}, "images of 2x2x1"},
		"number of classes": {map[string][]byte{"train-images": images, "train-labels": idxFile([]byte{0, 5}, 2)}, "labels from 0 to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			opt := Options{}
			if name == "number of classes" {
				opt.Classes = []string{"a", "b"}
			}
			_, err := Open(context.Background(), writeFiles(t, c.files), opt)
			var format *FormatError
			if !errors.As(err, &format) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	for name, want := range map[string]role{
		"train-images-idx3-ubyte":                  {"", trainPart, true, imagesRole},
		"t10k-labels.idx1-ubyte.gz":                {"", testPart, true, labelsRole},
		"emnist-letters-test-images-idx3-ubyte.gz": {"emnist-letters", testPart, true, imagesRole},
		"qmnist-train-labels-idx2-int.gz":          {"qmnist", trainPart, true, labelsRole},
		"x_train":                                  {"", trainPart, true, imagesRole},
		"Xval":                                     {"", valPart, true, imagesRole},
		"ytest":                                    {"", testPart, true, labelsRole},
		"k49-train-imgs.npz":                       {"k49", trainPart, true, imagesRole},
		"validation-00000-of-00001-abc.parquet":    {"", valPart, true, unknownRole},
		"train_data_y":                             {"", trainPart, true, imagesRole},
		"arr_0":                                    {},
		"y":                                        {"", trainPart, false, labelsRole},
		"data/xenon-labels.npy":                    {"xenon", trainPart, false, labelsRole},
	} {
		if got := roleOf(name); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func FuzzIDXSet(f *testing.F) {
	f.Add(idxFile([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2), idxFile([]byte{1, 2}, 2))
	f.Add(idxOf(0x0d, bigEndian[float32](0, 1, 0.5, 0.2), 2, 1, 2), idxOf(0x0c, bigEndian[int32](7, 0, 0, 9, 1, 1), 2, 3))
	f.Fuzz(func(t *testing.T, images, labels []byte) {
		i, err := parseIDXArray("images", images)
		var l *array
		if err == nil {
			l, err = parseIDXArray("labels", labels)
		}
		if err == nil {
			set := arraySet{name: "set", source: "set", images: [partCount]*array{i}, labels: [partCount]*array{l}}
			_, err = set.dataset(Options{})
		}
		onlyFormatErrors(t, err)
	})
}

// onlyFormatErrors fails a fuzz test at another error.
func onlyFormatErrors(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*FormatError](err); err != nil && !ok {
		t.Fatalf("want a *FormatError, got %v", err)
	}
}
