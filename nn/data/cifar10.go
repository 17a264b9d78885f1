package data

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

func cifar10Kind(cat catalog) SetKind {
	return SetKind{
		Name: "cifar10", Doc: "50,000 + 10,000 photographs of animals and vehicles, 32x32 colour",
		ImageShape: [3]int{32, 32, 3}, TrainImages: 50_000, Recipe: "cifar10",
		Open: func(ctx context.Context, opt Options) (*Dataset, error) { return openCIFAR10(ctx, opt, cat) },
	}
}

// openCIFAR10 reads CIFAR-10; see openCIFAR.
func openCIFAR10(ctx context.Context, opt Options, cat catalog) (*Dataset, error) {
	return openCIFAR(ctx, "cifar10", cat.cifar10, opt)
}

// openCIFAR reads CIFAR-10 or CIFAR-100 from opt.Dir (a folder with the files in either form, a folder with an archive of
// them, or the archive itself) if that is given. Otherwise it reads the cache, or downloads the archive to the cache.
func openCIFAR(ctx context.Context, name string, file remoteFile, opt Options) (*Dataset, error) {
	if opt.Dir != "" {
		source, t, dir, form, err := findCIFAR(ctx, name, opt.Dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if form == nil {
			return nil, &NotFoundError{Name: name, Valid: Names(), Reason: fmt.Sprintf("%s has neither its files nor an archive such as %s", opt.Dir, file.name)}
		}
		return form.open(ctx, source, t, dir, opt)
	}
	cache, err := opt.cacheFolder(name)
	if err != nil {
		return nil, err
	}
	archive, err := opt.fetch(ctx, cache, file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t, form, err := readCIFARArchive(ctx, name, archive)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return form.open(ctx, archive, t, ".", opt)
}

// findCIFAR looks for a set's files or archives in a folder and its usual subfolders. The form is nil if there are none.
func findCIFAR(ctx context.Context, name, dir string) (source string, t tree, at string, form *cifarForm, err error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		t, form, err := readCIFARArchive(ctx, name, dir)
		return dir, t, ".", form, err
	}
	dashed := strings.Replace(name, "cifar", "cifar-", 1)
	for _, sub := range []string{".", name} {
		for _, below := range []string{".", cifarFolder, dashed + "-batches-py", dashed + "-binary", dashed + "-python"} {
			folder := filepath.Join(dir, sub, below)
			if form := findCIFARForm(osTree(folder), "."); form != nil && form.set == name {
				return folder, osTree(folder), ".", form, nil
			}
		}
		for _, ending := range []string{"-binary.tar.gz", "-python.tar.gz"} {
			archive := filepath.Join(dir, sub, dashed+ending)
			if _, err := os.Stat(archive); err == nil {
				t, form, err := readCIFARArchive(ctx, name, archive)
				return archive, t, ".", form, err
			}
		}
	}
	return "", nil, "", nil, nil
}

// readCIFARArchive reads the files out of an official .tar.gz.
func readCIFARArchive(ctx context.Context, name, file string) (*archive, *cifarForm, error) {
	t, err := readTarInMemory(ctx, file, isCIFARFile)
	if err != nil {
		return nil, nil, err
	}
	form := findCIFARForm(t, ".")
	if form == nil || form.set != name {
		return nil, nil, &FormatError{file, -1, "an archive with the files of " + name, "none"}
	}
	for _, name := range slices.Concat(form.train, form.test) {
		if !hasFile(t, ".", name) {
			return nil, nil, &FormatError{file, -1, "an archive with " + name, "none"}
		}
	}
	return t, form, nil
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
		interleave(images[i*cifarPixels:(i+1)*cifarPixels], record[1:])
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
