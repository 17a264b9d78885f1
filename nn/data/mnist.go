package data

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed mnist/*.gz
var mnistFiles embed.FS

// idxNames are the four files of a set in MNIST's format, in the order train images, train
// labels, test images, test labels.
var idxNames = [4]string{
	"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
	"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
}

func mnistClasses() []string {
	return []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
}

func mnistKind() SetKind {
	return SetKind{
		Name: "mnist", Doc: "60,000 + 10,000 handwritten digits, 28x28 gray; embedded in the program",
		ImageShape: [3]int{28, 28, 1}, TrainImages: 60_000, Recipe: "mnist",
		Open: openMNIST,
	}
}

// openMNIST reads the files in opt.Dir if that is given, and otherwise the embedded files.
func openMNIST(ctx context.Context, opt Options) (*Dataset, error) {
	if opt.Dir == "" {
		return readIDXSplit("mnist", "embedded", mnistClasses(), func(i int) (string, []byte, error) {
			name := "mnist/" + idxNames[i] + ".gz"
			raw, err := mnistFiles.ReadFile(name)
			return "embedded:" + name, raw, err
		})
	}
	return openIDXFolder(ctx, "mnist", opt.Dir, mnistClasses(), "; without -data-dir, the embedded files are used")
}

// openIDXFolder reads a set in MNIST's format from dir, or from its subfolder with the set's name. If the user gives a
// folder, no other place is searched, because training would silently use other files than the user meant.
func openIDXFolder(ctx context.Context, name, dir string, classes []string, hint string) (*Dataset, error) {
	for _, dir := range []string{dir, filepath.Join(dir, name)} {
		if hasIDX(dir) {
			return readIDXFolder(ctx, name, dir, classes)
		}
	}
	return nil, &NotFoundError{Name: name, Valid: Names(), Reason: fmt.Sprintf("%s has no %s[.gz]%s", dir, idxNames[0], hint)}
}

// hasIDX reports whether dir has the first of the four files.
func hasIDX(dir string) bool {
	_, err := findIDX(dir, 0)
	return err == nil
}

// findIDX returns the path of file i of idxNames in dir: plain or compressed, and with a dot before "idx", as some
// programs unpack it. If the file is missing, the error is fs.ErrNotExist.
func findIDX(dir string, i int) (string, error) {
	dotted := strings.Replace(idxNames[i], "-idx", ".idx", 1)
	for _, name := range []string{idxNames[i], idxNames[i] + ".gz", dotted, dotted + ".gz"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", &fs.PathError{Op: "open", Path: filepath.Join(dir, idxNames[i]), Err: fs.ErrNotExist}
}

// readIDXFolder reads the four files in dir.
func readIDXFolder(ctx context.Context, name, dir string, classes []string) (*Dataset, error) {
	return readIDXSplit(name, dir, classes, func(i int) (string, []byte, error) {
		path, err := findIDX(dir, i)
		if err != nil {
			return "", nil, err
		}
		raw, err := readWhole(ctx, path)
		return path, raw, err
	})
}

// readIDXSplit parses the four files, each in its own goroutine, and joins images and labels.
// read returns the path and the content of file i of idxNames.
func readIDXSplit(name, source string, classes []string, read func(i int) (string, []byte, error)) (*Dataset, error) {
	var paths [4]string
	var dims [4][]int
	var elements [4][]byte
	err := parallel(4, 4, func(i int) error {
		path, raw, err := read(i)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		paths[i] = path
		dims[i], elements[i], err = ParseIDX(path, raw, []int{3, 1}[i%2])
		return err
	})
	if err != nil {
		return nil, err
	}
	var sets [2]*InMemory
	for k := range sets {
		images, labels := 2*k, 2*k+1
		set, err := joinIDX(name, classes, paths[images], dims[images], elements[images], paths[labels], elements[labels])
		if err != nil {
			return nil, err
		}
		sets[k] = set
	}
	train, test := sets[0], sets[1]
	if train.H != test.H || train.W != test.W {
		return nil, &FormatError{paths[2], 8, fmt.Sprintf("images of %dx%d, as in %s", train.H, train.W, paths[0]),
			fmt.Sprintf("%dx%d", test.H, test.W)}
	}
	return &Dataset{Name: name, Train: train, Test: test, Source: source}, nil
}

// joinIDX makes a set of images [n, h, w] and labels [n].
func joinIDX(name string, classes []string, imagePath string, dims []int, images []byte, labelPath string, labels []byte) (*InMemory, error) {
	n, h, w := dims[0], dims[1], dims[2]
	if n == 0 || h == 0 || w == 0 {
		return nil, &FormatError{imagePath, 4, "at least one image with pixels", fmt.Sprintf("dimensions %v", dims)}
	}
	if len(labels) != n {
		return nil, &FormatError{labelPath, 4, fmt.Sprintf("%d labels, one for each image of %s", n, imagePath), fmt.Sprint(len(labels))}
	}
	set := &InMemory{Name: name, H: h, W: w, C: 1, ClassNames: classes, Images: images, Labels: make([]int32, n)}
	for i, label := range labels {
		if int(label) >= len(classes) {
			return nil, &FormatError{labelPath, int64(8 + i), fmt.Sprintf("a label from 0 to %d", len(classes)-1), fmt.Sprint(label)}
		}
		set.Labels[i] = int32(label)
	}
	return set, nil
}
