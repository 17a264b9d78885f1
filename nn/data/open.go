package data

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Options says where to look for files and how to read folders of images. The zero value
// works for "mnist".
type Options struct {
	// Dir is a folder with the data set's files, or "". If it is given, no other place is searched, and the files are
	// not checked against a checksum, because they are the user's.
	Dir string
	// CacheDir is the folder for downloads; "" means "trainer" in the user's cache folder.
	CacheDir string
	// Download allows downloading files that are in neither folder.
	Download bool
	// Client makes the requests; nil means http.DefaultClient.
	Client *Client
	// StallTimeout ends a request that receives no data for this long; 0 means 30 s.
	StallTimeout time.Duration
	// RetryPause is the pause before the first repetition of a request; it doubles with each
	// further one. 0 means 250 ms.
	RetryPause time.Duration
	// Progress is called with the number of bytes downloaded so far. It may be nil. Calls for
	// one file come from one goroutine at a time.
	Progress func(file string, done, total int64)

	// Classes fixes the names of the classes and their order, by which a label is an index; nil means that the data
	// decides: class folders and other names are sorted, and numbers are sorted by their value.
	Classes []string
	// TestFraction is the fraction of each class that is held out as the test set, for
	// folders without a test set; 0 means 0.2.
	TestFraction float64
	// Seed decides which images are held out (device.StreamSplit).
	Seed uint64
	// Like makes the parts of a folder those of an earlier fingerprint instead of a new split: the same files, whatever
	// else is in the folder. Other data sets don't use it.
	Like *Fingerprint
	// NoTest leaves the test set of a folder without parts empty (nil) instead of holding images out: all are for training.
	NoTest bool
	// Index is a folder for indexes of the folders of pictures that are opened, which make the next Open of the same
	// folder faster; "" means that there are none. IndexFolder is the usual one.
	Index string
	// Warn is called when a picture of a folder that was found good can't be read any more: the next one of its class then
	// takes its place, and a training need not end. If most such pictures fail, because the folder is gone, Read returns
	// the error nevertheless. It is also called when a picture is not as the index says. If Warn is nil, these are errors
	// of Read. Calls come from several goroutines.
	Warn func(err error)
	// Opening is called with the progress of opening a folder: for each file that was found (total is 0), whose header was
	// read, and which was decoded or known from the index. It may be nil; calls come from several goroutines.
	Opening func(stage OpeningStage, done, total int)
	// ImageSize is the height and width to which images of a folder are resized; a 0 is replaced with the first
	// image's.
	ImageSize [2]int
	// AutoSize chooses ImageSize, if that is zero, by the pictures: the largest of 64, 96, 128, 160, 192 and 224 that
	// half of the pictures have in their shorter side, or 64.
	AutoSize bool
	// Resize is the way to resize; "" means ResizeStretch.
	Resize Resize
	// Background is the colour behind transparent pixels, and around padded images; the zero value means white.
	Background color.NRGBA
	// IgnoreOrientation reads images as they are stored, not as their EXIF orientation says.
	IgnoreOrientation bool
	// Grayscale reads the colour images of a folder as gray images. A folder with only gray
	// images is always read as gray.
	Grayscale bool
	// Transpose swaps the rows and columns of images in arrays. Images of EMNIST, which are stored by columns, are put
	// right without it.
	Transpose bool
	// Labels chooses among several labels of an image: "coarse" for the 20 superclasses of CIFAR-100, or the name of a
	// column of a table. "" is the usual one.
	Labels string
	// MaxMemory is the number of bytes that the pictures of a folder may take, those that are kept and those that are
	// being decoded; 0 means 2 GiB. A picture that takes more is skipped like one that can't be read. Below 64 MiB it
	// decides only whether pixels are kept.
	MaxMemory int64
	// Cache is the number of bytes of decoded pixels that are kept in memory; 0 means three quarters of MaxMemory, which
	// a larger Cache raises. Images beyond it are decoded each time they are read; a negative Cache keeps none.
	Cache int64
	// Workers is the number of goroutines that decode a folder; 0 means GOMAXPROCS.
	Workers int
}

// OpeningStage is what is done with the files of a folder.
type OpeningStage string

// The stages in their order.
const (
	FindingPictures  OpeningStage = "finding pictures"
	ReadingSizes     OpeningStage = "reading the sizes of pictures"
	CheckingPictures OpeningStage = "checking pictures"
)

// opening reports progress to Opening.
func (opt *Options) opening(stage OpeningStage, done, total int) {
	if opt.Opening != nil {
		opt.Opening(stage, done, total)
	}
}

// Open reads a data set: one of SetKinds, given by name, or a folder, given by path. Errors
// are *NotFoundError, *FormatError, *DownloadError, ctx's error, or errors of the file system.
func Open(ctx context.Context, name string, opt Options) (*Dataset, error) {
	return OpenFrom(ctx, SetKinds(), name, opt)
}

func open(ctx context.Context, name string, opt Options, cat catalog) (*Dataset, error) {
	return OpenFrom(ctx, setKinds(cat), name, opt)
}

// OpenFrom is Open with a program's own list of data sets.
func OpenFrom(ctx context.Context, kinds []SetKind, name string, opt Options) (*Dataset, error) {
	valid := NamesOf(kinds)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if opt.Dir != "" {
		if _, err := os.Stat(opt.Dir); err != nil {
			return nil, &NotFoundError{Name: name, Valid: valid, Reason: fmt.Sprintf("data folder %s: %v", opt.Dir, plainCause(err))}
		}
	}
	for _, k := range kinds {
		if k.Name == name {
			return k.Open(ctx, opt)
		}
	}
	set, err := openPath(ctx, name, opt)
	if errors.Is(err, errIndexWrong) { // the index is removed
		opt.Index = ""
		return openPath(ctx, name, opt)
	}
	return set, err
}

// plainCause returns a file-system error without operation and path, for messages that already name the path.
func plainCause(err error) error {
	if pathErr, ok := err.(*os.PathError); ok {
		return pathErr.Err
	}
	return err
}

// cacheFolder returns the folder in which downloads of a data set are kept.
func (opt *Options) cacheFolder(set string) (string, error) {
	if opt.CacheDir != "" {
		return filepath.Join(opt.CacheDir, set), nil
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for downloads: %w", err)
	}
	return filepath.Join(user, "trainer", set), nil
}

func (opt *Options) workers() int {
	if opt.Workers > 0 {
		return opt.Workers
	}
	return runtime.GOMAXPROCS(0)
}
