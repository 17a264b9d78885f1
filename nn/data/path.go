package data

import (
	"context"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// PathForms returns what can be named by its path, one phrase each.
func PathForms() []string {
	return []string{
		"a folder with one subfolder of PNG, JPEG, GIF, BMP, TIFF or WebP images per class, in train, val and test or not",
		"a folder with a CSV file of paths and labels, or the file",
		"an archive of such a folder: zip, tar, tar.gz, tar.bz2 or tar.zst",
		"IDX files (MNIST's format), by their folder, one of them, or the beginning of their names",
		"a folder or archive of CIFAR-10 or CIFAR-100, binary or for Python",
		"arrays of NumPy (.npz, .npy) such as x_train and y_train",
		"Parquet files with a column of pictures and one of labels",
	}
}

// openPath reads the data set at a path: a folder or a file of one of PathForms. The first bytes of a file say what it is.
func openPath(ctx context.Context, name string, opt Options) (*Dataset, error) {
	info, err := os.Stat(name)
	if err != nil {
		if set, isIDX, idxErr := openIDXPrefix(ctx, name, opt); isIDX {
			return set, idxErr
		}
		return nil, &NotFoundError{Name: name, Valid: Names(), Reason: plainCause(err).Error()}
	}
	short := filepath.Base(filepath.Clean(name))
	if info.IsDir() {
		return openTree(ctx, short, name, osTree(name), ".", opt)
	}
	dir, file := osTree(filepath.Dir(name)), filepath.Base(name)
	head := make([]byte, 512)
	opened, err := dir.open(file)
	if err != nil {
		return nil, &NotFoundError{Name: name, Valid: Names(), Reason: err.Error()}
	}
	n, _ := io.ReadFull(opened, head)
	opened.Close()
	head = head[:n]
	starts := func(magic string) bool { return strings.HasPrefix(string(head), magic) }
	switch {
	case isArrayFile(file) && (starts(zipMagic) || starts(npyMagic)):
		files := []string{file}
		if starts(npyMagic) { // images or labels: the others are beside it
			files = arrayFiles(dir, ".", ".npy")
		}
		return openArrays(ctx, short, name, dir, files, opt)
	case starts(parquetMagic):
		return openParquet(ctx, short, name, dir, []string{file}, opt)
	case isIDX(firstUnzipped(dir, file)):
		return openIDX(ctx, short, name, dir, ".", roleOf(file).prefix, opt)
	case isListing(file):
		return openListings(ctx, short, filepath.Dir(name), dir, []string{file}, opt)
	case starts(zipMagic):
		a, err := openZip(name)
		return openArchive(ctx, short, name, a, err, opt)
	case isCompressed(string(head)), len(head) > 262 && string(head[257:262]) == "ustar":
		a, err := openTar(ctx, name, opt)
		return openArchive(ctx, short, name, a, err, opt)
	}
	return nil, &NotFoundError{Name: name, Valid: Names(), Reason: "it is a file in no known format (trainer -list names the forms)"}
}

// openArchive reads the data set in an archive.
func openArchive(ctx context.Context, name, file string, a *archive, err error, opt Options) (*Dataset, error) {
	if err != nil {
		return nil, err
	}
	return openTree(ctx, name, file, a, a.top(), opt)
}

// openIDXPrefix reads the IDX files whose names begin like a path: data/emnist-letters.
func openIDXPrefix(ctx context.Context, name string, opt Options) (*Dataset, bool, error) {
	dir, prefix := osTree(filepath.Dir(name)), strings.ToLower(filepath.Base(name))
	sets, err := findIDX(dir, ".")
	if err != nil || sets[prefix] == nil {
		return nil, false, nil
	}
	set, err := sets.open(ctx, prefix, name, dir, prefix, emnistNames(prefix), opt)
	return set, true, err
}

// openTree reads the data set in a folder of a tree: class folders if there are any, or else the files of a data set in
// it or below it. root is the tree's path.
func openTree(ctx context.Context, name, root string, t tree, dir string, opt Options) (*Dataset, error) {
	classes, err := subfolders(t, dir)
	if err != nil {
		return nil, err
	}
	listings := listingsOf(t, dir)
	isFlat := len(listings) > 0 && (len(classes) == 1 || areFlatParts(t, dir, classes))
	hasClasses := slices.ContainsFunc(classes, func(c string) bool { return hasPicture(t, path.Join(dir, c), maxPictureDepth) })
	if hasClasses && !isFlat {
		return openClassFolders(ctx, name, root, t, dir, opt)
	}
	if at, ok := findFiles(t, dir, maxFilesDepth); ok {
		return openFiles(ctx, name, root, t, at, opt)
	}
	if len(listings) > 0 {
		return openListings(ctx, name, root, t, listings, opt)
	}
	return openClassFolders(ctx, name, root, t, dir, opt)
}

// areFlatParts reports whether all folders are named like parts, or like a folder of all pictures, and have no class
// folders: a table has the labels.
func areFlatParts(t tree, dir string, folders []string) bool {
	return !slices.ContainsFunc(folders, func(name string) bool {
		_, isPart := partNamed(name)
		if !isPart && !slices.Contains([]string{"images", "imgs", "train_images", "test_images", "data"}, strings.ToLower(name)) {
			return true
		}
		below, err := subfolders(t, path.Join(dir, name))
		return err != nil || len(below) > 0
	})
}

const (
	maxPictureDepth = 8 // levels of folders in which a first picture is looked for
	maxFilesDepth   = 3 // levels of folders in which files of a data set are looked for
)

// hasPicture reports whether there is a picture in a folder or below.
func hasPicture(t tree, dir string, depth int) bool {
	entries, err := t.list(dir)
	if err != nil || depth == 0 {
		return false
	}
	for _, e := range entries {
		if isIgnored(e.name) {
			continue
		}
		name := path.Join(dir, e.name)
		if e.isFolder && hasPicture(t, name, depth-1) {
			return true
		}
		if !e.isFolder {
			if kind, _ := classify(t, name); kind != otherFile {
				return true
			}
		}
	}
	return false
}

// findFiles returns the first folder in a folder and the folders below it that has files of a data set.
func findFiles(t tree, dir string, depth int) (string, bool) {
	if len(arrayFiles(t, dir, "")) > 0 || findCIFARForm(t, dir) != nil {
		return dir, true
	}
	if sets, err := findIDX(t, dir); err == nil && len(sets) > 0 {
		return dir, true
	}
	entries, err := t.list(dir)
	if err != nil || depth == 0 {
		return "", false
	}
	for _, e := range entries {
		if e.isFolder && !isIgnored(e.name) {
			if at, ok := findFiles(t, path.Join(dir, e.name), depth-1); ok {
				return at, true
			}
		}
	}
	return "", false
}

// openFiles reads the files of a data set in a folder that findFiles found.
func openFiles(ctx context.Context, name, root string, t tree, dir string, opt Options) (*Dataset, error) {
	source := t.show(dir)
	if form := findCIFARForm(t, dir); form != nil {
		return form.open(ctx, source, t, dir, opt)
	}
	if files := arrayFiles(t, dir, ".parquet"); len(files) > 0 {
		folder, ok := t.(osTree)
		if !ok {
			return nil, &FormatError{source, -1, "Parquet files in a folder", "an archive of them: unpack it first"}
		}
		return openParquet(ctx, name, source, folder, files, opt)
	}
	for _, ending := range []string{".npz", ".npy"} {
		if files := arrayFiles(t, dir, ending); len(files) > 0 {
			return openArrays(ctx, name, source, t, files, opt)
		}
	}
	return openIDX(ctx, name, source, t, dir, "", opt)
}

// arrayFiles returns the files of a folder with arrays or tables: those of an ending, or of any if it is "".
func arrayFiles(t tree, dir, ending string) []string {
	entries, _ := t.list(dir) // a folder that can't be read has none; reading it reports the error
	var files []string
	for _, e := range entries {
		own := strings.ToLower(path.Ext(e.name))
		isOne := own == ending || ending == "" && slices.Contains([]string{".npz", ".npy", ".parquet"}, own)
		if !e.isFolder && !isIgnored(e.name) && isOne {
			files = append(files, path.Join(dir, e.name))
		}
	}
	return files
}

// listingsOf returns the tables of a folder: those that are named after parts, or the only one. An example of what to hand
// in to a competition isn't one.
func listingsOf(t tree, dir string) []string {
	entries, _ := t.list(dir)
	var all, named []string
	for _, e := range entries {
		if e.isFolder || isIgnored(e.name) || !isListing(e.name) || strings.Contains(strings.ToLower(e.name), "submission") {
			continue
		}
		all = append(all, path.Join(dir, e.name))
		if roleOf(strings.TrimSuffix(e.name, path.Ext(e.name))).hasPart {
			named = append(named, path.Join(dir, e.name))
		}
	}
	if len(named) > 0 {
		return named
	}
	if len(all) == 1 {
		return all
	}
	return nil
}
