package figure

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"strings"

	"trainer/cmd/trainer/internal/display"
	"trainer/nn"
)

// Network draws a network's architecture: the data between its layers, with feature maps as blocks (height and depth of the
// map, thickness for the channels) and vectors as bars. Layers that keep the shape (activations, normalisation, dropout)
// are tags under the block to which they apply. Long networks continue on the next line.
func Network(w io.Writer, format, title string, layers []Layer, input nn.Shape) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if len(layers) == 0 {
		return errors.New("drawing a network: no layers")
	}
	if len(input) == 0 {
		return errors.New("drawing a network: no shape of the input")
	}
	d := newDiagram(layers, input)
	perLine := min(len(d.stages), stagesPerLine)
	lines := (len(d.stages) + perLine - 1) / perLine
	perLine = (len(d.stages) + lines - 1) / lines // lines of similar length
	width := max(2*margin+float64(perLine)*stageWidth, minWidth)
	height := content + float64(lines)*d.lineHeight() + 34
	s := newSheet(format, width, height)
	s.title(title, d.summary())
	for i, stage := range d.stages {
		x := margin + float64(i%perLine)*stageWidth
		y := content + float64(i/perLine)*d.lineHeight()
		s.stage(d, stage, i, x, y)
	}
	s.legend(d, height-margin)
	return s.write(w)
}

const (
	stagesPerLine = 8
	stageWidth    = 84.0 // at 8 a line, 700 points: 1400 pixels
	minWidth      = 520.0
	headHeight    = 44.0  // of the text above a block
	blockHeight   = 118.0 // of the largest block
	shapeHeight   = 32.0  // of the text under a block
	tagHeight     = 15.0
)

// stage is data in the network, the layer that computed it, and the layers after it that keep its shape.
type stage struct {
	maker *Layer // nil for the input
	shape nn.Shape
	tags  []Layer
	apart bool // not made from the stage before: a shortcut begins
}

// diagram is a network as stages.
type diagram struct {
	stages []stage
	layers []Layer // without containers
	params int
	flops  int64
	maxH   int // of all feature maps
	maxC   int
	maxLen int // of all vectors
	tags   int // the most under one block
}

func newDiagram(layers []Layer, input nn.Shape) *diagram {
	d := &diagram{stages: []stage{{shape: input}}}
	d.addLayers(layers)
	for _, s := range d.stages {
		d.tags = max(d.tags, len(s.tags))
		if len(s.shape) == 3 {
			d.maxH, d.maxC = max(d.maxH, s.shape[0], s.shape[1]), max(d.maxC, s.shape[2])
		} else {
			d.maxLen = max(d.maxLen, s.shape.Len())
		}
	}
	return d
}

// addLayers adds the stages of the layers. The stages of a container follow it; those of a residual end with its sum.
func (d *diagram) addLayers(layers []Layer) {
	apart := false
	for i := 0; i < len(layers); i++ {
		l := layers[i]
		d.params += l.Params
		d.flops += l.FLOPs
		inside := 0
		for i+1+inside < len(layers) && strings.HasPrefix(layers[i+1+inside].Name, l.Name+".") {
			inside++
		}
		if inside > 0 {
			d.addContainer(l, layers[i+1:i+1+inside])
			i += inside
			continue
		}
		d.layers = append(d.layers, l)
		last := &d.stages[len(d.stages)-1]
		begins := strings.Contains(l.Name, ".shortcut.") && !apart
		apart = apart || begins
		if last.maker != nil && KeepsShape(l.Family) && !begins {
			last.tags = append(last.tags, l)
			continue
		}
		d.stages = append(d.stages, stage{maker: &l, shape: l.Output, apart: begins})
	}
}

func (d *diagram) addContainer(l Layer, inner []Layer) {
	d.addLayers(inner)
	if l.Family != nn.Joining {
		return
	}
	last := inner[len(inner)-1].Name
	switch {
	case strings.Contains(last, ".shortcut."):
		l.Detail = "body + shortcut"
	case strings.HasPrefix(last, l.Name+".body."):
		l.Detail = "body + input"
	default:
		l.Detail = "side by side"
	}
	d.layers = append(d.layers, l)
	d.stages = append(d.stages, stage{maker: &l, shape: l.Output})
}

func (d *diagram) lineHeight() float64 {
	return headHeight + blockHeight + shapeHeight + float64(d.tags)*tagHeight + 18
}

func (d *diagram) summary() string {
	return fmt.Sprintf("%d layers, %s parameters, %s forward for one image",
		len(d.layers), count(int64(d.params)), display.FLOPs(d.flops))
}

// KeepsShape reports whether the output of layers of a family has the shape of their input.
func KeepsShape(f nn.Family) bool {
	switch f {
	case nn.Activation, nn.Normalisation, nn.Regulariser, nn.Scaling:
		return true
	}
	return false
}

func familyColor(f nn.Family) color.NRGBA {
	switch f {
	case nn.WithWeights:
		return blue
	case nn.Pooling:
		return green
	case nn.Normalisation:
		return sky
	case nn.Activation:
		return orange
	case nn.Regulariser:
		return purple
	case nn.Scaling:
		return vermillion
	case nn.Joining:
		return ink
	case nn.OtherFamily:
		return mix(purple, ink, 0.5)
	}
	return muted
}

// stage draws stage i in a column that begins at (x, y).
func (s *page) stage(d *diagram, st stage, i int, x, y float64) {
	middle := x + stageWidth/2
	axis := y + headHeight + blockHeight/2
	c := muted
	name, kind, small := "input", "", ""
	if st.maker != nil {
		c = familyColor(st.maker.Family)
		name, kind, small = st.maker.Name, st.maker.Kind, st.maker.Detail
		if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
			name, kind, small = name[dot+1:], "in "+name[:dot], kind+" "+small
		}
	}
	s.fitted(typeface{11, true}, center, ink, point{middle, y + 10}, stageWidth-6, name)
	s.fitted(typeface{9, false}, center, muted, point{middle, y + 22}, stageWidth-6, kind)
	s.fitted(typeface{9, false}, center, muted, point{middle, y + 33}, stageWidth-6, small)

	from, to := s.block(d, st.shape, c, middle, axis)
	if i > 0 && !st.apart {
		// The arrow starts in the previous column, whose block is narrower than the column.
		s.arrow(muted, point{x, axis}, point{from - 2, axis})
	}
	if i < len(d.stages)-1 && !d.stages[i+1].apart {
		s.line(muted, 1, point{to + 2, axis}, point{x + stageWidth, axis})
	}

	y = axis + blockHeight/2 + 14
	s.text(typeface{10, true}, center, ink, point{middle, y}, strings.ReplaceAll(st.shape.String(), "x", "×"))
	if st.maker != nil && st.maker.Params > 0 {
		s.fitted(typeface{9, false}, center, muted, point{middle, y + 12}, stageWidth-10, count(int64(st.maker.Params))+" parameters")
	}
	for k, tag := range st.tags {
		s.tag(tag, x+7, y+shapeHeight-12+float64(k)*tagHeight, stageWidth-14)
	}
}

// block draws the data of a stage around (middle, axis), and returns its start and end on the axis.
func (s *page) block(d *diagram, shape nn.Shape, c color.NRGBA, middle, axis float64) (from, to float64) {
	if len(shape) != 3 {
		return s.bar(d, shape.Len(), c, middle, axis)
	}
	const maxSide, minSide = 74.0, 10.0
	size := func(n int) float64 {
		return minSide + (maxSide-minSide)*math.Pow(float64(n)/float64(d.maxH), 0.7)
	}
	front := 5 + 33*math.Log2(1+float64(shape[2]))/math.Log2(1+float64(max(d.maxC, 64)))
	high := size(shape[0])
	deep := 0.32 * size(shape[1]) // drawn backwards, to the upper right
	x, y := middle-(front+deep)/2, axis-high/2+deep/2
	light, dark := mix(white, c, 0.35), mix(c, ink, 0.15)
	frontFace := corners(x, y, front, high)
	topFace := []point{{x, y}, {x + deep, y - deep}, {x + front + deep, y - deep}, {x + front, y}}
	sideFace := []point{{x + front, y}, {x + front + deep, y - deep}, {x + front + deep, y + high - deep}, {x + front, y + high}}
	s.fill(mix(white, c, 0.55), frontFace...)
	s.fill(light, topFace...)
	s.fill(mix(white, c, 0.8), sideFace...)
	for _, face := range [][]point{frontFace, topFace, sideFace} {
		s.outline(dark, 0.7, face...)
	}
	return x, x + front + deep
}

// bar draws a vector: as a disc for each element if there are few, otherwise as a bar.
func (s *page) bar(d *diagram, n int, c color.NRGBA, middle, axis float64) (from, to float64) {
	const few = 12
	if n <= few {
		const pitch = 9.4
		top := axis - pitch*float64(n-1)/2
		for i := range n {
			p := point{middle, top + pitch*float64(i)}
			s.disc(mix(c, ink, 0.15), p, 4)
			s.disc(mix(white, c, 0.55), p, 3.3)
		}
		return middle - 4, middle + 4
	}
	high := blockHeight * (0.45 + 0.55*math.Log2(float64(n))/math.Log2(float64(d.maxLen)))
	const wide = 9.0
	s.fill(mix(white, c, 0.55), corners(middle-wide/2, axis-high/2, wide, high)...)
	for y := axis - high/2 + 6; y < axis+high/2-2; y += 6 {
		s.line(mix(white, c, 0.8), 0.6, point{middle - wide/2, y}, point{middle + wide/2, y})
	}
	s.outline(mix(c, ink, 0.15), 0.7, corners(middle-wide/2, axis-high/2, wide, high)...)
	return middle - wide/2, middle + wide/2
}

// tag draws a layer that keeps the shape as a strip with its kind.
func (s *page) tag(l Layer, x, y, width float64) {
	c := familyColor(l.Family)
	s.fill(mix(white, c, 0.3), corners(x, y, width, tagHeight-3)...)
	s.fill(c, corners(x, y, 3, tagHeight-3)...)
	text := l.Kind
	if l.Detail != "" {
		text += " " + l.Detail
	}
	s.fitted(typeface{8.5, false}, left, ink, point{x + 7, y + 9}, width-10, text)
}

// legend explains the colours that were used.
func (s *page) legend(d *diagram, y float64) {
	used := map[nn.Family]bool{}
	for _, l := range d.layers {
		used[l.Family] = true
	}
	x := margin
	t := typeface{9.5, false}
	for _, f := range nn.Families() {
		if !used[f] {
			continue
		}
		s.fill(mix(white, familyColor(f), 0.8), corners(x, y-7, 8, 8)...)
		s.text(t, left, muted, point{x + 12, y}, string(f))
		x += 30 + s.textWidth(t, string(f))
	}
}
