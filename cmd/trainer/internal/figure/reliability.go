package figure

import (
	"errors"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"

	"trainer/nn/metric"
)

// Reliability draws the calibration of a network's probabilities: for each bin of probabilities the accuracy of the answers
// as a bar, beside the diagonal on which perfectly calibrated ones lie, and below the number of the answers in each bin.
func Reliability(w io.Writer, format, title string, r *metric.Report) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if r.Count == 0 {
		return errors.New("drawing reliability: no answers")
	}
	const side, low = 420.0, 70.0 // of the square of the bars, and height of the numbers below it
	x, y := margin+44, content+6
	s := newSheet(format, minWidth, y+side+low+44+margin)
	s.title(title, fmt.Sprintf("%s images, expected calibration error %.2f%%; bars: accuracy, lines: mean probability", humanize.Comma(int64(r.Count)), 100*r.ECE))
	largest := 0
	for _, b := range r.Bins {
		largest = max(largest, b.Count)
	}
	share := func(b metric.Bin) float64 { return float64(b.Count) / float64(largest) }
	t := typeface{9, false}
	for k := range 6 {
		v := float64(k) / 5
		s.line(mix(white, faint, 0.6), 0.7, point{x, y + side*(1-v)}, point{x + side, y + side*(1-v)})
		s.text(t, right, muted, point{x - 6, y + side*(1-v) + 3}, fmt.Sprintf("%.0f%%", 100*v))
		s.text(t, center, muted, point{x + side*v, y + side + low + 16}, fmt.Sprintf("%.0f%%", 100*v))
	}
	base := y + side + low
	for _, b := range r.Bins {
		if b.Count == 0 {
			continue
		}
		from, width := x+side*b.Low+1, side*(b.High-b.Low)-2
		s.fill(sky, corners(from, y+side*(1-b.Accuracy), width, side*b.Accuracy)...)
		s.line(vermillion, 2, point{from, y + side*(1-b.Confidence)}, point{from + width, y + side*(1-b.Confidence)})
		s.fill(muted, corners(from, base-(low-14)*share(b), width, (low-14)*share(b))...)
	}
	s.line(ink, 0.8, point{x, y + side}, point{x + side, y})
	s.outline(faint, 0.8, corners(x, y, side, side)...)
	s.line(faint, 0.8, point{x, base}, point{x + side, base})
	s.text(typeface{10, false}, center, muted, point{x + side/2, base + 34}, fmt.Sprintf("probability of the answer; gray: number of images, at most %s", humanize.Comma(int64(largest))))
	return s.write(w)
}
