package figure

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"

	stdfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"trainer/nn/printable"
)

// page is a white page. Lengths are in points; the origin is the top left corner, and y
// grows downwards, as in an image.
type page struct {
	canvas        vg.CanvasSizer
	width, height float64
	fonts         *font.Cache
	typefaces     *typefaces // nil for SVG, whose text the viewer draws
}

// pngDPI is two pixels per point. maxPixels bounds the memory of a page: a larger one gets fewer pixels per point.
const (
	pngDPI    = 144
	maxPixels = 1 << 25
)

// resolution returns the pixels per inch of a page.
func resolution(width, height float64) int {
	const pointsPerInch = 72
	fits := pointsPerInch * math.Sqrt(maxPixels/(width*height))
	return max(1, int(min(pngDPI, fits)))
}

// point is a place on a sheet.
type point struct{ x, y float64 }

// align is the part of a text that is placed at a point.
type align float64

const (
	left   align = 0
	center align = 0.5
	right  align = 1
)

// typeface is a size in points, and a weight.
type typeface struct {
	size float64
	bold bool
}

// newSheet returns an empty page for a format that checkFormat has accepted.
func newSheet(format string, width, height float64) *page {
	s := &page{width: width, height: height, fonts: font.NewCache(liberation.Collection())}
	w, h := vg.Points(width), vg.Points(height)
	if format == "svg" {
		s.canvas = vgsvg.New(w, h)
	} else {
		s.typefaces = systemTypefaces()
		s.canvas = vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(resolution(width, height)))
	}
	s.fill(white, point{0, 0}, point{width, 0}, point{width, height}, point{0, height})
	return s
}

// write encodes the page.
func (s *page) write(w io.Writer) error {
	if c, ok := s.canvas.(*vgimg.Canvas); ok {
		_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(w)
		return err
	}
	var b bytes.Buffer
	if _, err := s.canvas.(*vgsvg.Canvas).WriteTo(&b); err != nil {
		return err
	}
	_, err := w.Write(portable(b.Bytes()))
	return err
}

// portable adds fallback fonts to the text of an SVG, with the same widths as Liberation's, and corrects the media type
// of its images.
func portable(svg []byte) []byte {
	svg = bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;font-variant:normal;"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return bytes.ReplaceAll(svg, []byte("data:image/jpg;"), []byte("data:image/png;"))
}

// at returns the point on the canvas, where y grows upwards.
func (s *page) at(p point) vg.Point {
	return vg.Point{X: vg.Points(p.x), Y: vg.Points(s.height - p.y)}
}

func (s *page) path(corners []point, closed bool) vg.Path {
	var p vg.Path
	p.Move(s.at(corners[0]))
	for _, c := range corners[1:] {
		p.Line(s.at(c))
	}
	if closed {
		p.Close()
	}
	return p
}

// fill fills a polygon.
func (s *page) fill(c color.Color, corners ...point) {
	s.canvas.SetColor(c)
	s.canvas.Fill(s.path(corners, true))
}

// outline draws a polygon's edge.
func (s *page) outline(c color.Color, width float64, corners ...point) {
	s.canvas.SetColor(c)
	s.canvas.SetLineWidth(vg.Points(width))
	s.canvas.Stroke(s.path(corners, true))
}

// line draws a line through the points.
func (s *page) line(c color.Color, width float64, points ...point) {
	s.canvas.SetColor(c)
	s.canvas.SetLineWidth(vg.Points(width))
	s.canvas.Stroke(s.path(points, false))
}

// corners returns a rectangle's corners, clockwise.
func corners(x, y, w, h float64) []point {
	return []point{{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}}
}

// disc fills a circle.
func (s *page) disc(c color.Color, middle point, radius float64) {
	var p vg.Path
	m := s.at(middle)
	p.Move(vg.Point{X: m.X + vg.Points(radius), Y: m.Y})
	p.Arc(m, vg.Points(radius), 0, 2*math.Pi)
	p.Close()
	s.canvas.SetColor(c)
	s.canvas.Fill(p)
}

// arrow draws a horizontal arrow to the right.
func (s *page) arrow(c color.Color, from, to point) {
	const head = 5
	s.line(c, 1, from, point{to.x - head, to.y})
	s.fill(c, to, point{to.x - head - 1, to.y - 3}, point{to.x - head - 1, to.y + 3})
}

func (s *page) face(t typeface) font.Face {
	f := font.Font{Typeface: "Liberation", Variant: "Sans"}
	if t.bold {
		f.Weight = stdfont.WeightBold
	}
	return s.fonts.Lookup(f, vg.Points(t.size))
}

// textWidth returns the width of a text.
func (s *page) textWidth(t typeface, text string) float64 {
	if s.typefaces != nil && s.typefaces.needsShaping(text) {
		return width(s.typefaces.shape(text, t.size))
	}
	face := s.face(t)
	return face.Width(text).Points()
}

// text draws a line whose baseline is at p.y.
func (s *page) text(t typeface, a align, c color.Color, p point, text string) {
	text = printable.Text(text)
	p.x -= float64(a) * s.textWidth(t, text)
	s.canvas.SetColor(c)
	if s.typefaces != nil && s.typefaces.needsShaping(text) {
		s.fillShaped(s.typefaces.shape(text, t.size), p)
		return
	}
	s.canvas.FillString(s.face(t), s.at(p), text)
}

// fitted draws a text like text, smaller if it would be wider than width.
func (s *page) fitted(t typeface, a align, c color.Color, p point, width float64, text string) {
	text = printable.Text(text)
	const minScale = 0.6
	if w := s.textWidth(t, text); w > width {
		t.size *= max(minScale, width/w)
	}
	for r := []rune(text); s.textWidth(t, text) > width && len(r) > 1; {
		r = r[:len(r)-1]
		text = string(r) + "…"
	}
	s.text(t, a, c, p, text)
}

// title draws the heading at the top left, and a line of small print under it.
func (s *page) title(title, small string) {
	s.text(typeface{17, true}, left, ink, point{margin, margin + 10}, title)
	s.text(typeface{10.5, false}, left, muted, point{margin, margin + 27}, small)
}

// The page's empty border, and the start of its content under the title.
const (
	margin  = 22.0
	content = margin + 44
)

// image draws an image in a rectangle.
func (s *page) image(img image.Image, x, y, w, h float64) {
	s.canvas.DrawImage(vg.Rectangle{Min: s.at(point{x, y + h}), Max: s.at(point{x + w, y})}, img)
}

// tile draws an image with sharp pixels and a frame.
func (s *page) tile(img image.Image, x, y, w, h float64, frame color.Color, width float64) {
	s.fill(frame, corners(x-width, y-width, w+2*width, h+2*width)...)
	s.image(enlarge(img, int(2*max(w, h))), x, y, w, h)
}

// enlarge repeats pixels until the longer side has at least size pixels.
func enlarge(img image.Image, size int) image.Image {
	b := img.Bounds()
	k := (size + max(b.Dx(), b.Dy()) - 1) / max(b.Dx(), b.Dy())
	if k <= 1 {
		return img
	}
	out := image.NewNRGBA(image.Rect(0, 0, k*b.Dx(), k*b.Dy()))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			out.Set(x, y, img.At(b.Min.X+x/k, b.Min.Y+y/k))
		}
	}
	return out
}

// count returns a number with a unit of thousands, as in 93.3 k.
func count(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprint(n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f k", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f G", float64(n)/1e9)
}
