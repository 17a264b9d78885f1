package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"trainer/nn/bounded"
	"trainer/nn/printable"
)

// An examination looks for what makes a network worse, or its accuracy look better than it is, without an error: images
// that are in two parts of a data set, pictures without content, classes of few images.

// Examination is what Dataset.Examine finds.
type Examination struct {
	Name     string          `json:"name"`
	Source   string          `json:"source"`
	Shape    [3]int          `json:"image_shape"` // as a network gets the images: rows, columns, channels
	Classes  []string        `json:"classes"`
	Parts    []ExaminedSet   `json:"parts"`
	Files    *FileStatistics `json:"files,omitempty"` // nil if the images are not files of their own
	Skipped  []string        `json:"skipped"`         // files that can't be read, with the reasons
	Unused   []string        `json:"unused"`          // pictures without a label
	Findings []Finding       `json:"findings"`
}

// ExaminedSet is a part of a data set.
type ExaminedSet struct {
	Name     string `json:"name"` // "train", "val" or "test"
	Images   int    `json:"images"`
	PerClass []int  `json:"images_per_class"` // in the order of the classes
}

// FileStatistics describes the files of a folder's pictures, those that can be read.
type FileStatistics struct {
	Smallest    [2]int         `json:"smallest"` // width and height, by number of pixels
	Median      [2]int         `json:"median"`
	Largest     [2]int         `json:"largest"`
	Formats     map[string]int `json:"formats"`
	Gray        int            `json:"gray"`
	Colour      int            `json:"colour"`
	Transparent int            `json:"transparent"`
	Turned      int            `json:"turned"`      // by their EXIF orientation
	Unsupported map[string]int `json:"unsupported"` // files in formats that can't be read, by format
}

// ImageRef names an image.
type ImageRef struct {
	Part  string `json:"part"`
	Class string `json:"class"`
	Image string `json:"image"` // the file's name in the data set's folder, or "image 12"
}

// String returns the part and the image.
func (r ImageRef) String() string { return r.Part + ": " + r.Image }

// FindingKind is a kind of Finding.
type FindingKind string

// The kinds of findings.
const (
	// LeakedImage is an image that is in two parts: if one is the training set, its accuracy is better than that of new
	// images.
	LeakedImage FindingKind = "in-two-parts"
	// ContradictoryImage is an image that is in two classes.
	ContradictoryImage FindingKind = "in-two-classes"
	// RepeatedImage is an image that is several times in one class of one part.
	RepeatedImage FindingKind = "repeated"
	// EmptyImage is an image of a single colour, or nearly.
	EmptyImage FindingKind = "empty"
	// OddImage is a picture whose size or proportions are far from those of the others.
	OddImage FindingKind = "odd-size"
	// SmallClass is a class of few training images.
	SmallClass FindingKind = "few-images"
	// UntestedClass is a class without images in the test set.
	UntestedClass FindingKind = "untested"
	// Imbalanced is a data set whose classes differ much in their numbers of images.
	Imbalanced FindingKind = "imbalanced"
	// SimilarNames are classes whose names differ in case, spaces, hyphens or underscores only.
	SimilarNames FindingKind = "similar-names"
)

// Finding is something that the user should look at.
type Finding struct {
	Kind    FindingKind `json:"kind"`
	Serious bool        `json:"serious"` // it makes an accuracy worthless
	Text    string      `json:"text"`
	Images  []ImageRef  `json:"images,omitempty"`
}

// Serious reports whether a finding makes an accuracy worthless.
func (e *Examination) Serious() bool {
	return slices.ContainsFunc(e.Findings, func(f Finding) bool { return f.Serious })
}

// The bounds of findings.
const (
	emptySpread   = 4.0 // levels of 255: the standard deviation below which an image counts as empty
	oddArea       = 16  // times more or fewer pixels than the median
	oddProportion = 3   // times wider or higher than the median
	fewImages     = 10
	imbalance     = 10 // the largest class by the smallest
)

// examined is an image during an examination.
type examined struct {
	ref    ImageRef
	sum    string
	spread float64
	label  int32
	file   *folderImage // nil if the image is not a file of its own
}

// Examine looks at every image. Images are the same if their files have the same bytes, or, if they are not files of
// their own, the same pixels. The error is ctx's, or says what can't be read.
func (d *Dataset) Examine(ctx context.Context) (*Examination, error) {
	e := &Examination{Name: d.Name, Source: d.Source, Classes: d.Train.Classes(), Skipped: d.Skipped}
	e.Shape[0], e.Shape[1], e.Shape[2] = d.Train.ImageShape()
	files := d.files()
	var all []examined
	for _, part := range []struct {
		name string
		set  Set
	}{{"train", d.Train}, {"val", d.Val}, {"test", d.Test}} {
		if part.set == nil || part.set.Len() == 0 {
			continue
		}
		images, err := examineSet(ctx, part.set, part.name, d.folder, files)
		if err != nil {
			return nil, err
		}
		counts := make([]int, len(e.Classes))
		for _, im := range images {
			counts[im.label]++
		}
		e.Parts = append(e.Parts, ExaminedSet{part.name, len(images), counts})
		all = append(all, images...)
	}
	if d.folder != nil {
		d.folder.index.save(d.folder.listed)
	}
	e.describeFiles(d, all)
	e.findCopies(all)
	e.findEmpty(all)
	e.findOdd(all)
	e.Findings = append(e.Findings, classFindings(e.Classes, e.Parts)...)
	return e, nil
}

// files returns what is known of the files of a folder, by name.
func (d *Dataset) files() map[string]*folderImage {
	all := map[string]*folderImage{}
	if d.folder != nil {
		for i := range d.folder.listed {
			all[d.folder.listed[i].name] = &d.folder.listed[i]
		}
	}
	return all
}

// examineSet examines the images of one part.
func examineSet(ctx context.Context, set Set, part string, f *folder, files map[string]*folderImage) ([]examined, error) {
	labels, err := labelsOf(ctx, set)
	if err != nil {
		return nil, err
	}
	all := make([]examined, set.Len())
	h, w, c := set.ImageShape()
	var opt Options
	return all, parallel(len(all), opt.workers(), func(i int) error {
		im := &all[i]
		im.label = labels[i]
		im.ref = ImageRef{part, set.Classes()[labels[i]], fmt.Sprintf("image %d", i)}
		if file := fileOf(set, i); file.Name != "" && files[file.Name] != nil {
			im.file, im.ref.Image = files[file.Name], printable.Text(validText(file.Name))
			im.spread = im.file.known.statistics.spread(h * w)
			if err := f.sum(ctx, &im.file.known, file); err != nil {
				return fmt.Errorf("%s: %w", quoted(file.String()), err)
			}
			im.sum = im.file.known.sum
			return ctx.Err()
		}
		pixels := make([]byte, h*w*c)
		if _, err := set.Read(i, pixels); err != nil {
			return fmt.Errorf("%s, image %d: %w", part, i, err)
		}
		sum := sha256.Sum256(pixels)
		s := statisticsOf(pixels, c)
		im.sum, im.spread = hex.EncodeToString(sum[:]), s.spread(h*w)
		return ctx.Err()
	})
}

// sum sets checksum and format of a file, unless the index had them.
func (f *folder) sum(ctx context.Context, k *checked, image ImageFile) error {
	if k.sum != "" {
		return nil
	}
	file, err := image.open()
	if err != nil {
		return err
	}
	defer file.Close()
	h := sha256.New()
	head := make([]byte, 16)
	n, err := io.ReadFull(file, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return err
	}
	h.Write(head[:n])
	if _, err := io.Copy(h, bounded.Context(ctx, file)); err != nil {
		return err
	}
	k.sum, k.format = hex.EncodeToString(h.Sum(nil)), formatOf(head[:n])
	f.index.stale()
	return nil
}

// describeFiles sets the statistics of files.
func (e *Examination) describeFiles(d *Dataset, all []examined) {
	if d.Pictures != nil {
		e.Unused = d.Pictures.Unlabelled
	}
	infos := picturesOf(all)
	if len(infos) == 0 || d.Pictures == nil {
		return
	}
	size := func(i pictureInfo) [2]int { return [2]int{i.w, i.h} }
	e.Files = &FileStatistics{
		Smallest: size(infos[0]), Median: size(infos[len(infos)/2]), Largest: size(infos[len(infos)-1]),
		Formats: map[string]int{}, Transparent: d.Pictures.Transparent, Turned: d.Pictures.Turned, Unsupported: d.Pictures.Unsupported,
	}
	for _, im := range all {
		if im.file == nil {
			continue
		}
		e.Files.Formats[im.file.known.format]++
		if im.file.info.gray {
			e.Files.Gray++
		} else {
			e.Files.Colour++
		}
	}
}

// picturesOf returns the headers of all files, sorted by number of pixels.
func picturesOf(all []examined) []pictureInfo {
	var infos []pictureInfo
	for _, im := range all {
		if im.file != nil {
			infos = append(infos, im.file.info)
		}
	}
	slices.SortFunc(infos, func(a, b pictureInfo) int {
		return cmp.Or(cmp.Compare(a.h*a.w, b.h*b.w), cmp.Compare(a.w, b.w))
	})
	return infos
}

// findCopies adds a finding for each image that is there several times, first those in two parts.
func (e *Examination) findCopies(all []examined) {
	bySum := map[string][]examined{}
	var order []string
	for _, im := range all {
		if len(bySum[im.sum]) == 1 {
			order = append(order, im.sum)
		}
		bySum[im.sum] = append(bySum[im.sum], im)
	}
	byKind := map[FindingKind][]Finding{}
	for _, sum := range order {
		same := bySum[sum]
		f := Finding{Kind: RepeatedImage, Text: fmt.Sprintf("the same image %d times", len(same))}
		for _, im := range same {
			f.Images = append(f.Images, im.ref)
			switch {
			case im.ref.Part != same[0].ref.Part:
				f.Kind, f.Serious, f.Text = LeakedImage, true, "the same image in two parts"
			case im.label != same[0].label && f.Kind != LeakedImage:
				f.Kind, f.Text = ContradictoryImage, "the same image in two classes"
			}
		}
		byKind[f.Kind] = append(byKind[f.Kind], f)
	}
	for _, kind := range []FindingKind{LeakedImage, ContradictoryImage, RepeatedImage} {
		e.Findings = append(e.Findings, byKind[kind]...)
	}
}

// findEmpty adds images of nearly a single colour.
func (e *Examination) findEmpty(all []examined) {
	for _, im := range all {
		if im.spread >= emptySpread {
			continue
		}
		text := "nearly empty"
		if im.spread == 0 {
			text = "a single colour"
		}
		e.Findings = append(e.Findings, Finding{Kind: EmptyImage, Text: text, Images: []ImageRef{im.ref}})
	}
}

// findOdd adds pictures whose size or proportions are far from the median.
func (e *Examination) findOdd(all []examined) {
	infos := picturesOf(all)
	if len(infos) == 0 {
		return
	}
	area := infos[len(infos)/2].h * infos[len(infos)/2].w
	proportions := make([]float64, len(infos))
	for i, info := range infos {
		proportions[i] = float64(info.w) / float64(info.h)
	}
	slices.Sort(proportions)
	middle := proportions[len(proportions)/2]
	for _, im := range all {
		if im.file == nil {
			continue
		}
		w, h := im.file.info.w, im.file.info.h
		usual := ""
		switch p := float64(w) / float64(h) / middle; {
		case p > oddProportion || p < 1./oddProportion:
			usual = fmt.Sprintf("the usual proportion of width to height is %.2g", middle)
		case w*h > oddArea*area || w*h*oddArea < area:
			usual = fmt.Sprintf("the median size is %dx%d", infos[len(infos)/2].w, infos[len(infos)/2].h)
		default:
			continue
		}
		e.Findings = append(e.Findings, Finding{Kind: OddImage, Text: fmt.Sprintf("%dx%d pixels (%s)", w, h, usual), Images: []ImageRef{im.ref}})
	}
}
