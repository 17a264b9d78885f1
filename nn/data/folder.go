package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image/color"
	"math"
	"path"
	"path/filepath"
	"slices"
	"sync/atomic"

	"trainer/nn/device"
	"trainer/nn/printable"
)

const (
	defaultTestFraction = 0.2
	defaultMaxMemory    = 2 << 30
	maxPixels           = 1 << 28 // of one image file; a header with more is rejected
)

// folderImage is one image file of a folder.
type folderImage struct {
	name   string // in the tree
	label  int32
	info   pictureInfo
	reason error // why it can't be read; nil if it can
	known  checked
	place  int // in folder.listed
}

// folder is a tree of image files while it is being opened.
type folder struct {
	opt      Options
	root     string // as messages give it
	tree     tree
	reader   pictureReader
	classes  []string
	pictures Pictures
	skipped  []string
	keep     int           // number of images whose pixels are still to be kept in memory
	index    *index        // nil if there is none
	listed   []folderImage // what is known of every file, also of those that can't be read
	found    int           // pictures, for the progress
	decoded  atomic.Int64  // pictures that have been checked, for the progress
	isWarned atomic.Bool   // of a wrong index
	deeper   string        // a folder below the only class that has several subfolders; "" if there is none
}

// FolderKind describes folders of images, which are opened by their paths.
func FolderKind() SetKind {
	return SetKind{Name: "folder", Doc: "a folder with one subfolder of PNG, JPEG, GIF, BMP, TIFF or WebP images per class", Recipe: "photos"}
}

// parts holds the images of a folder's training, validation and test set; val and test may be empty.
type parts struct{ train, val, test []folderImage }

// all returns the parts in order.
func (p *parts) all() []*[]folderImage { return []*[]folderImage{&p.train, &p.val, &p.test} }

// openFolder reads the folder at a path; see openClassFolders.
func openFolder(ctx context.Context, root string, opt Options) (*Dataset, error) {
	return openClassFolders(ctx, filepath.Base(filepath.Clean(root)), root, osTree(root), ".", opt)
}

// openClassFolders reads top/CLASS, or top/train/CLASS and, if they exist, top/val/CLASS and top/test/CLASS (see
// findLayout). Classes are the subfolders' names, sorted; all pictures below a class's folder belong to the class,
// sorted by path. Without a test folder, a fraction of each class is held out. root is the tree's path, for messages.
func openClassFolders(ctx context.Context, name, root string, t tree, top string, opt Options) (*Dataset, error) {
	f, err := newFolder(ctx, root, t, opt)
	if err != nil {
		return nil, err
	}
	p, err := f.list(ctx, top)
	if err != nil {
		return nil, err
	}
	return f.dataset(ctx, name, p)
}

// newFolder checks the options.
func newFolder(ctx context.Context, root string, t tree, opt Options) (*folder, error) {
	if err := checkFolderOptions(root, opt); err != nil {
		return nil, err
	}
	f := &folder{opt: opt, root: root, tree: t}
	f.reader.background = cmp.Or(opt.Background, color.NRGBA{R: 255, G: 255, B: 255, A: 255})
	f.reader.resize = cmp.Or(opt.Resize, ResizeStretch)
	f.reader.ignoreOrientation = opt.IgnoreOrientation
	f.reader.decoding = newPictureMemory(opt.maxMemory())
	f.pictures.Unsupported = map[string]int{}
	f.index = openIndex(ctx, t, opt)
	return f, nil
}

// dataset opens the listed pictures: it reads their headers, makes a test set if there is none, chooses the size, and
// decodes every file once, unless the index says that this was done before: damaged files are known before the first step.
// Decoded pixels are kept in memory as far as Options.Cache allows, from here on or from the first Read; each Read of another
// image decodes it.
func (f *folder) dataset(ctx context.Context, name string, p *parts) (*Dataset, error) {
	isLike := f.opt.Like != nil && len(f.opt.Like.Train.Files) > 0
	if isLike {
		var err error
		if p, err = f.likeBefore(p); err != nil {
			return nil, err
		}
	}
	for k, images := range p.all() {
		if err := f.readHeaders(ctx, images, k == 0 && !isLike); err != nil {
			return nil, err
		}
	}
	defer func() { f.index.save(f.listed) }()
	if len(f.classes) == 1 {
		got := fmt.Sprintf("only %q", f.classes[0])
		if f.deeper != "" {
			got += fmt.Sprintf(" (if its subfolders are the classes: -data %s)", f.tree.show(f.deeper))
		}
		return nil, &FormatError{f.root, -1, "at least two classes", got}
	}
	switch {
	case len(p.test) > 0, isLike, f.opt.NoTest && len(p.val) == 0:
	case len(p.val) > 0: // as in earlier versions, the set on which each epoch is scored is also the test set
		p.test, p.val = p.val, nil
	default:
		p.train, p.test = f.holdOut(p.train)
	}
	if err := f.chooseShape(p); err != nil {
		return nil, err
	}
	f.index.describe(ctx, &f.reader, f.opt, p.all())
	f.divideMemory(p)
	set := &Dataset{Name: name, Source: f.root}
	for k, dst := range []*Set{&set.Train, &set.Val, &set.Test} {
		images := *p.all()[k]
		if len(images) == 0 && (dst == &set.Val || dst == &set.Test && f.opt.NoTest) {
			continue
		}
		var err error
		if *dst, err = f.open(ctx, set.Name, images, k == 0 && !isLike); err != nil {
			return nil, err
		}
	}
	if f.pictures.Resized > 0 {
		f.pictures.Resize = f.reader.resize
	}
	set.Skipped, set.Pictures, set.folder = f.skipped, &f.pictures, f
	return set, nil
}

func checkFolderOptions(root string, opt Options) error {
	if opt.TestFraction < 0 || opt.TestFraction >= 1 {
		return fmt.Errorf("%s: fraction of images to hold out: want 0 to below 1, got %v", root, opt.TestFraction)
	}
	if opt.ImageSize[0] < 0 || opt.ImageSize[1] < 0 {
		return fmt.Errorf("%s: image size: want positive numbers, got %dx%d", root, opt.ImageSize[0], opt.ImageSize[1])
	}
	if opt.Resize != "" && !slices.Contains(Resizes(), opt.Resize) {
		return fmt.Errorf("%s: resize: want one of %v, got %q", root, Resizes(), opt.Resize)
	}
	return nil
}

// list finds the images of class folders.
func (f *folder) list(ctx context.Context, top string) (*parts, error) {
	where, err := findLayout(f.tree, top)
	if err != nil {
		return nil, err
	}
	if where.train != top {
		if err := f.listStray(top); err != nil {
			return nil, err
		}
	}
	p := &parts{}
	if p.train, err = f.listPart(ctx, where.train, true); err != nil {
		return nil, err
	}
	if where.val != "" {
		if p.val, err = f.listPart(ctx, where.val, false); err != nil {
			return nil, err
		}
	}
	if where.test == "" {
		return p, nil
	}
	if isFlat, err := f.setAside(ctx, where.test); isFlat || err != nil {
		return p, err
	}
	p.test, err = f.listPart(ctx, where.test, false)
	return p, err
}

// setAside records the pictures of a test folder without class folders, whose pictures have no labels (competitions
// give them out like this), and reports whether the folder is one.
func (f *folder) setAside(ctx context.Context, dir string) (isFlat bool, err error) {
	classes, err := subfolders(f.tree, dir)
	if err != nil || len(classes) > 0 {
		return false, err
	}
	names, err := f.scanClass(ctx, dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		f.pictures.Unlabelled = append(f.pictures.Unlabelled, f.tree.show(name))
	}
	return true, nil
}

// listPart returns the images of the class folders in root. The training set's part must be listed first, and defines
// the classes; the other parts must have no other classes.
func (f *folder) listPart(ctx context.Context, root string, isTrain bool) ([]folderImage, error) {
	classes, err := subfolders(f.tree, root)
	if err != nil {
		return nil, err
	}
	if len(classes) == 0 {
		return nil, &FormatError{f.tree.show(root), -1, "one subfolder of pictures per class, or a CSV file of paths and labels", "no subfolders"}
	}
	if err := f.listStray(root); err != nil {
		return nil, err
	}
	if len(classes) == 1 {
		f.deeper = severalBelow(f.tree, path.Join(root, classes[0]))
	}
	if isTrain {
		if f.classes, err = f.opt.orderClasses(f.tree.show(root), classes); err != nil {
			return nil, err
		}
		f.classes = slices.Clone(f.classes)
		for label, class := range f.classes {
			f.classes[label] = validText(class)
		}
	}
	labels := make(map[string]int, len(f.classes))
	for label, class := range f.classes {
		labels[class] = label
	}
	byLabel := make([][]folderImage, len(f.classes))
	for _, class := range classes {
		dir := path.Join(root, class)
		label, ok := labels[validText(class)]
		if !ok {
			return nil, &FormatError{f.tree.show(dir), -1, "a class of the training set", "a new one"}
		}
		names, err := f.scanClass(ctx, dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			byLabel[label] = append(byLabel[label], folderImage{name: name, label: int32(label)})
		}
	}
	return slices.Concat(byLabel...), nil
}

// listStray records the pictures that lie beside class folders, and so have no label.
func (f *folder) listStray(root string) error {
	entries, err := f.tree.list(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(root, e.name)
		if e.isFolder || isIgnored(e.name) {
			continue
		}
		if what, _ := classify(f.tree, name); what == pictureFile {
			f.pictures.Unlabelled = append(f.pictures.Unlabelled, f.tree.show(name))
		}
	}
	return nil
}

// severalBelow returns the first folder from dir downwards that has several subfolders, or "".
func severalBelow(t tree, dir string) string {
	for range maxPictureDepth {
		names, err := subfolders(t, dir)
		switch {
		case err != nil || len(names) == 0:
			return ""
		case len(names) > 1:
			return dir
		}
		dir = path.Join(dir, names[0])
	}
	return ""
}

// readHeaders reads size, colours and orientation of each image, and drops the images that can't be read.
func (f *folder) readHeaders(ctx context.Context, images *[]folderImage, isTrain bool) error {
	all := *images
	var read atomic.Int64
	err := parallel(len(all), f.opt.workers(), func(i int) error {
		f.readHeader(&all[i])
		f.opt.opening(ReadingSizes, int(read.Add(1)), len(all))
		return ctx.Err()
	})
	for i := range all {
		all[i].place = len(f.listed) + i
	}
	f.listed = append(f.listed, all...)
	if err == nil {
		*images, err = f.dropUnreadable(all, isTrain)
	}
	return err
}

// readHeader sets what the file's header says, or the index if the file is unchanged.
func (f *folder) readHeader(im *folderImage) {
	im.known = f.index.find(im.name)
	if k := &im.known; k.fromIndex {
		im.info = k.info
		if k.reason != "" {
			im.reason = errors.New(k.reason)
		} else {
			im.reason = f.reader.decoding.check(im.info, im.info.memory)
		}
		return
	}
	im.info, im.reason = f.reader.readPictureInfo(f.tree, im.name)
	im.known.info = im.info
	if im.info.h == 0 { // the header can't be read; a picture that is only too large has its size
		if im.known.hasStamp = im.known.hasStamp && isContent(im.reason); im.known.hasStamp {
			im.known.reason = im.reason.Error()
		}
	}
}

// decode decodes a picture. If what is known of it comes from the index, its header is read first, and the result is
// compared; if they differ, the index is removed, and the error is errIndexWrong though dst has the pixels of the file.
func (f *folder) decode(ctx context.Context, im *folderImage, dst []byte) (decoded, error) {
	k := &im.known
	if !k.fromIndex {
		return f.reader.decode(ctx, f.tree, im.name, im.info, dst)
	}
	info, err := f.reader.readPictureInfo(f.tree, im.name)
	if err != nil {
		return decoded{}, err
	}
	d, err := f.reader.decode(ctx, f.tree, im.name, info, dst)
	if err == nil && (info != im.info || k.statistics.isKnown && k.statistics != statisticsOf(dst, f.reader.c)) {
		f.index.remove()
		err = errIndexWrong
	}
	return d, err
}

// check decodes a picture to dst and notes what only decoding tells.
func (f *folder) check(ctx context.Context, im *folderImage, dst []byte) error {
	d, err := f.decode(ctx, im, dst)
	if errors.Is(err, errIndexWrong) {
		return err
	}
	im.reason = err
	k := &im.known
	if !k.isDecoded || err != nil {
		f.index.stale()
	}
	k.isDecoded, k.transparent = err == nil, d.transparent
	switch {
	case err == nil:
		k.statistics, k.fromIndex = statisticsOf(dst, f.reader.c), false
		f.index.newStatistics()
	case isContent(err) && f.reader.decoding.check(im.info, f.reader.memory(im.info)) == nil:
		k.reason = err.Error()
	}
	return ctx.Err()
}

// dropUnreadable removes the images that can't be read and records them. It returns an
// error if they are more than half of the images or, if everyClass is set, if a class has
// no images left.
func (f *folder) dropUnreadable(images []folderImage, everyClass bool) ([]folderImage, error) {
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
		err := fmt.Errorf("%s: %w", f.tree.show(im.name), im.reason)
		f.skipped = append(f.skipped, printable.Text(err.Error()))
		first = cmp.Or(first, err)
		firstBad[im.label] = cmp.Or(firstBad[im.label], err)
	}
	if bad := len(images) - len(good); 2*bad > len(images) {
		return nil, fmt.Errorf("%s: %d of %d images cannot be read, the first: %w", f.root, bad, len(images), first)
	}
	for label, err := range firstBad {
		if everyClass && left[label] == 0 && err != nil {
			return nil, fmt.Errorf("%s: no image of class %q can be read, the first: %w", f.root, f.classes[label], err)
		}
	}
	return good, nil
}

// chooseShape sets the size and the channels of all images, and records the statistics of the files in pictures.
func (f *folder) chooseShape(p *parts) error {
	if f.opt.AutoSize && f.opt.ImageSize == [2]int{} {
		f.opt.ImageSize = sizeFor(p)
	}
	r, first := &f.reader, p.train[0].info
	r.h, r.w, r.c = cmp.Or(f.opt.ImageSize[0], first.h), cmp.Or(f.opt.ImageSize[1], first.w), 1
	sum := &f.pictures
	sum.MinH, sum.MinW, sum.MaxH, sum.MaxW = first.h, first.w, first.h, first.w
	for _, images := range p.all() {
		for _, im := range *images {
			i := im.info
			if !i.gray && !f.opt.Grayscale {
				r.c = 3
			}
			if i.h != r.h || i.w != r.w {
				sum.Resized++
			}
			if i.orientation > 1 {
				sum.Turned++
			}
			sum.Count++
			sum.MinH, sum.MinW = min(sum.MinH, i.h), min(sum.MinW, i.w)
			sum.MaxH, sum.MaxW = max(sum.MaxH, i.h), max(sum.MaxW, i.w)
		}
	}
	if r.h > math.MaxInt32/4/r.w {
		return fmt.Errorf("%s: images of %dx%d are too large: set a smaller image-size in the recipe", f.root, r.h, r.w)
	}
	return nil
}

// holdOut moves round(fraction * n) images of each class to the test set, at least one and at most n-1; a class with a
// single image keeps it. A Fisher-Yates shuffle of (seed, device.StreamSplit, class) selects them.
func (f *folder) holdOut(images []folderImage) (train, test []folderImage) {
	share := cmp.Or(f.opt.TestFraction, defaultTestFraction)
	for first := 0; first < len(images); {
		class := images[first].label
		end := first
		for end < len(images) && images[end].label == class {
			end++
		}
		isHeld := heldOut(end-first, share, f.opt.Seed, uint32(class))
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

// heldOut returns which of a class's n images are held out.
func heldOut(n int, share float64, seed uint64, class uint32) []bool {
	held := min(max(int(math.Round(share*float64(n))), 1), n-1)
	order := make([]int32, n)
	permute(order, seed, device.StreamSplit, class)
	isHeld := make([]bool, n)
	for _, i := range order[:held] {
		isHeld[i] = true
	}
	return isHeld
}

// open decodes every image that the index doesn't have as decoded, leaving out those that can't be decoded, and keeps the
// pixels of as many as are to be kept.
func (f *folder) open(ctx context.Context, name string, images []folderImage, everyClass bool) (Set, error) {
	size := f.imageLen()
	keep := min(len(images), f.keep)
	f.keep -= keep
	pixels := make([]byte, keep*size) // the system gives the memory when it is written
	isRead := make([]bool, len(images))
	err := parallel(len(images), f.opt.workers(), func(i int) error {
		if k := &images[i].known; !k.isDecoded || !k.statistics.isKnown {
			dst := pixels[min(i, keep)*size:]
			if i >= keep {
				dst = make([]byte, size) // never read
			}
			if err := f.check(ctx, &images[i], dst[:size]); err != nil {
				return err
			}
			isRead[i] = true
		}
		f.opt.opening(CheckingPictures, int(f.decoded.Add(1)), len(f.listed))
		return ctx.Err()
	})
	for _, im := range images {
		f.listed[im.place].known = im.known
		if im.known.transparent {
			f.pictures.Transparent++
		}
		if s := im.known.statistics; s.isKnown && s.spread(f.reader.h*f.reader.w) < emptySpread {
			f.pictures.Empty++
		}
	}
	if err != nil {
		return nil, err
	}
	good, err := f.dropUnreadable(images, everyClass)
	if err != nil {
		return nil, err
	}
	if keep < len(images) || slices.Contains(isRead, false) {
		return newFolderSet(f, images, isRead, pixels), nil
	}
	return f.inMemory(name, images, good, pixels), nil
}

// inMemory returns the set of the good ones among images whose pixels are all in memory.
func (f *folder) inMemory(name string, images, good []folderImage, pixels []byte) *InMemory {
	size, kept := f.imageLen(), 0
	for i, im := range images {
		if im.reason == nil {
			copy(pixels[kept*size:(kept+1)*size], pixels[i*size:(i+1)*size])
			kept++
		}
	}
	set := &InMemory{Name: name, H: f.reader.h, W: f.reader.w, C: f.reader.c, ClassNames: f.classes, Images: pixels[:kept*size], Labels: make([]int32, kept)}
	for i, im := range good {
		set.Labels[i] = im.label
		set.Files = append(set.Files, f.file(im))
	}
	return set
}
