package figure

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
)

// MaxConfusionClasses is the largest number of classes that Confusion draws, as many as package metric counts.
const MaxConfusionClasses = 1000

// Confusion draws a confusion matrix, counts[class][answer]: how often images of each class (rows) were classified as each
// class (columns), coloured by the share of the row.
func Confusion(w io.Writer, format, title string, counts [][]int, classes []string) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if len(counts) == 0 {
		return errors.New("drawing a confusion matrix: no classes")
	}
	if len(counts) > MaxConfusionClasses {
		return fmt.Errorf("drawing a confusion matrix: %d classes, want at most %d", len(counts), MaxConfusionClasses)
	}
	if len(classes) != len(counts) {
		return fmt.Errorf("drawing a confusion matrix: %d names for %d classes", len(classes), len(counts))
	}
	for i, row := range counts {
		if len(row) != len(counts) {
			return fmt.Errorf("drawing a confusion matrix: row %d has %d columns, want %d", i, len(row), len(counts))
		}
	}
	n := float64(len(counts))
	t := typeface{10, false}
	cell := min(42, max(6, 520/n))
	if cell < 14 {
		t.size = 0.7 * cell
	}
	names := 30.0
	s := newSheet(format, 10, 10)
	for _, c := range classes {
		names = max(names, min(110, s.textWidth(t, c)+12))
	}
	const recallWidth = 62.0
	x, y := margin+16+names, content+18
	width := max(x+n*cell+recallWidth+margin, minWidth)
	height := y + n*cell + names + margin
	s = newSheet(format, width, height)
	s.title(title, overall(counts))
	s.confusionLabels(t, classes, x, y, cell, names)
	for i, row := range counts {
		s.confusionRow(t, row, i, x, y+float64(i)*cell, cell)
	}
	s.outline(faint, 0.8, corners(x, y, n*cell, n*cell)...)
	s.text(typeface{9, false}, left, muted, point{x + n*cell + 10, y - 6}, "right")
	return s.write(w)
}

// overall returns the number of correct answers as text.
func overall(counts [][]int) string {
	right, all := 0, 0
	for i, row := range counts {
		right += row[i]
		for _, v := range row {
			all += v
		}
	}
	if all == 0 {
		return "no images"
	}
	return fmt.Sprintf("%d of %d correct, %.2f%%; rows: true class, columns: predicted class", right, all, 100*float64(right)/float64(all))
}

// confusionLabels draws the classes' names at the left and under the columns.
func (s *page) confusionLabels(t typeface, classes []string, x, y, cell, names float64) {
	bottom := y + float64(len(classes))*cell
	widest := 0.0
	for _, c := range classes {
		widest = max(widest, s.textWidth(t, c))
	}
	for i, c := range classes {
		along := (float64(i) + 0.5) * cell
		s.fitted(t, right, ink, point{x - 7, y + along + 0.35*t.size}, names-8, c)
		if widest < cell-3 {
			s.text(t, center, ink, point{x + along, bottom + 14}, c)
			continue
		}
		s.upright(t, ink, point{x + along + 0.35*t.size, bottom + 7}, names-8, c)
	}
}

// upright draws text that reads upwards and ends at p.
func (s *page) upright(t typeface, c color.Color, p point, width float64, text string) {
	s.canvas.Push()
	s.canvas.Translate(s.at(p))
	s.canvas.Rotate(math.Pi / 2)
	moved := *s
	moved.height = 0
	moved.fitted(t, right, c, point{0, 0}, width, text)
	s.canvas.Pop()
}

// confusionRow draws the cells of a class, and its share of correct answers.
func (s *page) confusionRow(t typeface, row []int, class int, x, y, cell float64) {
	total := 0
	for _, v := range row {
		total += v
	}
	for j, v := range row {
		share := 0.0
		if total > 0 {
			share = float64(v) / float64(total)
		}
		// The root makes the few mistakes of a good network visible.
		s.fill(sequential(math.Sqrt(share)), corners(x+float64(j)*cell, y, cell, cell)...)
		if j == class {
			s.outline(ink, 0.8, corners(x+float64(j)*cell+0.6, y+0.6, cell-1.2, cell-1.2)...)
		}
		const legible = 18
		if v == 0 || cell < legible {
			continue
		}
		c := ink
		if share > 0.4 {
			c = white
		}
		s.fitted(t, center, c, point{x + (float64(j)+0.5)*cell, y + cell/2 + 3.5}, cell-4, fmt.Sprint(v))
	}
	if total == 0 || cell < t.size {
		return
	}
	s.text(t, left, muted, point{x + float64(len(row))*cell + 10, y + cell/2 + 3.5},
		fmt.Sprintf("%.1f%%", 100*float64(row[class])/float64(total)))
}
