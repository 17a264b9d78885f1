package figure

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"

	"trainer/nn"
)

// Activation is the output of one layer for one image.
type Activation struct {
	Name   string
	Kind   string
	Shape  nn.Shape // [h w c] or [features]
	Values []float32
}

// FeatureMaps draws the outputs of layers for one image: one line per layer, with its first channels side by side, each
// line scaled from its smallest value (black) to its largest (white). A vector is a strip; the last one, the class scores,
// is drawn as bars with the classes' names.
func FeatureMaps(w io.Writer, format, title string, input image.Image, layers []Activation, classes []string) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if len(layers) == 0 {
		return errors.New("drawing feature maps: no layers")
	}
	for _, l := range layers {
		if (len(l.Shape) != 1 && len(l.Shape) != 3) || len(l.Values) != l.Shape.Len() {
			return fmt.Errorf("drawing feature maps: layer %s has shape %v and %d values", l.Name, l.Shape, len(l.Values))
		}
	}
	scores := layers[len(layers)-1]
	if len(scores.Shape) != 1 || len(scores.Values) != len(classes) {
		return fmt.Errorf("drawing feature maps: the last layer's output is %v, want a score for each of %d classes", scores.Shape, len(classes))
	}
	height := content + mapSide + mapGap
	for _, l := range layers {
		height += lineOf(l)
	}
	height += scoresHeight - lineOf(scores) + margin/2
	s := newSheet(format, 700, height)
	s.title(title, "outputs of the layers for the image at the top; the first channels of each, scaled per line")
	y := content
	s.mapLabel("input", "", "", y)
	s.tile(input, mapLeft, y, mapSide, mapSide, faint, 0.8)
	y += mapSide + mapGap
	for _, l := range layers[:len(layers)-1] {
		s.mapLabel(l.Name, l.Kind, l.Shape.String(), y)
		s.maps(l, y)
		y += lineOf(l)
	}
	s.mapLabel(scores.Name, scores.Kind, scores.Shape.String(), y)
	s.scores(scores, classes, y)
	return s.write(w)
}

const (
	mapSide      = 46.0
	mapGap       = 8.0
	mapLeft      = margin + 92
	mapsPerLine  = 10
	stripHeight  = 14.0
	scoresHeight = 96.0
)

// lineOf returns the height of a layer's line.
func lineOf(l Activation) float64 {
	if len(l.Shape) == 1 {
		return stripHeight + 2*mapGap + 6
	}
	return mapSide + mapGap
}

func (s *page) mapLabel(name, kind, shape string, y float64) {
	s.fitted(typeface{10, true}, left, ink, point{margin, y + 11}, mapLeft-margin-8, name)
	if shape == "" {
		return
	}
	s.fitted(typeface{8.5, false}, left, muted, point{margin, y + 22}, mapLeft-margin-8, kind+" "+shape)
}

// maps draws a layer's first channels, or its vector as a strip.
func (s *page) maps(l Activation, y float64) {
	low, high := span(l.Values)
	if high == low {
		high = low + 1
	}
	shade := func(v float64) color.NRGBA { return gray((v - low) / (high - low)) }
	if len(l.Shape) == 1 {
		img := plane(l.Values, 1, l.Shape[0], 1, 0, shade)
		const wide = mapsPerLine*(mapSide+mapGap) - mapGap
		s.image(stretch(img, 2*int(wide)), mapLeft, y+2, wide, stripHeight)
		s.outline(faint, 0.8, corners(mapLeft, y+2, wide, stripHeight)...)
		return
	}
	for c := range min(l.Shape[2], mapsPerLine) {
		img := plane(l.Values, l.Shape[0], l.Shape[1], l.Shape[2], c, shade)
		s.tile(img, mapLeft+float64(c)*(mapSide+mapGap), y, mapSide, mapSide, faint, 0.8)
	}
}

// stretch scales an image to a width, keeping its pixels sharp.
func stretch(img image.Image, width int) image.Image {
	b := img.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, width, 2*int(stripHeight)))
	for y := range out.Rect.Dy() {
		for x := range width {
			out.Set(x, y, img.At(b.Min.X+x*b.Dx()/width, b.Min.Y+y*b.Dy()/out.Rect.Dy()))
		}
	}
	return out
}

// scores draws the network's outputs as bars from zero.
func (s *page) scores(l Activation, classes []string, y float64) {
	low, high := span(l.Values)
	low, high = min(low, 0), max(high, 0)
	if high == low {
		high = 1
	}
	const wide, room = mapsPerLine*(mapSide+mapGap) - mapGap, 16.0
	pitch := wide / float64(len(classes))
	tall := scoresHeight - room - 20
	zero := y + 10 + tall*high/(high-low)
	best := 0
	for i, v := range l.Values {
		if v > l.Values[best] {
			best = i
		}
	}
	for i, v := range l.Values {
		c := mix(white, blue, 0.45)
		if i == best {
			c = blue
		}
		x := mapLeft + float64(i)*pitch
		bar := tall * float64(v) / (high - low)
		s.fill(c, corners(x+0.15*pitch, zero-max(bar, 0), 0.7*pitch, max(bar, -bar))...)
		const legible = 12
		if pitch < legible {
			continue
		}
		s.fitted(typeface{9, i == best}, center, ink, point{x + pitch/2, y + scoresHeight - 4}, pitch-2, classes[i])
	}
	s.line(muted, 0.7, point{mapLeft, zero}, point{mapLeft + wide, zero})
}
