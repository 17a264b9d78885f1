// Package scaledjpeg decodes photographs as cameras and programs write them, baseline and progressive JPEG files (ITU-T
// T.81), each plane at a scale of its own: an inverse cosine transform of 8, 4, 2 or 1 points makes 8x8, 4x4, 2x2 samples or
// one of each block of 8x8. A picture that becomes a small image is thus decoded with a fraction of the work and of the
// memory, and only the part that is wanted; for a progressive file, only the transforms are saved.
//
// The package accepts less than image/jpeg: in a baseline file one scan with all components, no RGB or CMYK, and nothing
// that is damaged or odd. Whatever it refuses, the caller reads with image/jpeg, which decides what is an error. What it
// accepts, image/jpeg accepts, and at scale 1 both give the same samples. The tests enforce both.
package scaledjpeg

import (
	"errors"
	"io"
)

// errRefused is the answer to all files that image/jpeg should see.
var errRefused = errors.New("not a JPEG file of the common kinds")

// Header is the information before the samples.
type Header struct {
	H, W       int
	Components []Component // one of luma, or luma and two of chroma

	IsProgressive bool
}

// Component is a plane of a picture: one sample per Down x Across pixels.
type Component struct{ Down, Across int }

// Size returns the samples of a component at full scale.
func (h *Header) Size(k int) (height, width int) {
	c := h.Components[k]
	return ceilDiv(h.H, c.Down), ceilDiv(h.W, c.Across)
}

// Wanted says what is wanted of a component: the samples of the rows [Y0, Y1) and the columns [X0, X1), counted at full
// scale, made at 1/Scale of the height and of the width. Scale is 1, 2, 4 or 8; 0 leaves the component out.
type Wanted struct{ Scale, Y0, X0, Y1, X1 int }

// Plane has the samples of a component. Sample (y, x) of the scaled component is Pix[y*Stride+x], and stands for
// Scale x Scale samples. Samples outside of the wanted rows and columns are undefined.
type Plane struct {
	Pix    []byte
	Stride int
}

// component is what decoding needs of a component.
type component struct {
	id, quant      byte
	down, across   int // blocks per unit (MCU)
	dc, ac         *huffman
	predicted      int32 // the DC coefficient of the block before
	points         int   // of the transform: 8, 4, 2 or 1; 0 if the component is not wanted
	y0, x0, y1, x1 int   // wanted blocks
	plane          Plane
}

// Decoder decodes one file after another, in the same memory. It is not safe for concurrent use.
type Decoder struct {
	in              input
	header          Header
	planes          []Plane
	components      []component
	quant           [4][64]int32 // in zigzag order
	hasQuant        [4]bool
	dc, ac          [4]huffman
	restartInterval int // units between restart markers; 0 means none
	pix             [3][]byte
	coef            [64]int32

	// Of a progressive file.
	progress    [3]progress
	hasScan     bool // a scan has been decoded
	band        band // of the scan
	emptyBlocks int  // blocks to come for which the scan has no code (its end-of-band run)
}

// ReadHeader reads a file up to its samples. The header is valid until the next call.
func (d *Decoder) ReadHeader(r io.Reader) (*Header, error) {
	d.in.reset(r)
	d.components, d.header, d.restartInterval = d.components[:0], Header{Components: d.header.Components[:0]}, 0
	d.hasQuant, d.hasScan = [4]bool{}, false
	for k := range d.progress {
		for i := range d.progress[k].low {
			d.progress[k].low[i] = unknown
		}
	}
	for k := range d.dc {
		d.dc[k].isSet, d.ac[k].isSet = false, false
	}
	if d.in.next() != 0xff || d.in.next() != markSOI {
		return nil, d.in.refuse()
	}
	if mark, ok := d.segments(); !ok || mark != markSOS {
		return nil, d.in.refuse()
	}
	return &d.header, nil
}

// segments reads segments up to the start of a scan or the end of the image, and returns which of both it is.
func (d *Decoder) segments() (mark byte, ok bool) {
	for {
		if d.in.next() != 0xff {
			return 0, false
		}
		mark := d.in.next()
		if mark == markEOI {
			return mark, true
		}
		segment, ok := d.in.segment()
		if !ok || !d.readSegment(mark, segment) {
			return 0, false
		}
		if mark == markSOS {
			return mark, true
		}
	}
}

// The markers of segments (T.81, table B.1).
const (
	markSOF0  = 0xc0 // start of a baseline frame
	markSOF1  = 0xc1 // start of an extended sequential frame
	markSOF2  = 0xc2 // start of a progressive frame
	markDHT   = 0xc4 // Huffman tables
	markRST0  = 0xd0 // first of the eight restart markers
	markSOI   = 0xd8 // start of the image
	markEOI   = 0xd9 // end of the image
	markSOS   = 0xda // start of a scan
	markDQT   = 0xdb // quantization tables
	markDRI   = 0xdd // restart interval
	markAPP0  = 0xe0 // first of the 16 application segments
	markAdobe = 0xee
	markAPP15 = 0xef
	markCOM   = 0xfe // comment
)

// readSegment reads a segment, and reports whether it is as the package expects.
func (d *Decoder) readSegment(mark byte, segment []byte) bool {
	switch {
	case mark == markSOF0 || mark == markSOF1 || mark == markSOF2:
		d.header.IsProgressive = mark == markSOF2
		return d.readFrame(segment)
	case mark == markDHT:
		return d.readHuffman(segment)
	case mark == markDQT: // behind the first scan, it is not clear which scans it is for
		return !d.hasScan && d.readQuant(segment)
	case mark == markDRI && len(segment) == 2:
		d.restartInterval = int(segment[0])<<8 | int(segment[1])
		return true
	case mark == markSOS && d.header.IsProgressive:
		return d.readProgressiveScan(segment)
	case mark == markSOS:
		return d.readScan(segment)
	case mark == markAdobe && len(segment) >= 12 && string(segment[:5]) == "Adobe":
		return segment[11] != 0 // 0 means RGB
	}
	return markAPP0 <= mark && mark <= markAPP15 || mark == markCOM
}

// readFrame reads sizes and components (T.81, B.2.2).
func (d *Decoder) readFrame(s []byte) bool {
	if len(d.components) > 0 || len(s) < 6 || s[0] != 8 || len(s) != 6+3*int(s[5]) || s[5] != 1 && s[5] != 3 {
		return false
	}
	d.header.H, d.header.W = int(s[1])<<8|int(s[2]), int(s[3])<<8|int(s[4])
	if d.header.H == 0 || d.header.W == 0 {
		return false
	}
	for s = s[6:]; len(s) > 0; s = s[3:] {
		c := component{id: s[0], across: int(s[1] >> 4), down: int(s[1] & 15), quant: s[2]}
		if c.quant > 3 || !isSamplingFactor(c.down) || !isSamplingFactor(c.across) {
			return false
		}
		d.components = append(d.components, c)
	}
	luma := &d.components[0]
	if len(d.components) == 1 { // a unit is one block, whatever the file says (T.81, A.2.2)
		luma.down, luma.across = 1, 1
	} else {
		cb, cr := d.components[1], d.components[2]
		switch {
		case luma.id == cb.id || luma.id == cr.id || cb.id == cr.id:
			return false
		case luma.id == 'R' && cb.id == 'G' && cr.id == 'B':
			return false
		case cb.down != 1 || cb.across != 1 || cr.down != 1 || cr.across != 1:
			return false
		case luma.down == 4 || luma.down == 2 && luma.across == 4:
			return false
		}
	}
	for _, c := range d.components {
		d.header.Components = append(d.header.Components, Component{luma.down / c.down, luma.across / c.across})
	}
	return true
}

// isSamplingFactor reports whether a sampling factor is one of those that occur.
func isSamplingFactor(factor int) bool { return factor == 1 || factor == 2 || factor == 4 }

// readQuant reads quantization tables of bytes (T.81, B.2.4.1).
func (d *Decoder) readQuant(s []byte) bool {
	for ; len(s) >= 65; s = s[65:] {
		k := s[0]
		if k > 3 {
			return false
		}
		d.hasQuant[k] = true
		for i, q := range s[1:65] {
			d.quant[k][i] = int32(q)
		}
	}
	return len(s) == 0
}

// readHuffman reads Huffman tables (T.81, B.2.4.2).
func (d *Decoder) readHuffman(s []byte) bool {
	for len(s) >= 17 {
		class, k := s[0]>>4, s[0]&15
		if class > 1 || k > 3 || k > 1 && !d.header.IsProgressive {
			return false
		}
		t := &d.dc[k]
		if class == 1 {
			t = &d.ac[k]
		}
		values := t.set([16]byte(s[1:17]), s[17:])
		if values == 0 {
			return false
		}
		s = s[17+values:]
	}
	return len(s) == 0
}

// readScan reads which tables the components use (T.81, B.2.3).
func (d *Decoder) readScan(s []byte) bool {
	n := len(d.components)
	if n == 0 || len(s) != 4+2*n || int(s[0]) != n || string(s[1+2*n:]) != "\x00\x3f\x00" {
		return false
	}
	for k := range d.components {
		c := &d.components[k]
		dc, ac := s[2+2*k]>>4, s[2+2*k]&15
		if s[1+2*k] != c.id || dc > 1 || ac > 1 || !d.dc[dc].isSet || !d.ac[ac].isSet || !d.hasQuant[c.quant] {
			return false
		}
		c.dc, c.ac = &d.dc[dc], &d.ac[ac]
	}
	return true
}

// Memory returns the bytes of the planes that Read makes and, for a progressive file, of the coefficients.
func (h *Header) Memory(wanted []Wanted) int64 {
	sum := int64(0)
	for k, w := range wanted {
		if h.IsProgressive {
			stride, rows := h.planeSize(k, 8)
			sum += 2 * int64(stride) * int64(rows)
		}
		if w.Scale > 0 {
			stride, rows := h.planeSize(k, 8/w.Scale)
			sum += int64(stride) * int64(rows)
		}
	}
	return sum
}

// FixedMemory is the most bytes that a Decoder takes in addition to the planes.
const FixedMemory = 128 << 10

// Kept returns the bytes of planes that the decoder keeps for the next file.
func (d *Decoder) Kept() int {
	sum := 0
	for k := range d.pix {
		sum += cap(d.pix[k]) + 2*cap(d.progress[k].coef)
	}
	return sum
}

// planeSize returns the samples of a component in whole units, with so many samples per side of a block.
func (h *Header) planeSize(k, points int) (stride, rows int) {
	across, down := h.blocks(k)
	return across * points, down * points
}

// units returns the numbers of units (MCU) that cover the picture.
func (h *Header) units() (across, down int) {
	c := h.Components[len(h.Components)-1] // chroma has the largest steps
	return ceilDiv(h.W, 8*c.Across), ceilDiv(h.H, 8*c.Down)
}

// blocks returns the numbers of blocks of a component in whole units.
func (h *Header) blocks(k int) (across, down int) {
	across, down = h.units()
	largest, c := h.Components[len(h.Components)-1], h.Components[k]
	return across * (largest.Across / c.Across), down * (largest.Down / c.Down)
}

// Read decodes the samples of the file whose header was read; wanted has an entry per component. The planes are valid
// until the next call.
func (d *Decoder) Read(wanted []Wanted) ([]Plane, error) {
	d.planes = d.planes[:0]
	for k := range d.components {
		c, w := &d.components[k], wanted[k]
		c.points, c.predicted = 0, 0
		if w.Scale > 0 {
			c.points = 8 / w.Scale
			c.y0, c.x0, c.y1, c.x1 = w.Y0/8, w.X0/8, ceilDiv(w.Y1, 8), ceilDiv(w.X1, 8)
			stride, rows := d.header.planeSize(k, c.points)
			if cap(d.pix[k]) < stride*rows {
				d.pix[k] = make([]byte, stride*rows)
			}
			c.plane = Plane{d.pix[k][:stride*rows], stride}
		}
	}
	decode := d.scan
	if d.header.IsProgressive {
		decode = d.readProgressive
	}
	if !decode() {
		return nil, d.in.refuse()
	}
	for _, c := range d.components {
		d.planes = append(d.planes, c.plane)
	}
	return d.planes, nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
