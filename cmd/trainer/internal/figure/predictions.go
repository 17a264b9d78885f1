package figure

import (
	"errors"
	"fmt"
	"image"
	"io"
)

// Prediction is a network's answer to an image.
type Prediction struct {
	Image       image.Image
	Class       string // the true one
	Answer      string // the network's
	Probability float64
	File        string // name of the image's file; may be empty
}

// Predictions draws images with the network's answers and their probabilities, and the true class if the answer is wrong.
func Predictions(w io.Writer, format, title string, predictions []Prediction) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if len(predictions) == 0 {
		return errors.New("drawing predictions: no predictions")
	}
	wrong := 0
	for _, p := range predictions {
		if p.Answer != p.Class {
			wrong++
		}
	}
	g := grid{columns: min(8, len(predictions)), side: 74, gap: 9.2, rowGap: 46}
	wide, high := g.size(len(predictions))
	s := newSheet(format, max(wide+2*margin, minWidth), content+high+30+margin)
	s.title(title, fmt.Sprintf("%d images, %d of them wrong: the answer and its probability; wrong ones have an orange frame and the true class", len(predictions), wrong))
	for i, p := range predictions {
		x, y := g.at(i, margin, content)
		s.prediction(p, x, y, g.side)
	}
	return s.write(w)
}

func (s *page) prediction(p Prediction, x, y, side float64) {
	c, frame := blue, 1.2
	if p.Answer != p.Class {
		c, frame = vermillion, 3
	}
	s.tile(p.Image, x, y, side, side, c, frame)
	s.fitted(typeface{10, true}, left, ink, point{x, y + side + 13}, side-30, p.Answer)
	s.text(typeface{9.5, false}, right, muted, point{x + side, y + side + 13}, fmt.Sprintf("%.0f%%", 100*p.Probability))
	if p.Answer != p.Class {
		s.fitted(typeface{9.5, false}, left, vermillion, point{x, y + side + 25}, side, "is "+p.Class)
	}
	if p.File != "" && p.File != "." {
		s.fitted(typeface{7, false}, left, muted, point{x, y + side + 35}, side, p.File)
	}
}
