package figure

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
)

// Filters draws the filters of a convolution, values of shape [outC, kH, kW, inC]. Filters over three channels are drawn as
// coloured images, each with its own contrast; others as one tile per channel, with positive weights blue and negative
// weights red.
func Filters(w io.Writer, format, title string, values []float32, shape []int) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if len(shape) != 4 || len(values) == 0 || len(values) != shape[0]*shape[1]*shape[2]*shape[3] {
		return fmt.Errorf("drawing filters: %d values of shape %v, want [outC, kH, kW, inC]", len(values), shape)
	}
	outC, kH, kW, inC := shape[0], shape[1], shape[2], shape[3]
	tiles := filterTiles(values, outC, kH, kW, inC)
	const maxTiles = 256
	more := ""
	if len(tiles) > maxTiles {
		more = fmt.Sprintf(", the first %d tiles", maxTiles)
		tiles = tiles[:maxTiles]
	}
	g := grid{columns: min(len(tiles), max(8, int(math.Ceil(math.Sqrt(2*float64(len(tiles)))))))}
	g.gap, g.rowGap = 7, 18
	g.side = min(72, (656+g.gap)/float64(g.columns)-g.gap)
	wide, high := g.size(len(tiles))
	const below = 46
	s := newSheet(format, max(wide+2*margin, minWidth), content+high+12+below)
	s.title(title, fmt.Sprintf("%d filters of %d×%d over %d %s%s", outC, kH, kW, inC, plural(inC, "channel"), more))
	for i, img := range tiles {
		x, y := g.at(i, margin, content)
		s.tile(img, x, y, g.side, g.side, faint, 0.8)
		name := fmt.Sprint(i)
		if inC != 3 && inC != 1 {
			name = fmt.Sprintf("%d.%d", i/inC, i%inC)
		}
		s.fitted(typeface{8, false}, center, muted, point{x + g.side/2, y + g.side + 10}, g.side, name)
	}
	y := content + high + 30
	if inC == 3 {
		s.text(typeface{9.5, false}, left, muted, point{margin, y + 8}, "each filter from its smallest to its largest weight")
	} else {
		s.scale(diverging, -1, 1, margin, y, fmt.Sprintf("−%.2f", largest(values)), fmt.Sprintf("%.2f", largest(values)))
	}
	return s.write(w)
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// filterTiles returns an image of each filter, or of each channel of each filter.
func filterTiles(values []float32, outC, kH, kW, inC int) []image.Image {
	var tiles []image.Image
	size := kH * kW * inC
	scale := largest(values)
	for o := range outC {
		f := values[o*size : (o+1)*size]
		if inC == 3 {
			tiles = append(tiles, colourFilter(f, kH, kW))
			continue
		}
		for c := range inC {
			tiles = append(tiles, plane(f, kH, kW, inC, c, func(v float64) color.NRGBA { return diverging(v / scale) }))
		}
	}
	return tiles
}

// colourFilter makes an image of a filter over red, green and blue.
func colourFilter(f []float32, kH, kW int) image.Image {
	low, high := span(f)
	if high == low {
		high = low + 1
	}
	img := image.NewNRGBA(image.Rect(0, 0, kW, kH))
	byteOf := func(v float32) uint8 {
		return uint8(math.Round(255 * min(max((float64(v)-low)/(high-low), 0), 1)))
	}
	for i := range kH * kW {
		img.SetNRGBA(i%kW, i/kW, color.NRGBA{byteOf(f[3*i]), byteOf(f[3*i+1]), byteOf(f[3*i+2]), 255})
	}
	return img
}

// scale explains colours by a strip from one value to another.
func (s *page) scale(colour func(float64) color.NRGBA, from, to, x, y float64, low, high string) {
	const wide, steps = 140.0, 70
	t := typeface{9.5, false}
	s.text(t, left, muted, point{x, y + 8}, low)
	x += s.textWidth(t, low) + 6
	strip := image.NewNRGBA(image.Rect(0, 0, steps, 1))
	for i := range steps {
		strip.SetNRGBA(i, 0, colour(from+(to-from)*float64(i)/(steps-1)))
	}
	s.image(enlarge(strip, 2*int(wide)), x, y, wide, 9)
	s.outline(faint, 0.6, corners(x, y, wide, 9)...)
	s.text(t, left, muted, point{x + wide + 6, y + 8}, high)
}
