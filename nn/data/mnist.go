package data

import (
	"bytes"
	"context"

	"trainer/nn/bounded"
)

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

// openMNIST reads the files in opt.Dir if that is given, and otherwise the embedded files. The user's files may be those
// of another set in MNIST's format: if they have other labels than 0 to 9, these are the classes.
func openMNIST(ctx context.Context, opt Options) (*Dataset, error) {
	names := func(values []int64) ([]string, []int64) {
		if values[0] < 0 || values[len(values)-1] > 9 {
			return nil, nil
		}
		return mnistClasses(), counted(10)
	}
	if opt.Dir != "" {
		return openIDXDir(ctx, "mnist", names, "; without -data-dir, the embedded files are used", opt)
	}
	set := &arraySet{name: "mnist", source: "embedded", names: names}
	var arrays [4]*array
	err := parallel(4, 4, func(i int) (err error) {
		file := "mnist/" + idxNames[i] + ".gz"
		zipped, err := mnistFiles.ReadFile(file)
		if err != nil {
			return err
		}
		unzip, err := bounded.Gunzip(bytes.NewReader(zipped), int64(len(zipped)))
		if err != nil {
			return err
		}
		raw, err := bounded.ReadAll(unzip, file, bounded.Budget(int64(len(zipped))), 0)
		if err != nil {
			return err
		}
		arrays[i], err = parseIDXArray("embedded:"+file, raw)
		return err
	})
	if err != nil {
		return nil, err
	}
	set.images[trainPart], set.labels[trainPart], set.images[testPart], set.labels[testPart] = arrays[0], arrays[1], arrays[2], arrays[3]
	return set.dataset(opt)
}
