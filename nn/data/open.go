package data

import (
	"context"
	"fmt"
	"image/color"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Options says where files are sought and how folders of images are read. The zero value
// is good for "mnist".
type Options struct {
	// Dir is a folder that has the data set's files; "" = not given. It is then the only place that is looked at, and
	// what it has is not checked against a checksum: the files are the user's.
	Dir string
	// CacheDir is the folder for downloads; "" = "trainer" in the user's cache folder.
	CacheDir string
	// Download allows to fetch what is in neither folder.
	Download bool
	// Client makes the requests; nil = http.DefaultClient.
	Client *http.Client
	// StallTimeout ends a request that brought no byte for so long; 0 = 30 s.
	StallTimeout time.Duration
	// RetryPause is the pause before a request is made a second time; it doubles from one to the
	// next. 0 = 250 ms.
	RetryPause time.Duration
	// Progress is told how many of a download's bytes are there. It may be nil. Calls for one
	// file come from one goroutine at a time.
	Progress func(file string, done, total int64)

	// TestFraction is the share of each class that is held out as the test set, for folders
	// without one; 0 = 0.2.
	TestFraction float64
	// Seed decides which images those are (device.StreamSplit).
	Seed uint64
	// ImageSize is the height and width to which images of a folder are resized; a 0 is replaced by the size of
	// the first image.
	ImageSize [2]int
	// Resize is the way; "" = ResizeStretch.
	Resize Resize
	// Background is the colour under transparent pixels, and around an image that was padded; the zero value = white.
	Background color.NRGBA
	// IgnoreOrientation reads images as they are stored, not as their EXIF orientation says.
	IgnoreOrientation bool
	// Grayscale reads colour images of a folder as gray ones. A folder in which all images are
	// gray is read so without it.
	Grayscale bool
	// MaxMemory is the number of bytes of decoded pixels up to which a folder is held in memory;
	// a larger one is decoded as it is read. 0 = 2 GiB.
	MaxMemory int64
	// Workers is the number of goroutines that decode a folder; 0 = GOMAXPROCS.
	Workers int
}

// Open reads a data set: one of SetKinds by its name, or the folder of that path.
// Errors are *NotFoundError, *FormatError, *DownloadError, ctx's error, or of the file system.
func Open(ctx context.Context, name string, opt Options) (*Dataset, error) {
	return OpenFrom(ctx, SetKinds(), name, opt)
}

func open(ctx context.Context, name string, opt Options, cat catalog) (*Dataset, error) {
	return OpenFrom(ctx, setKinds(cat), name, opt)
}

// OpenFrom is Open with the data sets of a program's own list.
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
	info, err := os.Stat(name)
	if err != nil {
		return nil, &NotFoundError{Name: name, Valid: valid, Reason: plainCause(err).Error()}
	}
	if !info.IsDir() {
		return nil, &NotFoundError{Name: name, Valid: valid, Reason: "it is a file, not a folder"}
	}
	return openFolder(ctx, name, opt)
}

// plainCause is a file-system error without operation and path, for messages that name the path.
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
