package figure

import (
	"errors"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Point is the result of an epoch. A value that was not measured is NaN.
type Point struct {
	Epoch, Loss float64
	Accuracy    float64 // 0 to 1
}

// Series is the course of a training, or of several that differ in the seed.
type Series struct {
	Name  string
	Seeds [][]Point
}

// seriesColors are the colours of series, in their order. Further ones begin again, with dashes.
var seriesColors = []color.NRGBA{blue, vermillion, green, purple, orange, sky}

// MaxSeries is the largest number of series that Compared draws.
const MaxSeries = 12

// Compared draws the losses and accuracies of several series by epoch over one another. Of a series with several seeds it
// draws the mean, and as a band around it the standard deviation (with n-1 in the denominator).
func Compared(w io.Writer, format, title, subtitle string, series []Series) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if len(series) == 0 || len(series) > MaxSeries {
		return errors.New("drawing curves: want 1 to 12 series")
	}
	const width, plotHeight, line = 700.0, 330.0, 16.0
	height := plotHeight + line*float64(len(series)-1)
	s := newSheet(format, width, height)
	s.title(title, subtitle)
	half := (width - 2*margin) / 2
	loss := s.comparedPlot("loss", "%.3g", series, func(p Point) float64 { return p.Loss })
	accuracy := s.comparedPlot("accuracy (%)", "%.4g", series, func(p Point) float64 { return 100 * p.Accuracy })
	room := plotHeight - content - margin - line
	s.plot(loss, margin-4, content, half-4, room)
	s.plot(accuracy, margin+half+4, content, half-4, room)
	y := content + room + line
	for i, one := range series {
		c := seriesColors[i%len(seriesColors)]
		s.line(c, 2, point{margin, y}, point{margin + 22, y})
		if i < len(seriesColors) {
			s.disc(c, point{margin + 11, y}, 2.6)
		}
		s.text(typeface{10, false}, left, ink, point{margin + 27, y + 4}, one.Name)
		y += line
	}
	return s.write(w)
}

// comparedPlot plots one value of all series.
func (s *page) comparedPlot(label, ticks string, series []Series, value func(Point) float64) *plot.Plot {
	p := s.newAxes(label)
	low, high, last := math.Inf(1), math.Inf(-1), 1.0
	var lines []plot.Plotter // above the bands of all series
	for i, one := range series {
		mean, std := spread(one.Seeds, value)
		for k, m := range mean {
			low, high, last = min(low, m.Y-std[k]), max(high, m.Y+std[k]), max(last, m.X)
		}
		if len(mean) == 0 {
			continue
		}
		c := seriesColors[i%len(seriesColors)]
		if len(one.Seeds) > 1 {
			p.Add(band(mean, std, mix(white, c, 0.25)))
		}
		shapes := curve(mean, c)
		if i >= len(seriesColors) {
			shapes[0].(*plotter.Line).Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
			shapes = shapes[:1]
		}
		lines = append(lines, shapes...)
	}
	p.Add(lines...)
	p.X.Min, p.X.Max = 0, last
	p.X.Tick.Marker = roundTicks{"%g", true}
	p.Y.Min, p.Y.Max = around(low, high)
	p.Y.Tick.Marker = roundTicks{ticks, false}
	return p
}

// spread returns mean and standard deviation of a value over the seeds that have it, for each epoch.
func spread(seeds [][]Point, value func(Point) float64) (mean plotter.XYs, std []float64) {
	for k := 0; ; k++ {
		var epoch float64
		var values []float64
		more := false
		for _, points := range seeds {
			if k >= len(points) {
				continue
			}
			more = true
			if v := value(points[k]); !math.IsNaN(v) && !math.IsInf(v, 0) {
				epoch, values = points[k].Epoch, append(values, v)
			}
		}
		if !more {
			return mean, std
		}
		if len(values) == 0 {
			continue
		}
		m, d := 0.0, 0.0
		for _, v := range values {
			m += v / float64(len(values))
		}
		for _, v := range values {
			d += (v - m) * (v - m) / float64(max(1, len(values)-1))
		}
		mean, std = append(mean, plotter.XY{X: epoch, Y: m}), append(std, math.Sqrt(d))
	}
}

// band is the area from mean-std to mean+std.
func band(mean plotter.XYs, std []float64, c color.NRGBA) plot.Plotter {
	area := make(plotter.XYs, 0, 2*len(mean))
	for k, m := range mean {
		area = append(area, plotter.XY{X: m.X, Y: m.Y + std[k]})
	}
	for k := len(mean) - 1; k >= 0; k-- {
		area = append(area, plotter.XY{X: mean[k].X, Y: mean[k].Y - std[k]})
	}
	return &plotter.Polygon{XYs: []plotter.XYs{area}, Color: c, LineStyle: draw.LineStyle{}}
}
