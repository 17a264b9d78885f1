package figure

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"trainer/nn/tune"
)

// Rates draws a learning-rate range test: the loss of each step and its smoothed course over the logarithm of the rate, and
// the rates that matter as lines. suggestion may be nil.
func Rates(w io.Writer, format, title string, points []tune.Point, suggestion *tune.Suggestion, recipes float64) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if len(points) == 0 {
		return errors.New("drawing a range test: no steps")
	}
	const width, height = 680.0, 390.0
	s := newSheet(format, width, height)
	subtitle := "no suggestion: the loss did not fall"
	if suggestion != nil {
		subtitle = fmt.Sprintf("suggested learning rate: %.2g, the larger of steepest descent and minimum / 10", suggestion.Rate)
	}
	s.title(title, subtitle)
	p := s.newAxes("loss")
	p.X.Label.Text = "learning rate"
	low, high := lossRange(points)
	p.Y.Tick.Marker = roundTicks{"%.3g", false}
	course := func(value func(tune.Point) float64) (line plotter.XYs) {
		for _, point := range points {
			if v := value(point); !math.IsNaN(v) && !math.IsInf(v, 0) {
				line = append(line, plotter.XY{X: point.Rate, Y: v})
			}
		}
		return line
	}
	p.Add(&plotter.Line{XYs: course(func(p tune.Point) float64 { return p.Loss }), LineStyle: draw.LineStyle{Color: mix(white, blue, 0.35), Width: vg.Points(1)}})
	logAxis(&p.X, points[0].Rate, points[len(points)-1].Rate)
	p.Y.Min, p.Y.Max = low, high
	marks := s.rateMarks(p, suggestion, recipes)
	p.Add(&plotter.Line{XYs: course(func(p tune.Point) float64 { return p.Smooth }), LineStyle: draw.LineStyle{Color: blue, Width: vg.Points(1.8)}})
	p.Y.Min, p.Y.Max = low, high // adding a line has widened it
	const legend = 22.0
	s.plot(p, margin-4, content, width-2*margin+4, height-content-margin-legend)
	s.key(height-margin-legend+16, append([]mark{{"loss, smoothed", blue}, {"of each step", mix(white, blue, 0.35)}}, marks...))
	return s.write(w)
}

// mark is an entry of a legend.
type mark struct {
	name  string
	color color.NRGBA
}

// rateMarks adds vertical lines at the rates, and returns their names.
func (s *page) rateMarks(p *plot.Plot, suggestion *tune.Suggestion, recipes float64) (marks []mark) {
	add := func(name string, rate float64, c color.NRGBA, width float64, dashes ...vg.Length) {
		if rate < p.X.Min || rate > p.X.Max {
			return
		}
		p.Add(&plotter.Line{
			XYs:       plotter.XYs{{X: rate, Y: p.Y.Min}, {X: rate, Y: p.Y.Max}},
			LineStyle: draw.LineStyle{Color: c, Width: vg.Points(width), Dashes: dashes},
		})
		marks = append(marks, mark{name, c})
	}
	add(fmt.Sprintf("recipe's %.2g", recipes), recipes, muted, 1, vg.Points(2), vg.Points(3))
	if suggestion != nil {
		add(fmt.Sprintf("suggested %.2g", suggestion.Rate), suggestion.Rate, vermillion, 3)
		add(fmt.Sprintf("steepest %.2g", suggestion.Steepest), suggestion.Steepest, green, 1.2, vg.Points(5), vg.Points(3))
		add(fmt.Sprintf("minimum / 10 %.2g", suggestion.Tenth()), suggestion.Tenth(), orange, 1.2, vg.Points(5), vg.Points(3))
	}
	return marks
}

// key draws entries in a row, and further rows where the page is full.
func (s *page) key(y float64, marks []mark) {
	const line, gap, rowHeight = 16.0, 14.0, 15.0
	t := typeface{9.5, false}
	x := margin
	for _, m := range marks {
		w := line + 4 + s.textWidth(t, m.name)
		if x+w > s.width-margin {
			x, y = margin, y+rowHeight
		}
		s.line(m.color, 2, point{x, y}, point{x + line, y})
		s.text(t, left, ink, point{x + line + 4, y + 3.5}, m.name)
		x += w + gap
	}
}

// lossRange returns the losses that are shown: an exploding loss would flatten the rest.
func lossRange(points []tune.Point) (low, high float64) {
	low, high = math.Inf(1), points[0].Smooth
	lowest := 0
	for i, p := range points {
		if p.Smooth < low {
			low, lowest = p.Smooth, i
		}
	}
	for _, p := range points[:lowest+1] {
		high = max(high, p.Smooth)
		low = min(low, p.Loss)
	}
	return around(low, high+0.15*(high-low))
}

// logAxis makes an axis logarithmic, with a tick at each power of ten.
func logAxis(a *plot.Axis, low, high float64) {
	if low == high { // a single point
		low, high = low/2, high*2
	}
	a.Min, a.Max = low, high
	a.Scale = plot.LogScale{}
	a.Tick.Marker = powerTicks{}
}

// powerTicks marks powers of ten; between them, without labels, twice and five times these. In a short range all have labels.
type powerTicks struct{}

// Ticks implements plot.Ticker.
func (powerTicks) Ticks(low, high float64) []plot.Tick {
	const longRange = 2 // decades
	var ticks []plot.Tick
	for power := math.Floor(math.Log10(low)); power <= math.Log10(high); power++ {
		for _, factor := range []float64{1, 2, 5} {
			v := factor * math.Pow(10, power)
			if v < low*(1-1e-9) || v > high*(1+1e-9) {
				continue
			}
			label := ""
			if factor == 1 || high < low*math.Pow(10, longRange) {
				label = fmt.Sprintf("%.3g", v)
			}
			ticks = append(ticks, plot.Tick{Value: v, Label: label})
		}
	}
	return ticks
}
