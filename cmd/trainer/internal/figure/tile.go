package figure

import (
	"fmt"
	"image"
	"image/color"
	"math"
)

// grid places tiles in lines.
type grid struct {
	columns     int
	side        float64 // of a tile
	gap, rowGap float64
}

// at returns the top left corner of tile i of a grid that begins at (x, y).
func (g grid) at(i int, x, y float64) (float64, float64) {
	return x + float64(i%g.columns)*(g.side+g.gap), y + float64(i/g.columns)*(g.side+g.rowGap)
}

// size returns the width and height of n tiles.
func (g grid) size(n int) (w, h float64) {
	lines := (n + g.columns - 1) / g.columns
	return float64(g.columns)*(g.side+g.gap) - g.gap, float64(lines)*(g.side+g.rowGap) - g.rowGap
}

// plane makes an image of one channel of [h, w, c] values.
func plane(values []float32, h, w, c, channel int, colour func(v float64) color.NRGBA) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range h {
		for j := range w {
			img.SetNRGBA(j, i, colour(float64(values[(i*w+j)*c+channel])))
		}
	}
	return img
}

// span returns the smallest and the largest finite value.
func span(values []float32) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if x := float64(v); !math.IsNaN(x) && !math.IsInf(x, 0) {
			low, high = min(low, x), max(high, x)
		}
	}
	if low > high {
		return 0, 0
	}
	return low, high
}

// largest returns the largest magnitude, or 1 if all values are zero.
func largest(values []float32) float64 {
	low, high := span(values)
	if m := max(-low, high); m > 0 {
		return m
	}
	return 1
}

// Pixels makes an image from h*w*c bytes of a data set, where c is 1 (gray) or 3 (red, green, blue).
func Pixels(pixels []byte, h, w, c int) (image.Image, error) {
	if c != 1 && c != 3 {
		return nil, fmt.Errorf("an image of %d channels, want 1 or 3", c)
	}
	if len(pixels) != h*w*c {
		return nil, fmt.Errorf("an image of %dx%dx%d with %d bytes", h, w, c, len(pixels))
	}
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range h * w {
		p := pixels[i*c : (i+1)*c]
		img.SetNRGBA(i%w, i/w, color.NRGBA{p[0], p[c/2], p[c-1], 255})
	}
	return img, nil
}
