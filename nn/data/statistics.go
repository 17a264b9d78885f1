package data

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// statistics are sums over the pixels of an image, per channel, of bytes p: what the mean and the standard deviation of a
// data set follow from (MeanStd). They are integers, so that a set's sums are the same in any order, and the same whether
// they come from pixels or from an index. The zero value stands for unknown statistics if isKnown is false.
type statistics struct {
	isKnown      bool
	sum, squares [3]uint64 // of p and of p*p; channels that the image lacks are 0
}

// statisticsOf returns the statistics of an image [h, w, c] of at most three channels.
func statisticsOf(pixels []byte, c int) statistics {
	s := statistics{isKnown: true}
	addSums(s.sum[:c], s.squares[:c], pixels)
	return s
}

// spread returns the largest standard deviation of a channel of an image of n pixels, in levels of 255: 0 for a single
// colour.
func (s *statistics) spread(n int) float64 {
	largest := 0.0
	for ch := range s.sum {
		mean := float64(s.sum[ch]) / float64(n)
		largest = max(largest, float64(s.squares[ch])/float64(n)-mean*mean)
	}
	return math.Sqrt(largest)
}

// summed is a set that knows the statistics of some of its images without reading them.
type summed interface {
	statistics(i int) (statistics, bool)
}

// statisticsIn returns the statistics of an image if the set knows them.
func statisticsIn(set Set, i int) (statistics, bool) {
	switch s := set.(type) {
	case summed:
		return s.statistics(i)
	case *subset:
		return statisticsIn(s.Set, int(s.indices[i]))
	case *joined:
		set, k := s.at(i)
		return statisticsIn(set, k)
	}
	return statistics{}, false
}

// imageLine is a line of an index about an image.
type imageLine struct {
	Name    string   `json:"name"`
	Size    int64    `json:"size"` // of the file
	Time    int64    `json:"time"`
	Sum     []uint64 `json:"sum"` // per channel
	Squares []uint64 `json:"squares"`
}

// imageSettings names everything besides the files that changes the pixels of images.
func (r *pictureReader) imageSettings(opt Options) string {
	return fmt.Sprintf("%s, %dx%dx%d, resize %s, background %v", decodingSettings(opt), r.h, r.w, r.c, r.resize, r.background)
}

// describe opens the statistics of images as a reader makes them, and adds them to what is known of files.
func (x *index) describe(ctx context.Context, r *pictureReader, opt Options, parts []*[]folderImage) {
	if x == nil {
		return
	}
	x.images, x.imageChannels = newIndexFile(opt.Index, x.files.head.Folder, "images", r.imageSettings(opt)), r.c
	lines, err := readIndexLines[imageLine](ctx, x.images)
	if err == nil {
		x.imagesBefore, _ = parseImageLines(lines, r.h*r.w, r.c)
	}
	for _, images := range parts {
		for i := range *images {
			im := &(*images)[i]
			if l := x.imagesBefore[im.name]; l != nil && im.known.fromIndex && im.known.stamp == (stamp{l.Size, l.Time}) {
				im.known.statistics = statistics{isKnown: true}
				copy(im.known.statistics.sum[:], l.Sum)
				copy(im.known.statistics.squares[:], l.Squares)
			}
		}
	}
}

// parseImageLines returns the lines by name, or an error if a value is impossible for images of n pixels and c channels.
func parseImageLines(lines []imageLine, n, c int) (map[string]*imageLine, error) {
	all := make(map[string]*imageLine, len(lines))
	for i := range lines {
		l := &lines[i]
		tooLarge := func(most int) func(uint64) bool {
			return func(v uint64) bool { return v > uint64(most)*uint64(n) }
		}
		switch {
		case l.Name == "" || all[l.Name] != nil:
			return nil, errors.New("no name, or one twice")
		case len(l.Sum) != c || len(l.Squares) != c:
			return nil, fmt.Errorf("%q: another number of channels", l.Name)
		case slices.ContainsFunc(l.Sum, tooLarge(255)) || slices.ContainsFunc(l.Squares, tooLarge(255*255)):
			return nil, fmt.Errorf("%q: impossible sums", l.Name)
		}
		all[l.Name] = l
	}
	return all, nil
}

// newStatistics notes that an image has statistics that the index doesn't have.
func (x *index) newStatistics() {
	if x != nil {
		x.imagesAreOld.Store(true)
	}
}

// imageLine returns the line about the image.
func (im *folderImage) imageLine(c int) imageLine {
	k := &im.known
	return imageLine{im.name, k.size, k.time, k.statistics.sum[:c:c], k.statistics.squares[:c:c]}
}
