package figure

import (
	"errors"
	"image/color"
	"io"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// SearchAxis is a setting that a search tried.
type SearchAxis struct {
	Key       string
	Values    []string // of a list; nil for a range
	Low, High float64  // ends of a range
	Log       bool
	Settings  []string // of each trial
}

// SearchTrial is the result of a trial.
type SearchTrial struct {
	Number   int
	Rung     int     // the round that it came to, from 0
	Accuracy float64 // 0 to 1
	Failed   bool
}

// Search draws the results of a search: for each setting a plot of the accuracies on validation images over its values, and
// the colour of a trial says how far it was trained. The first trial is the best. rounds names the rounds of the search.
// Accuracies far below the better half lie at the lower edge, so that they don't flatten the rest.
func Search(w io.Writer, format, title, subtitle string, axes []SearchAxis, trials []SearchTrial, rounds []string) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if len(axes) == 0 || len(trials) == 0 {
		return errors.New("drawing a search: no settings, or no trials")
	}
	const plotWidth, plotHeight, perRow, legend = 230.0, 220.0, 3, 22.0
	columns := min(perRow, len(axes))
	rows := (len(axes) + perRow - 1) / perRow
	width := max(minWidth, 2*margin+float64(columns)*plotWidth)
	s := newSheet(format, width, content+float64(rows)*plotHeight+legend+margin)
	s.title(title, "")
	s.fitted(typeface{10.5, false}, left, muted, point{margin, margin + 27}, width-2*margin, subtitle)
	low, high := searchRange(trials)
	each := (width - 2*margin) / float64(columns)
	for i, axis := range axes {
		p := s.searchPlot(axis, trials, len(rounds), low, high)
		if i%columns > 0 {
			p.Y.Label.Text = ""
		}
		s.plot(p, margin-4+each*float64(i%columns), content+plotHeight*float64(i/columns), each-8, plotHeight-10)
	}
	s.searchKey(s.height-margin-4, trials, rounds, low)
	return s.write(w)
}

// searchRange returns the accuracies in percent that are shown.
func searchRange(trials []SearchTrial) (low, high float64) {
	var all []float64
	for _, t := range trials {
		if !t.Failed {
			all = append(all, 100*t.Accuracy)
		}
	}
	if len(all) == 0 {
		return 0, 100
	}
	slices.Sort(all)
	const reach = 2 // times the distance from the median to the best
	high = all[len(all)-1]
	median := all[len(all)/2]
	low = max(all[0], median-reach*(high-median))
	return around(low, high)
}

// rungColor returns the colour of a round: the later, the darker.
func rungColor(k, rounds int) color.NRGBA {
	if rounds < 2 {
		return blue
	}
	return mix(mix(white, sky, 0.75), mix(blue, ink, 0.45), float64(k)/float64(rounds-1))
}

// searchPlot plots the accuracies over one setting.
func (s *page) searchPlot(axis SearchAxis, trials []SearchTrial, rounds int, low, high float64) *plot.Plot {
	p := s.newAxes("validation accuracy (%)")
	p.X.Label.Text = axis.Key
	p.Y.Min, p.Y.Max = low, high
	p.Y.Tick.Marker = roundTicks{"%.4g", false}
	switch {
	case axis.Values != nil:
		p.X.Min, p.X.Max = -0.5, float64(len(axis.Values))-0.5
		p.X.Tick.Marker = valueTicks(axis.Values)
	case axis.Log:
		logAxis(&p.X, axis.Low, axis.High)
	default:
		p.X.Min, p.X.Max = axis.Low, axis.High
		p.X.Tick.Marker = roundTicks{"%.4g", false}
	}
	for i := len(trials) - 1; i >= 0; i-- { // the better ones over the others
		t := trials[i]
		x := axis.position(axis.Settings[i])
		if math.IsNaN(x) {
			continue
		}
		y := 100 * t.Accuracy
		style := draw.GlyphStyle{Color: rungColor(t.Rung, rounds), Radius: vg.Points(3.4), Shape: draw.CircleGlyph{}}
		switch {
		case t.Failed:
			y, style = low, draw.GlyphStyle{Color: muted, Radius: vg.Points(3.4), Shape: draw.CrossGlyph{}}
		case y < low:
			y, style.Shape = low, draw.PyramidGlyph{}
		}
		at := plotter.XYs{{X: x, Y: y}}
		p.Add(&plotter.Scatter{XYs: at, GlyphStyle: style})
		if i == 0 && !t.Failed {
			p.Add(&plotter.Scatter{XYs: at, GlyphStyle: draw.GlyphStyle{Color: vermillion, Radius: vg.Points(6.5), Shape: draw.RingGlyph{}}})
		}
	}
	return p
}

// position returns the place of a value on the axis, or NaN.
func (a *SearchAxis) position(value string) float64 {
	if a.Values != nil {
		if i := slices.Index(a.Values, value); i >= 0 {
			return float64(i)
		}
		return math.NaN()
	}
	x, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return math.NaN()
	}
	return x
}

// valueTicks marks the values of a list.
func valueTicks(values []string) plot.ConstantTicks {
	const most = 12 // letters
	var ticks plot.ConstantTicks
	for i, v := range values {
		if letters := []rune(v); len(letters) > most {
			v = string(letters[:most-1]) + "…"
		}
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: v})
	}
	return ticks
}

// searchKey explains the colours and signs.
func (s *page) searchKey(y float64, trials []SearchTrial, rounds []string, low float64) {
	t := typeface{9.5, false}
	x := margin
	entry := func(name string, shape func(at point)) {
		shape(point{x + 5, y - 3.5})
		s.text(t, left, ink, point{x + 14, y}, name)
		x += 14 + s.textWidth(t, name) + 16
	}
	disc := func(c color.NRGBA) func(point) { return func(at point) { s.disc(c, at, 3.6) } }
	if len(rounds) > 1 {
		for k, name := range rounds {
			entry("trained "+name, disc(rungColor(k, len(rounds))))
		}
	} else {
		entry("a trial", disc(blue))
	}
	entry("the best", func(at point) {
		s.disc(vermillion, at, 5.2)
		s.disc(white, at, 4)
	})
	if slices.ContainsFunc(trials, func(t SearchTrial) bool { return !t.Failed && 100*t.Accuracy < low }) {
		entry("lower", func(at point) {
			s.fill(muted, point{at.x, at.y - 4}, point{at.x + 4, at.y + 3}, point{at.x - 4, at.y + 3})
		})
	}
	if slices.ContainsFunc(trials, func(t SearchTrial) bool { return t.Failed }) {
		entry("diverged or failed", func(at point) {
			s.line(muted, 1, point{at.x - 3, at.y - 3}, point{at.x + 3, at.y + 3})
			s.line(muted, 1, point{at.x - 3, at.y + 3}, point{at.x + 3, at.y - 3})
		})
	}
}
