package data

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// array is a numeric array as a file stores it, row by row.
type array struct {
	file   string // path, for messages
	offset int64  // of the first element in the file, after decompression
	dims   []int
	kind   element
	order  binary.ByteOrder
	raw    []byte
}

// element is the type of an array's elements.
type element uint8

const (
	uint8Element element = iota
	int8Element
	int16Element
	uint16Element
	int32Element
	uint32Element
	int64Element
	uint64Element
	float32Element
	float64Element
)

// size returns the bytes per element.
func (e element) size() int {
	return [...]int{1, 1, 2, 2, 4, 4, 8, 8, 4, 8}[e]
}

// value returns element i.
func (a *array) value(i int) float64 {
	at := a.raw[i*a.kind.size():]
	switch a.kind {
	case uint8Element:
		return float64(at[0])
	case int8Element:
		return float64(int8(at[0]))
	case int16Element:
		return float64(int16(a.order.Uint16(at)))
	case uint16Element:
		return float64(a.order.Uint16(at))
	case int32Element:
		return float64(int32(a.order.Uint32(at)))
	case uint32Element:
		return float64(a.order.Uint32(at))
	case int64Element:
		return float64(int64(a.order.Uint64(at)))
	case uint64Element:
		return float64(a.order.Uint64(at))
	case float32Element:
		return float64(math.Float32frombits(a.order.Uint32(at)))
	}
	return math.Float64frombits(a.order.Uint64(at))
}

// elements returns the product of the dimensions, or false if it is more than limit.
func elements(dims []int, limit int64) (int64, bool) {
	n := int64(1)
	for _, d := range dims {
		if d == 0 {
			return 0, true
		}
	}
	for _, d := range dims {
		if n > limit/int64(d) {
			return 0, false
		}
		n *= int64(d)
	}
	return n, true
}

// layoutOfImages says how an array's elements lie in images: pixel (y, x, c) of image i is element
// i*h*w*c + y*stepY + x*stepX + c*stepC.
type layoutOfImages struct{ n, h, w, c, stepY, stepX, stepC int }

// imageLayout returns how the dimensions are read:
//
//	[n, h, w]      gray images
//	[n, h, w, c]   c = 1 or 3
//	[n, c, h, w]   c = 1 or 3, unless the last dimension is 1 or 3 too
//	[n, s*s]       square gray images, row by row
//	[n, 3*s*s]     square colour images as three planes, if s*s*3 is no square
func (a *array) imageLayout(transpose bool) (layoutOfImages, error) {
	d := a.dims
	var l layoutOfImages
	switch {
	case len(d) == 3:
		l = layoutOfImages{d[0], d[1], d[2], 1, d[2], 1, 1}
	case len(d) == 4 && (d[3] == 1 || d[3] == 3):
		l = layoutOfImages{d[0], d[1], d[2], d[3], d[2] * d[3], d[3], 1}
	case len(d) == 4 && (d[1] == 1 || d[1] == 3):
		l = layoutOfImages{d[0], d[2], d[3], d[1], d[3], 1, d[2] * d[3]}
	case len(d) == 2 && squareRoot(d[1]) > 0:
		s := squareRoot(d[1])
		l = layoutOfImages{d[0], s, s, 1, s, 1, 1}
	case len(d) == 2 && d[1]%3 == 0 && squareRoot(d[1]/3) > 0:
		s := squareRoot(d[1] / 3)
		l = layoutOfImages{d[0], s, s, 3, s, 1, s * s}
	default:
		return l, &FormatError{a.file, -1, "images as [n, h, w], [n, h, w, c] or [n, c, h, w] with 1 or 3 channels, or [n, s*s]", fmt.Sprintf("dimensions %v", d)}
	}
	if l.n == 0 || l.h == 0 || l.w == 0 {
		return l, &FormatError{a.file, min(4, a.offset), "at least one image with pixels", fmt.Sprintf("dimensions %v", d)}
	}
	if transpose {
		l.h, l.w, l.stepY, l.stepX = l.w, l.h, l.stepX, l.stepY
	}
	return l, nil
}

// squareRoot returns s if n is s*s with s > 1, and otherwise 0.
func squareRoot(n int) int {
	s := int(math.Sqrt(float64(n)) + 0.5)
	if s > 1 && s*s == n {
		return s
	}
	return 0
}

// images returns the array as images [n, h, w, c] of bytes. Values from 0 to 255 are rounded; floating-point values
// that don't exceed 1 are fractions of 255.
func (a *array) images(transpose bool) (layoutOfImages, []byte, error) {
	l, err := a.imageLayout(transpose)
	if err != nil {
		return l, nil, err
	}
	isInPlace := l.stepC == 1 && l.stepX == l.c && l.stepY == l.w*l.c
	if a.kind == uint8Element && isInPlace {
		return l, a.raw, nil
	}
	scale, err := a.scale()
	if err != nil {
		return l, nil, err
	}
	size := l.h * l.w * l.c
	pixels := make([]byte, l.n*size)
	for i := range l.n {
		image := pixels[i*size : (i+1)*size]
		k := 0
		for y := range l.h {
			for x := range l.w {
				for c := range l.c {
					image[k] = byte(scale*a.value(i*size+y*l.stepY+x*l.stepX+c*l.stepC) + 0.5)
					k++
				}
			}
		}
	}
	return l, pixels, nil
}

// scale returns the factor that turns the values into 0 to 255.
func (a *array) scale() (float64, error) {
	if a.kind == uint8Element {
		return 1, nil
	}
	low, high := 0.0, 0.0
	for i := range len(a.raw) / a.kind.size() {
		v := a.value(i)
		if math.IsNaN(v) {
			return 0, &FormatError{a.file, a.offset + int64(i*a.kind.size()), "pixels from 0 to 255, or from 0 to 1", "NaN"}
		}
		low, high = min(low, v), max(high, v)
	}
	if low < 0 || high > 255 {
		return 0, &FormatError{a.file, -1, "pixels from 0 to 255, or from 0 to 1", fmt.Sprintf("%v to %v", low, high)}
	}
	if high <= 1 && (a.kind == float32Element || a.kind == float64Element) {
		return 255, nil
	}
	return 1, nil
}

// labels returns the array as whole numbers: [n], [n, 1], or the first column of [n, k], as QMNIST has them.
func (a *array) labels() ([]int64, error) {
	columns := 1
	if len(a.dims) == 2 {
		columns = a.dims[1]
	}
	if len(a.dims) < 1 || len(a.dims) > 2 || columns == 0 {
		return nil, &FormatError{a.file, -1, "labels as [n], [n, 1] or [n, k] with the label first", fmt.Sprintf("dimensions %v", a.dims)}
	}
	if a.isOneHot(columns) {
		return a.oneHot(columns), nil
	}
	labels := make([]int64, a.dims[0])
	for i := range labels {
		v := a.value(i * columns)
		if v != math.Trunc(v) || math.Abs(v) > 1<<31 {
			return nil, &FormatError{a.file, a.offset + int64(i*columns*a.kind.size()), "labels that are whole numbers", fmt.Sprint(v)}
		}
		labels[i] = int64(v)
	}
	return labels, nil
}

// isOneHot reports whether each row is 0 but for a single 1.
func (a *array) isOneHot(columns int) bool {
	if columns < 2 {
		return false
	}
	for i := range a.dims[0] {
		ones := 0
		for k := range columns {
			switch a.value(i*columns + k) {
			case 0:
			case 1:
				ones++
			default:
				return false
			}
		}
		if ones != 1 {
			return false
		}
	}
	return a.dims[0] > 0
}

// oneHot returns the column of each row's 1.
func (a *array) oneHot(columns int) []int64 {
	labels := make([]int64, a.dims[0])
	for i := range labels {
		for a.value(i*columns+int(labels[i])) != 1 {
			labels[i]++
		}
	}
	return labels
}

// arraySet is a data set of arrays: images and labels of each part.
type arraySet struct {
	name, source string
	images       [partCount]*array // nil if the part is missing
	labels       [partCount]*array
	transpose    bool // the images are stored column by column
	// names returns the names of the classes and the label of each, in ascending order, for the labels that occur, which
	// are sorted. If it is nil or returns nil, the labels that occur are the classes, and their numbers the names.
	names func(values []int64) (classes []string, labels []int64)
}

// counted returns the labels 0 to n-1.
func counted(n int) []int64 {
	labels := make([]int64, n)
	for i := range labels {
		labels[i] = int64(i)
	}
	return labels
}

// dataset joins images and labels. Classes are the labels that occur in any part, in the order of their values.
// If there is no test set, a validation set takes its place, or a fraction of each class is held out.
func (s *arraySet) dataset(opt Options) (*Dataset, error) {
	if s.images[trainPart] == nil {
		return nil, &FormatError{s.source, -1, "images of a training set", "none"}
	}
	var numbers [partCount][]int64
	var values []int64
	for p, labels := range s.labels {
		if (labels == nil) != (s.images[p] == nil) {
			return nil, s.alone(part(p))
		}
		if labels == nil {
			continue
		}
		var err error
		if numbers[p], err = labels.labels(); err != nil {
			return nil, err
		}
		values = slices.Compact(slices.Sorted(slices.Values(append(values, numbers[p]...))))
	}
	classes, values, err := s.classes(values, opt)
	if err != nil {
		return nil, err
	}
	var sets [partCount]*InMemory
	for p := range sets {
		if s.images[p] == nil {
			continue
		}
		if sets[p], err = s.join(part(p), numbers[p], values, classes); err != nil {
			return nil, err
		}
		first := sets[trainPart]
		if sets[p].H != first.H || sets[p].W != first.W || sets[p].C != first.C {
			return nil, &FormatError{s.images[p].file, min(8, s.images[p].offset), fmt.Sprintf("images of %dx%dx%d, as in %s", first.H, first.W, first.C, s.images[trainPart].file),
				fmt.Sprintf("%dx%dx%d", sets[p].H, sets[p].W, sets[p].C)}
		}
	}
	d := &Dataset{Name: s.name, Source: s.source, Train: sets[trainPart]}
	switch {
	case sets[testPart] != nil:
		d.Test = sets[testPart]
		if sets[valPart] != nil {
			d.Val = sets[valPart]
		}
	case sets[valPart] != nil:
		d.Test = sets[valPart]
	default:
		d.Train, d.Test = sets[trainPart].holdOutTest(opt)
	}
	return d, nil
}

// alone is the error of images without labels, or the reverse.
func (s *arraySet) alone(p part) error {
	if s.images[p] == nil {
		return &FormatError{s.labels[p].file, -1, "images for these labels", "none"}
	}
	return &FormatError{s.images[p].file, -1, "labels for these images", "none"}
}

// classes returns the names of the classes, and the label of each.
func (s *arraySet) classes(values []int64, opt Options) ([]string, []int64, error) {
	if opt.Classes != nil {
		if low, high := values[0], values[len(values)-1]; low < 0 || high >= int64(len(opt.Classes)) {
			return nil, nil, &FormatError{s.source, -1, fmt.Sprintf("labels from 0 to %d, for the classes of data.classes", len(opt.Classes)-1), fmt.Sprintf("%d to %d", low, high)}
		}
		return opt.Classes, counted(len(opt.Classes)), nil
	}
	var names []string
	if s.names != nil {
		if classes, labels := s.names(values); classes != nil {
			names, values = classes, labels
		}
	}
	if names == nil {
		for _, v := range values {
			names = append(names, fmt.Sprint(v))
		}
	}
	if len(names) == 1 {
		return nil, nil, &FormatError{s.source, -1, "at least two classes", fmt.Sprintf("only the label %d", values[0])}
	}
	return names, values, nil
}

// join makes a set of images and labels. Label values[k] is class k.
func (s *arraySet) join(p part, numbers, values []int64, classes []string) (*InMemory, error) {
	a, labels := s.images[p], s.labels[p]
	l, pixels, err := a.images(s.transpose)
	if err != nil {
		return nil, err
	}
	if len(numbers) != l.n {
		return nil, &FormatError{labels.file, min(4, labels.offset), fmt.Sprintf("%d labels, one for each image of %s", l.n, a.file), fmt.Sprint(len(numbers))}
	}
	set := &InMemory{Name: s.name, H: l.h, W: l.w, C: l.c, ClassNames: classes, Images: pixels, Labels: make([]int32, l.n)}
	step := len(labels.raw) / l.n
	for i, v := range numbers {
		class, ok := slices.BinarySearch(values, v)
		if !ok {
			return nil, &FormatError{labels.file, labels.offset + int64(i*step), fmt.Sprintf("a label from %d to %d", values[0], values[len(values)-1]), fmt.Sprint(v)}
		}
		set.Labels[i] = int32(class)
	}
	return set, nil
}

// holdOutTest moves a fraction of each class to a test set, like a folder's.
func (s *InMemory) holdOutTest(opt Options) (train, test Set) {
	share := opt.TestFraction
	if share == 0 {
		share = defaultTestFraction
	}
	rest, held := stratify(s.Labels, len(s.ClassNames), share, opt.Seed, 0)
	return pick(s, rest), pick(s, held)
}
