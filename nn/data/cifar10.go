package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"trainer/nn/bounded"
)

// The binary version of CIFAR-10: Krizhevsky, "Learning Multiple Layers of Features from Tiny
// Images", 2009. A record is a label byte followed by the three planes of an image: red, green and
// blue.
const (
	cifarSide   = 32
	cifarPlane  = cifarSide * cifarSide
	cifarPixels = 3 * cifarPlane
	cifarRecord = 1 + cifarPixels

	cifarFolder  = "cifar-10-batches-bin"
	cifarArchive = "cifar-10-binary.tar.gz"
	cifarMeta    = "batches.meta.txt"
)

// cifarNames are the five training files and the test file.
var cifarNames = [6]string{
	"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin",
	"test_batch.bin",
}

func cifarClasses() []string {
	return []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
}

// cifarFiles holds the contents of the files before they are parsed.
type cifarFiles struct {
	source string
	paths  [6]string
	raw    [6][]byte
	meta   []byte // nil if missing
}

func cifar10Kind(cat catalog) SetKind {
	return SetKind{
		Name: "cifar10", Doc: "50,000 + 10,000 photographs of animals and vehicles, 32x32 colour",
		ImageShape: [3]int{32, 32, 3}, TrainImages: 50_000, Recipe: "cifar10",
		Open: func(ctx context.Context, opt Options) (*Dataset, error) { return openCIFAR10(ctx, opt, cat) },
	}
}

// openCIFAR10 reads CIFAR-10 from opt.Dir (a folder with the files, a folder with the archive, or the archive itself)
// if that is given. Otherwise it reads the cache, or downloads the archive to the cache.
func openCIFAR10(ctx context.Context, opt Options, cat catalog) (*Dataset, error) {
	const name = "cifar10"
	if opt.Dir != "" {
		files, err := findCIFAR(ctx, opt.Dir)
		if err != nil {
			return nil, fmt.Errorf("cifar10: %w", err)
		}
		if files == nil {
			return nil, &NotFoundError{Name: name, Valid: Names(), Reason: fmt.Sprintf("%s has neither %s nor %s", opt.Dir, cifarNames[0], cifarArchive)}
		}
		return files.split()
	}
	cache, err := opt.cacheFolder(name)
	if err != nil {
		return nil, err
	}
	archive, err := opt.fetch(ctx, cache, cat.cifar10)
	if err != nil {
		return nil, fmt.Errorf("cifar10: %w", err)
	}
	files, err := readCIFARArchive(ctx, archive)
	if err != nil {
		return nil, fmt.Errorf("cifar10: %w", err)
	}
	return files.split()
}

// findCIFAR looks for the files or the archive in dir and its usual subfolders. It returns
// nil if there are none.
func findCIFAR(ctx context.Context, dir string) (*cifarFiles, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return readCIFARArchive(ctx, dir)
	}
	for _, sub := range []string{".", "cifar10"} {
		for _, folder := range []string{filepath.Join(dir, sub), filepath.Join(dir, sub, cifarFolder)} {
			for _, name := range cifarNames {
				if _, err := os.Stat(filepath.Join(folder, name)); err == nil {
					return readCIFARFolder(ctx, folder)
				}
			}
		}
		archive := filepath.Join(dir, sub, cifarArchive)
		if _, err := os.Stat(archive); err == nil {
			return readCIFARArchive(ctx, archive)
		}
	}
	return nil, nil
}

func readCIFARFolder(ctx context.Context, dir string) (*cifarFiles, error) {
	files := &cifarFiles{source: dir}
	err := parallel(len(cifarNames), len(cifarNames), func(i int) (err error) {
		files.paths[i] = filepath.Join(dir, cifarNames[i])
		files.raw[i], err = readWhole(ctx, files.paths[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	files.meta, err = readWhole(ctx, filepath.Join(dir, cifarMeta))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return files, nil
}

// readCIFARArchive reads the files out of the official .tar.gz.
func readCIFARArchive(ctx context.Context, file string) (*cifarFiles, error) {
	f, err := bounded.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	files := &cifarFiles{source: file}
	if at, err := bounded.Tar(ctx, f, func(e *bounded.Entry) error { return files.take(file, e) }); err != nil {
		return nil, streamError(file, at, "an archive of tar and gzip", err)
	}
	for i, raw := range files.raw {
		if raw == nil {
			return nil, &FormatError{file, -1, "an archive with " + cifarNames[i], "none"}
		}
	}
	return files, nil
}

// take keeps an entry of the archive if it is one of the files.
func (files *cifarFiles) take(file string, entry *bounded.Entry) error {
	name := path.Base(entry.Name)
	index := slices.Index(cifarNames[:], name)
	if index < 0 && name != cifarMeta {
		return nil
	}
	raw, err := entry.ReadAll()
	if err != nil {
		return err
	}
	if index < 0 {
		files.meta = raw
		return nil
	}
	files.raw[index] = raw
	files.paths[index] = file + ":" + entry.Name
	return nil
}

// split parses five files into the training set and one file into the test set.
func (files *cifarFiles) split() (*Dataset, error) {
	classes, err := files.classes()
	if err != nil {
		return nil, err
	}
	for i, raw := range files.raw {
		if err := checkRecords(files.paths[i], raw); err != nil {
			return nil, err
		}
	}
	perFile := len(files.raw[0]) / cifarRecord
	for i := 1; i < 5; i++ {
		if got := len(files.raw[i]) / cifarRecord; got != perFile {
			return nil, &FormatError{files.paths[i], int64(min(got, perFile)) * cifarRecord,
				fmt.Sprintf("%d images, as in %s", perFile, files.paths[0]), fmt.Sprint(got)}
		}
	}
	train := newCIFARSet(classes, 5*perFile)
	test := newCIFARSet(classes, len(files.raw[5])/cifarRecord)
	err = parallel(len(files.raw), len(files.raw), func(i int) error {
		set, first, n := train, i*perFile, perFile
		if i == 5 {
			set, first, n = test, 0, test.Len()
		}
		return parseCIFAR(files.paths[i], files.raw[i], set.Images[first*cifarPixels:(first+n)*cifarPixels], set.Labels[first:first+n])
	})
	if err != nil {
		return nil, err
	}
	return &Dataset{Name: "cifar10", Train: train, Test: test, Source: files.source}, nil
}

func newCIFARSet(classes []string, n int) *InMemory {
	return &InMemory{Name: "cifar10", H: cifarSide, W: cifarSide, C: 3, ClassNames: classes,
		Images: make([]byte, n*cifarPixels), Labels: make([]int32, n)}
}

// classes returns the names in batches.meta.txt, one per line, or the built-in names.
func (files *cifarFiles) classes() ([]string, error) {
	builtIn := cifarClasses()
	if files.meta == nil {
		return builtIn, nil
	}
	names := strings.Fields(string(files.meta))
	if len(names) != len(builtIn) {
		return nil, &FormatError{filepath.Join(files.source, cifarMeta), -1, fmt.Sprintf("%d class names", len(builtIn)), fmt.Sprint(len(names))}
	}
	return names, nil
}

// ParseCIFAR10 reads one file of the binary version: records of a label byte and 3x32x32 pixels, as planes of red,
// green and blue. It returns images [n, 32, 32, 3] and labels [n]. Errors are *FormatError and name the file as file.
func ParseCIFAR10(file string, raw []byte) (images []byte, labels []int32, err error) {
	if err := checkRecords(file, raw); err != nil {
		return nil, nil, err
	}
	n := len(raw) / cifarRecord
	images = make([]byte, n*cifarPixels)
	labels = make([]int32, n)
	if err := parseCIFAR(file, raw, images, labels); err != nil {
		return nil, nil, err
	}
	return images, labels, nil
}

// checkRecords returns an error unless raw holds at least one record and only whole records.
func checkRecords(file string, raw []byte) error {
	if len(raw) == 0 {
		return &FormatError{file, 0, fmt.Sprintf("records of %d bytes", cifarRecord), "an empty file"}
	}
	if rest := len(raw) % cifarRecord; rest != 0 {
		return &FormatError{file, int64(len(raw) - rest), fmt.Sprintf("a record of %d bytes", cifarRecord), fmt.Sprintf("%d bytes", rest)}
	}
	return nil
}

// parseCIFAR converts len(labels) records of raw from CHW to HWC.
func parseCIFAR(file string, raw []byte, images []byte, labels []int32) error {
	for i := range labels {
		record := raw[i*cifarRecord : (i+1)*cifarRecord]
		if record[0] > 9 {
			return &FormatError{file, int64(i * cifarRecord), "a label from 0 to 9", fmt.Sprint(record[0])}
		}
		labels[i] = int32(record[0])
		red, green, blue := record[1:1+cifarPlane], record[1+cifarPlane:1+2*cifarPlane], record[1+2*cifarPlane:]
		image := images[i*cifarPixels : (i+1)*cifarPixels]
		for p := range cifarPlane {
			image[3*p], image[3*p+1], image[3*p+2] = red[p], green[p], blue[p]
		}
	}
	return nil
}

// cifar10File is the archive and its mirrors.
func cifar10File() remoteFile {
	return remoteFile{
		name:   cifarArchive,
		size:   170052171,
		sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
		urls: []string{
			"https://www.cs.toronto.edu/~kriz/" + cifarArchive,
			"https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/" + cifarArchive,
		},
	}
}
