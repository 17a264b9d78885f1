package figure

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// Distribution is a histogram of the values of a tensor: Counts are those of bins of equal width from Low to High.
type Distribution struct {
	Low, High, Mean, Std float64
	Counts               []float32
}

// Histogram is how the values of a tensor are distributed, and how they were after the first epoch if that is known.
type Histogram struct {
	Name  string // such as "weights of conv1.weight"
	Last  Distribution
	First *Distribution
}

// MaxHistograms is the number of histograms in a figure.
const MaxHistograms = 120

// Histograms draws histograms in three columns: the last as bars, and that of the first epoch as a line over the same range. Heights are square
// roots of densities, so that rare values remain visible.
func Histograms(w io.Writer, format, title string, all []Histogram) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if len(all) == 0 || len(all) > MaxHistograms {
		return errors.New("drawing histograms: want one or more, and at most MaxHistograms")
	}
	const columns, cell, high, gap = 3, 54.0, 96.0, 14.0
	rows := (len(all) + columns - 1) / columns
	s := newSheet(format, minWidth, content+float64(rows)*high+margin)
	s.title(title, "bars: after the last epoch; line: after the first, where it is known")
	width := (minWidth - 2*margin - gap*(columns-1)) / columns
	for i, h := range all {
		x, y := margin+float64(i%columns)*(width+gap), content+float64(i/columns)*high+10
		s.fitted(typeface{9.5, true}, left, ink, point{x, y}, width, h.Name)
		s.distribution(h, x, y+6, width, cell)
		numbers := fmt.Sprintf("mean %.3g, standard deviation %.3g, from %.3g to %.3g", h.Last.Mean, h.Last.Std, h.Last.Low, h.Last.High)
		s.fitted(typeface{8.5, false}, left, muted, point{x, y + cell + 18}, width, numbers)
	}
	return s.write(w)
}

// distribution draws one histogram in a rectangle.
func (s *page) distribution(h Histogram, x, y, width, height float64) {
	low, high := h.Last.Low, h.Last.High
	if h.First != nil {
		low, high = min(low, h.First.Low), max(high, h.First.High)
	}
	if !(high > low) {
		high = low + 1
	}
	top := h.Last.density()
	if h.First != nil {
		top = max(top, h.First.density())
	}
	if top == 0 {
		top = 1
	}
	at := func(v float64) float64 { return x + width*(v-low)/(high-low) }
	tall := func(d Distribution, n float32) float64 { return height * math.Sqrt(d.per(n)/top) }
	bin := func(d Distribution) float64 { return (d.High - d.Low) / float64(len(d.Counts)) }
	for k, n := range h.Last.Counts {
		from := at(h.Last.Low + float64(k)*bin(h.Last))
		s.fill(sky, corners(from, y+height-tall(h.Last, n), max(0.5, width*bin(h.Last)/(high-low)-0.4), tall(h.Last, n))...)
	}
	if f := h.First; f != nil {
		var line []point
		for k, n := range f.Counts {
			line = append(line, point{at(f.Low + (float64(k)+0.5)*bin(*f)), y + height - tall(*f, n)})
		}
		s.line(vermillion, 1.2, line...)
	}
	s.line(faint, 0.8, point{x, y + height}, point{x + width, y + height})
}

// per returns the density of a bin with n of the values.
func (d Distribution) per(n float32) float64 {
	sum := 0.0
	for _, m := range d.Counts {
		sum += float64(m)
	}
	if width := d.High - d.Low; sum > 0 && width > 0 {
		return float64(n) / sum / width
	}
	return float64(min(n, 1)) // all values are the same
}

// density returns the largest density of a bin.
func (d Distribution) density() (most float64) {
	for _, n := range d.Counts {
		most = max(most, d.per(n))
	}
	return most
}
