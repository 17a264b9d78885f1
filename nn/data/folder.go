package data

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // registers the decoder
	_ "image/png"  // registers the decoder
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/image/draw"

	"trainer/nn/device"
)

const (
	defaultValFraction = 0.2
	defaultMaxMemory   = 2 << 30
	maxPixels          = 1 << 28 // of one image file; a header that says more is not believed
)

// folderImage is one image file of a folder.
type folderImage struct {
	path   string
	label  int32
	h, w   int
	gray   bool
	reason error // why it can't be read; nil when it can
}

// folder is a data set of image files while it is being opened.
type folder struct {
	opt     Options
	root    string
	classes []string
	h, w, c int
	skipped []string
	resized int
}

// openFolder reads root/CLASS/*.png|jpg|jpeg, or root/train/CLASS and root/test/CLASS ("val",
// "valid", "validation" will do). Classes are the subfolders' names, sorted; files are sorted too;
// names that begin with a dot are ignored. Without a test folder a share of each class is held out.
//
// Images of another size are resized by a triangle filter that is widened when it shrinks
// (golang.org/x/image/draw.BiLinear). What is transparent becomes black. When the decoded pixels fit
// Options.MaxMemory they are decoded here; otherwise by each Read.
func openFolder(ctx context.Context, root string, opt Options) (*Dataset, error) {
	if opt.TestFraction < 0 || opt.TestFraction >= 1 {
		return nil, fmt.Errorf("%s: share of images held out: want 0 <= share < 1, got %v", root, opt.TestFraction)
	}
	if opt.ImageSize[0] < 0 || opt.ImageSize[1] < 0 {
		return nil, fmt.Errorf("%s: image size: want none negative, got %dx%d", root, opt.ImageSize[0], opt.ImageSize[1])
	}
	f := &folder{opt: opt, root: root}
	train, test, err := f.list(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.chooseShape(train, test); err != nil {
		return nil, err
	}
	split := &Dataset{Name: filepath.Base(filepath.Clean(root)), Source: root}
	bytes := int64(len(train)+len(test)) * int64(f.h) * int64(f.w) * int64(f.c)
	if bytes <= cmp.Or(opt.MaxMemory, defaultMaxMemory) {
		split.Train, split.Test, err = f.decodeAll(ctx, split.Name, train, test)
	} else {
		split.Train, split.Test = &folderSet{folder: f, images: train}, &folderSet{folder: f, images: test}
	}
	if err != nil {
		return nil, err
	}
	split.Skipped, split.Resized = f.skipped, f.resized
	return split, nil
}

// list finds the images and reads their headers. It returns those of the train and of the test
// set.
func (f *folder) list(ctx context.Context) (train, test []folderImage, err error) {
	trainRoot, testRoot := f.root, ""
	if isFolder(filepath.Join(f.root, "train")) {
		trainRoot = filepath.Join(f.root, "train")
		for _, name := range []string{"test", "val", "valid", "validation"} {
			if dir := filepath.Join(f.root, name); testRoot == "" && isFolder(dir) {
				testRoot = dir
			}
		}
	}
	f.classes, err = subfolders(trainRoot)
	if err != nil {
		return nil, nil, err
	}
	if len(f.classes) == 0 {
		return nil, nil, &FormatError{trainRoot, -1, "one subfolder of images a class", "no subfolders"}
	}
	if train, err = f.listImages(ctx, trainRoot, f.classes, true); err != nil {
		return nil, nil, err
	}
	if testRoot == "" {
		train, test = f.holdOut(train)
		return train, test, nil
	}
	testClasses, err := subfolders(testRoot)
	if err != nil {
		return nil, nil, err
	}
	if len(testClasses) == 0 {
		return nil, nil, &FormatError{testRoot, -1, "one subfolder of images a class", "no subfolders"}
	}
	for _, class := range testClasses {
		if !slices.Contains(f.classes, class) {
			return nil, nil, &FormatError{filepath.Join(testRoot, class), -1, "a class that " + trainRoot + " has", "a new one"}
		}
	}
	if test, err = f.listImages(ctx, testRoot, testClasses, false); err != nil {
		return nil, nil, err
	}
	return train, test, nil
}

// listImages returns the readable images of root's class folders. everyClass: see dropUnreadable.
func (f *folder) listImages(ctx context.Context, root string, classes []string, everyClass bool) ([]folderImage, error) {
	var images []folderImage
	for _, class := range classes {
		dir := filepath.Join(root, class)
		entries, err := os.ReadDir(dir) // sorted by name
		if err != nil {
			return nil, err
		}
		before := len(images)
		label := int32(slices.Index(f.classes, class))
		for _, e := range entries {
			if !e.IsDir() && isImageName(e.Name()) {
				images = append(images, folderImage{path: filepath.Join(dir, e.Name()), label: label})
			}
		}
		if len(images) == before {
			return nil, &FormatError{dir, -1, "at least one .png, .jpg or .jpeg file", "none"}
		}
	}
	err := parallel(len(images), f.opt.workers(), func(i int) error {
		images[i].readHeader()
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	return f.dropUnreadable(root, images, everyClass)
}

// dropUnreadable removes the images that can't be read and remembers them. It fails when
// they are more than half, or where everyClass is set and a class has none left.
func (f *folder) dropUnreadable(root string, images []folderImage, everyClass bool) ([]folderImage, error) {
	good := make([]folderImage, 0, len(images))
	left := make([]int, len(f.classes))
	firstBad := make([]error, len(f.classes))
	var first error
	for _, im := range images {
		if im.reason == nil {
			left[im.label]++
			good = append(good, im)
			continue
		}
		err := fmt.Errorf("%s: %w", im.path, im.reason)
		f.skipped = append(f.skipped, err.Error())
		first = cmp.Or(first, err)
		firstBad[im.label] = cmp.Or(firstBad[im.label], err)
	}
	if bad := len(images) - len(good); 2*bad > len(images) {
		return nil, fmt.Errorf("%s: %d of %d images cannot be read, the first: %w", root, bad, len(images), first)
	}
	for label, err := range firstBad {
		if everyClass && left[label] == 0 && err != nil {
			return nil, fmt.Errorf("%s: no image of class %q can be read, the first: %w", root, f.classes[label], err)
		}
	}
	return good, nil
}

// readHeader reads size and colour model.
func (im *folderImage) readHeader() {
	file, err := os.Open(im.path)
	if err != nil {
		im.reason = plainCause(err)
		return
	}
	defer file.Close()
	config, _, err := image.DecodeConfig(file)
	if err != nil {
		im.reason = err
		return
	}
	if config.Width <= 0 || config.Height <= 0 || config.Height > maxPixels/config.Width {
		im.reason = fmt.Errorf("want 1 to %d pixels, got %dx%d", maxPixels, config.Height, config.Width)
		return
	}
	im.h, im.w, im.gray = config.Height, config.Width, isGray(config.ColorModel)
}

// isGray says whether images of the model have no colours: an RGB file of gray pixels counts
// as coloured.
func isGray(model color.Model) bool {
	palette, ok := model.(color.Palette)
	if !ok {
		return model == color.GrayModel || model == color.Gray16Model
	}
	for _, entry := range palette {
		if r, g, b, _ := entry.RGBA(); r != g || g != b {
			return false
		}
	}
	return true
}

// chooseShape sets the size and the channels of all images, and counts those of another size.
func (f *folder) chooseShape(train, test []folderImage) error {
	f.h = cmp.Or(f.opt.ImageSize[0], train[0].h)
	f.w = cmp.Or(f.opt.ImageSize[1], train[0].w)
	f.c = 1
	for _, images := range [][]folderImage{train, test} {
		for _, im := range images {
			if !im.gray && !f.opt.Grayscale {
				f.c = 3
			}
			if im.h != f.h || im.w != f.w {
				f.resized++
			}
		}
	}
	if f.h > math.MaxInt32/4/f.w {
		return fmt.Errorf("%s: images of %dx%d are too large; give a smaller image size", f.root, f.h, f.w)
	}
	return nil
}

// holdOut moves round(share * n) images of each class to the test set, at least one and at
// most n-1; of a class of one image, none. Which ones, a Fisher-Yates shuffle of (seed,
// device.StreamSplit, class) decides.
func (f *folder) holdOut(images []folderImage) (train, test []folderImage) {
	share := cmp.Or(f.opt.TestFraction, defaultValFraction)
	for first := 0; first < len(images); {
		class := images[first].label
		end := first
		for end < len(images) && images[end].label == class {
			end++
		}
		n := end - first
		held := min(max(int(math.Round(share*float64(n))), 1), n-1)
		order := make([]int32, n)
		permute(order, f.opt.Seed, device.StreamSplit, uint32(class))
		isHeld := make([]bool, n)
		for _, i := range order[:held] {
			isHeld[i] = true
		}
		for i, im := range images[first:end] {
			if isHeld[i] {
				test = append(test, im)
			} else {
				train = append(train, im)
			}
		}
		first = end
	}
	return train, test
}

// decodeAll decodes both sets into memory, leaving out what can't be decoded.
func (f *folder) decodeAll(ctx context.Context, name string, train, test []folderImage) (Set, Set, error) {
	var sets [2]Set
	for k, images := range [][]folderImage{train, test} {
		set, err := f.decodeSet(ctx, name, images, k == 0)
		if err != nil {
			return nil, nil, err
		}
		sets[k] = set
	}
	return sets[0], sets[1], nil
}

func (f *folder) decodeSet(ctx context.Context, name string, images []folderImage, everyClass bool) (*InMemory, error) {
	size := f.h * f.w * f.c
	pixels := make([]byte, len(images)*size)
	err := parallel(len(images), f.opt.workers(), func(i int) error {
		images[i].reason = f.decode(images[i].path, pixels[i*size:(i+1)*size])
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	kept := 0
	for i, im := range images {
		if im.reason == nil {
			copy(pixels[kept*size:(kept+1)*size], pixels[i*size:(i+1)*size])
			kept++
		}
	}
	good, err := f.dropUnreadable(f.root, images, everyClass)
	if err != nil {
		return nil, err
	}
	set := &InMemory{Name: name, H: f.h, W: f.w, C: f.c, ClassNames: f.classes, Images: pixels[:kept*size], Labels: make([]int32, kept)}
	for i, im := range good {
		set.Labels[i] = im.label
	}
	return set, nil
}

// decode reads an image file, resizes it if need be, and writes it to dst as HWC bytes.
func (f *folder) decode(path string, dst []byte) error {
	file, err := os.Open(path)
	if err != nil {
		return plainCause(err)
	}
	defer file.Close()
	im, _, err := image.Decode(file)
	if err != nil {
		return err
	}
	bounds := im.Bounds()
	if gray, ok := im.(*image.Gray); ok && f.c == 1 && bounds.Dx() == f.w && bounds.Dy() == f.h {
		for y := range f.h {
			copy(dst[y*f.w:(y+1)*f.w], gray.Pix[y*gray.Stride:])
		}
		return nil
	}
	canvas := image.NewRGBA(image.Rect(0, 0, f.w, f.h))
	if bounds.Dx() == f.w && bounds.Dy() == f.h {
		draw.Draw(canvas, canvas.Bounds(), im, bounds.Min, draw.Src)
	} else {
		draw.BiLinear.Scale(canvas, canvas.Bounds(), im, bounds, draw.Src, nil)
	}
	for p := range f.h * f.w {
		rgba := canvas.Pix[4*p : 4*p+4]
		if f.c == 3 {
			copy(dst[3*p:3*p+3], rgba)
			continue
		}
		dst[p] = luma(rgba[0], rgba[1], rgba[2])
	}
	return nil
}

// luma is the brightness of ITU-R BT.601, 0.299 r + 0.587 g + 0.114 b, as image/color has it.
func luma(r, g, b byte) byte {
	return byte((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

// folderSet decodes each image when it is read.
type folderSet struct {
	folder *folder
	images []folderImage
}

func (s *folderSet) Len() int                  { return len(s.images) }
func (s *folderSet) ImageShape() (h, w, c int) { return s.folder.h, s.folder.w, s.folder.c }
func (s *folderSet) Classes() []string         { return s.folder.classes }
func (s *folderSet) Label(i int) int32         { return s.images[i].label }

func (s *folderSet) Read(i int, dst []byte) (int32, error) {
	im := &s.images[i]
	if err := s.folder.decode(im.path, dst); err != nil {
		return 0, fmt.Errorf("%s: %w", im.path, err)
	}
	return im.label, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// subfolders returns the names of dir's subfolders (or links to folders), sorted.
func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && isFolder(filepath.Join(dir, e.Name())) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func isImageName(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".png" || ext == ".jpg" || ext == ".jpeg"
}
