package figure

import (
	"errors"
	"fmt"
	"image"
	"io"
)

// Augmented is a training image with what augmentation makes of it.
type Augmented struct {
	Original image.Image
	Class    string
	Epochs   []image.Image // in successive epochs
	Targets  [][]string    // lines beneath each, such as "70% cat" and "30% dog"
}

// Augmentations draws a row for each training image: the image itself, and beside it what augmentation makes of it, epoch
// by epoch.
func Augmentations(w io.Writer, format, title, small string, images []Augmented) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if len(images) == 0 || len(images[0].Epochs) == 0 {
		return errors.New("drawing augmentation: there are no images")
	}
	columns, lines := 1+len(images[0].Epochs), 1
	for _, img := range images {
		for _, t := range img.Targets {
			lines = max(lines, len(t))
		}
	}
	const apart = 14 // between the image and the first epoch
	const line = 10.5
	g := grid{columns: columns, side: (minWidth-2*margin-apart+9.2)/float64(columns) - 9.2, gap: 9.2, rowGap: 9.2 + line*float64(lines)}
	wide, high := g.size(columns * len(images))
	const heads = 16
	s := newSheet(format, wide+apart+2*margin, content+heads+high+line*float64(lines)+margin)
	s.title(title, small)
	for i := range columns {
		x, _ := g.at(i, margin, 0)
		head := "image"
		if i > 0 {
			x, head = x+apart, fmt.Sprintf("epoch %d", i)
		}
		s.text(typeface{10, true}, left, ink, point{x, content + 4}, head)
	}
	for n, img := range images {
		for i := range columns {
			x, y := g.at(n*columns+i, margin, content+heads)
			picture, text, c := img.Original, []string{img.Class}, ink
			if i > 0 {
				x, picture, text, c = x+apart, img.Epochs[i-1], img.Targets[i-1], muted
			}
			s.tile(picture, x, y, g.side, g.side, faint, 0.8)
			for k, t := range text {
				s.fitted(typeface{9, false}, left, c, point{x, y + g.side + line*float64(k+1)}, g.side, t)
			}
		}
	}
	return s.write(w)
}
