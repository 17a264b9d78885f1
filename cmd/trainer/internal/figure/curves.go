package figure

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"

	stdfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Curves draws loss and accuracy by epoch, on the training, the validation and the test set. steps, which may be nil, are
// results of training between the epochs' ends.
func Curves(w io.Writer, format, title string, epochs, steps []Epoch) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if len(epochs) == 0 {
		return errors.New("drawing curves: no epochs")
	}
	const width, height = 700.0, 330.0
	s := newSheet(format, width, height)
	s.title(title, endOfTraining(epochs))
	steps = thin(steps, maxPoints)
	half := (width - 2*margin) / 2
	loss := s.newPlot("loss", "%.3g", 1, epochs, steps, func(r Result) float64 { return r.Loss })
	accuracy := s.newPlot("accuracy (%)", "%.4g", 100, epochs, steps, func(r Result) float64 { return r.Accuracy })
	s.plot(loss, margin-4, content, half-4, height-content-margin)
	s.plot(accuracy, margin+half+4, content, half-4, height-content-margin)

	t := typeface{10, false}
	x := width - margin + 18
	for _, series := range curvesOf {
		if series.isIn(epochs) {
			x -= 46 + s.textWidth(t, series.name)
		}
	}
	for _, series := range curvesOf {
		if !series.isIn(epochs) {
			continue
		}
		s.line(series.color, 2, point{x, margin + 6}, point{x + 22, margin + 6})
		s.disc(series.color, point{x + 11, margin + 6}, 2.6)
		s.text(t, left, ink, point{x + 27, margin + 10}, series.name)
		x += 46 + s.textWidth(t, series.name)
	}
	return s.write(w)
}

// setCurve is the curve of one set of images.
type setCurve struct {
	name  string
	color color.NRGBA
	of    func(Epoch) Result
}

// curvesOf are the curves in the order in which they are drawn: later ones lie over the others.
var curvesOf = []setCurve{
	{"training", vermillion, func(e Epoch) Result { return e.Train }},
	{"validation", green, func(e Epoch) Result { return e.Validation }},
	{"test", blue, func(e Epoch) Result { return e.Test }},
}

// isIn reports whether the set was evaluated after an epoch.
func (c setCurve) isIn(epochs []Epoch) bool {
	return slices.ContainsFunc(epochs, func(e Epoch) bool { return !math.IsNaN(c.of(e).Loss) || !math.IsNaN(c.of(e).Accuracy) })
}

// maxPoints is the largest number of points of a curve between the epochs' ends.
const maxPoints = 300

// endOfTraining returns the results of the last epoch in one line.
func endOfTraining(epochs []Epoch) string {
	last := epochs[len(epochs)-1]
	line := fmt.Sprintf("after %.4g epochs: ", last.Epoch)
	if last.Epoch == 1 {
		line = "after 1 epoch: "
	}
	for _, set := range []struct {
		name string
		Result
	}{{"test", last.Test}, {"validation", last.Validation}} {
		if !math.IsNaN(set.Accuracy) {
			return line + fmt.Sprintf("%s accuracy %.2f%%, %s loss %.4f", set.name, 100*set.Accuracy, set.name, set.Loss)
		}
	}
	return line + fmt.Sprintf("training accuracy %.2f%%", 100*last.Train.Accuracy)
}

// newPlot plots one value of all sets over the epochs, in the page's fonts and colours, and under them a thin line of the
// steps. Of a single epoch, the steps are the curve of training: the mean over the epoch would be a point away from it.
func (s *page) newPlot(label, ticks string, factor float64, epochs, steps []Epoch, value func(Result) float64) *plot.Plot {
	p := s.newAxes(label)
	low, high := math.Inf(1), math.Inf(-1)
	pointsOf := func(epochs []Epoch, of func(Epoch) Result) (points plotter.XYs) {
		for _, e := range epochs {
			if v := factor * value(of(e)); !math.IsNaN(v) && !math.IsInf(v, 0) {
				points = append(points, plotter.XY{X: e.Epoch, Y: v})
				low, high = min(low, v), max(high, v)
			}
		}
		return points
	}
	curves := curvesOf
	if points := pointsOf(steps, curves[0].of); len(points) > 0 {
		style := draw.LineStyle{Color: mix(white, vermillion, 0.55), Width: vg.Points(1)}
		if len(epochs) == 1 {
			style = draw.LineStyle{Color: vermillion, Width: vg.Points(1.8)}
			curves = curves[1:]
		}
		p.Add(&plotter.Line{XYs: points, LineStyle: style})
	}
	for _, series := range curves {
		if points := pointsOf(epochs, series.of); len(points) > 0 {
			p.Add(curve(points, series.color)...)
		}
	}
	p.X.Min, p.X.Max = 0, max(1, epochs[len(epochs)-1].Epoch)
	p.X.Tick.Marker = roundTicks{"%g", true}
	p.Y.Min, p.Y.Max = around(low, high)
	p.Y.Tick.Marker = roundTicks{ticks, false}
	return p
}

// newAxes returns an empty plot over the epochs, in the page's fonts and colours.
func (s *page) newAxes(label string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text, p.Y.Label.Text = "epoch", label
	handler := text.Plain{Fonts: s.fonts}
	regular := font.Font{Typeface: "Liberation", Variant: "Sans", Weight: stdfont.WeightNormal}
	p.TextHandler = handler
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle.Color, axis.LineStyle.Width = faint, vg.Points(0.8)
		axis.Tick.LineStyle.Color, axis.Tick.LineStyle.Width = faint, vg.Points(0.8)
		axis.Tick.Length = vg.Points(4)
		axis.Label.TextStyle.Font, axis.Label.TextStyle.Color = font.From(regular, vg.Points(10)), muted
		axis.Tick.Label.Font, axis.Tick.Label.Color = font.From(regular, vg.Points(9)), muted
		axis.Label.TextStyle.Handler, axis.Tick.Label.Handler = handler, handler
		axis.Padding = vg.Points(4)
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	grid.Horizontal.Color, grid.Horizontal.Width = mix(white, faint, 0.6), vg.Points(0.7)
	p.Add(grid)
	return p
}

// curve is a line through the points, and the points.
func curve(points plotter.XYs, c color.NRGBA) []plot.Plotter {
	line := &plotter.Line{XYs: points, LineStyle: draw.LineStyle{Color: c, Width: vg.Points(1.8)}}
	dots := &plotter.Scatter{XYs: points, GlyphStyle: draw.GlyphStyle{
		Color: c, Radius: vg.Points(2.3), Shape: draw.CircleGlyph{},
	}}
	return []plot.Plotter{line, dots}
}

// around returns a range with a margin on both sides.
func around(low, high float64) (from, to float64) {
	if low > high {
		return 0, 1
	}
	room := 0.06 * (high - low)
	if room == 0 {
		room = max(0.05*math.Abs(high), 1e-3)
	}
	return low - room, high + room
}

// plot draws a plot in a rectangle.
func (s *page) plot(p *plot.Plot, x, y, w, h float64) {
	c := draw.NewCanvas(s.canvas, vg.Points(s.width), vg.Points(s.height))
	c.Rectangle = vg.Rectangle{Min: s.at(point{x, y + h}), Max: s.at(point{x + w, y})}
	p.Draw(c)
}

// roundTicks marks a few round numbers.
type roundTicks struct {
	format string
	whole  bool // whole numbers only
}

// Ticks implements plot.Ticker.
func (r roundTicks) Ticks(low, high float64) []plot.Tick {
	step := r.step(high - low)
	var ticks []plot.Tick
	for i := math.Ceil(low / step); i*step <= high*(1+1e-9); i++ {
		v := i*step + 0 // which is not -0
		ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf(r.format, v)})
	}
	return ticks
}

// step returns the smallest of 1, 2 and 5 times a power of ten that fits at most a given number of times into the range.
func (r roundTicks) step(span float64) float64 {
	const maxTicks = 8
	power := math.Pow(10, math.Floor(math.Log10(span/maxTicks)))
	step := 10 * power
	for _, f := range []float64{5, 2, 1} {
		if span/(f*power) <= maxTicks {
			step = f * power
		}
	}
	if r.whole {
		return max(1, step)
	}
	return step
}
