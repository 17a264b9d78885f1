package scaledjpeg

// A progressive file (T.81, annex G) has several scans. Each has one part of the information about the coefficients of one
// or several components: a band of coefficients, from number start to number end in zigzag order (spectral selection), and
// of their bits those down to bit low, if they come for the first time, or else bit low alone (successive approximation).
// The samples follow from the coefficients after the last scan:
//
//	scan    components   start, end   bits
//	1       all          0, 0         down to 1     the means of the blocks, but for the last bit
//	2       luma         1, 5         down to 2
//	...
//	9       luma         0, 0         0             the last bit
//
// All coefficients are therefore kept, in 16 bits; files with larger ones are refused. So is a scan that brings bits in
// another order than from the first to the last, though image/jpeg reads it: then no sum can exceed 16 bits.

// band is what a scan brings.
type band struct {
	all        bool // of all components, not of one
	component  int  // otherwise
	start, end int  // of the coefficients, in zigzag order; start is 0 only if end is
	low        uint // the last bit
	isRefined  bool // it brings this bit only
}

// unknown is what progress.low is for coefficients that no scan has brought.
const unknown = 15

// progress is what the scans so far have brought of a component.
type progress struct {
	coef   []int16  // of its blocks, row after row, 64 for each in zigzag order
	across int      // blocks per row
	low    [64]byte // of each coefficient the last bit that is known
}

// readProgressiveScan reads what a scan brings (T.81, B.2.3 and G.1.1.1), and reports whether it is as the package expects.
func (d *Decoder) readProgressiveScan(s []byte) bool {
	if len(s) < 6 || len(s) != 4+2*int(s[0]) {
		return false
	}
	n := int(s[0])
	last := s[1+2*n:]
	high, low := last[2]>>4, last[2]&15
	b := band{all: n > 1, start: int(last[0]), end: int(last[1]), low: uint(low), isRefined: high > 0}
	switch {
	case b.start > b.end || b.end > 63 || b.start == 0 && b.end > 0 || low > 13 || b.isRefined && high != low+1:
		return false
	case n == 1:
		for b.component < len(d.components) && d.components[b.component].id != s[1] {
			b.component++
		}
		if b.component == len(d.components) {
			return false
		}
	case n != len(d.components) || b.start > 0:
		return false
	}
	for i := range n {
		k := b.component + i
		c := &d.components[k]
		dc, ac := s[2+2*i]>>4, s[2+2*i]&15
		if s[1+2*i] != c.id || dc > 3 || ac > 3 || !d.hasQuant[c.quant] {
			return false
		}
		c.dc, c.ac = &d.dc[dc], &d.ac[ac]
		isDC := b.start == 0
		if isDC && !b.isRefined && !c.dc.isSet || !isDC && !c.ac.isSet || !d.isNext(k, &b) {
			return false
		}
	}
	d.band = b
	return true
}

// isNext reports whether the bits that a scan brings of a component are those that follow the known ones, and notes them.
func (d *Decoder) isNext(k int, b *band) bool {
	p := &d.progress[k]
	want := byte(unknown)
	if b.isRefined {
		want = byte(b.low) + 1
	}
	for i := b.start; i <= b.end; i++ {
		if p.low[i] != want {
			return false
		}
		p.low[i] = byte(b.low)
	}
	return true
}

// readProgressive decodes all scans and then the wanted samples, and reports whether the file is valid.
func (d *Decoder) readProgressive() bool {
	for k := range d.components {
		stride, rows := d.header.planeSize(k, 8)
		p := &d.progress[k]
		p.across = stride / 8
		if p.coef = p.coef[:cap(p.coef)]; len(p.coef) < stride*rows {
			p.coef = make([]int16, stride*rows)
		}
		p.coef = p.coef[:stride*rows]
		clear(p.coef)
	}
	for {
		if !d.progressiveScan() {
			return false
		}
		mark, ok := d.segments()
		if !ok {
			return false
		}
		if mark == markEOI {
			break
		}
	}
	for k := range d.components {
		if d.progress[k].low[0] == unknown { // a component that no scan has brought
			return false
		}
		d.reconstruct(k)
	}
	return true
}

// reconstruct makes the wanted samples of a component from its coefficients.
func (d *Decoder) reconstruct(k int) {
	c, p := &d.components[k], &d.progress[k]
	if c.points == 0 {
		return
	}
	quant := &d.quant[c.quant&3]
	most := lastNeeded(c.points)
	for by := c.y0; by < c.y1; by++ {
		for bx := c.x0; bx < c.x1; bx++ {
			in := (*[64]int16)(p.coef[64*(by*p.across+bx):])
			d.coef = [64]int32{}
			last := 0
			for i, v := range in[:most+1] {
				if v != 0 {
					d.coef[natural[i]&63], last = int32(v)*quant[i], i
				}
			}
			c.transform(&d.coef, last, by, bx)
		}
	}
}

// lastNeeded returns the number, in zigzag order, of the last coefficient that a transform of so many points uses.
func lastNeeded(points int) int {
	switch points {
	case 1:
		return 0
	case 2:
		return 4
	case 4:
		return 24
	}
	return 63
}

// progressiveScan decodes a scan. The blocks of one component come row after row, without those that lie outside of the
// picture; those of all components come by units, as in other files (T.81, A.2).
func (d *Decoder) progressiveScan() bool {
	d.in.startBits()
	d.emptyBlocks = 0
	for k := range d.components {
		d.components[k].predicted = 0
	}
	done := false
	if d.band.all {
		done = d.scanUnits()
	} else {
		done = d.scanBlocks()
	}
	d.hasScan = true
	return done && d.emptyBlocks == 0 && d.in.isAtMarker()
}

// scanUnits decodes a scan of all components.
func (d *Decoder) scanUnits() bool {
	across, down := d.header.units()
	for unit := range across * down {
		if d.restartInterval > 0 && unit > 0 && unit%d.restartInterval == 0 && !d.restart(unit/d.restartInterval) {
			return false
		}
		y, x := unit/across, unit%across
		for k := range d.components {
			c := &d.components[k]
			for b := range c.down * c.across {
				if !d.progressiveBlock(k, y*c.down+b/c.across, x*c.across+b%c.across) {
					return false
				}
			}
		}
	}
	return true
}

// scanBlocks decodes a scan of one component.
func (d *Decoder) scanBlocks() bool {
	k := d.band.component
	c := &d.components[k]
	if d.restartInterval > 0 && c.down*c.across > 1 { // image/jpeg counts the blocks between restart markers in another way
		return false
	}
	height, width := d.header.Size(k)
	across, down := ceilDiv(width, 8), ceilDiv(height, 8)
	for block := range across * down {
		if d.restartInterval > 0 && block > 0 && block%d.restartInterval == 0 && (d.emptyBlocks > 0 || !d.restart(block/d.restartInterval)) {
			return false
		}
		if d.emptyBlocks > 0 && !d.band.isRefined {
			d.emptyBlocks--
			continue
		}
		if !d.progressiveBlock(k, block/across, block%across) {
			return false
		}
	}
	return true
}

// progressiveBlock decodes what a scan brings of block (by, bx) of component k.
func (d *Decoder) progressiveBlock(k, by, bx int) bool {
	p := &d.progress[k]
	coef := (*[64]int16)(p.coef[64*(by*p.across+bx):])
	c := &d.components[k]
	d.in.fill(maxBlock)
	isValid := true
	switch b := &d.band; {
	case b.start > 0 && b.isRefined:
		isValid = d.refineAC(c, coef)
	case b.start > 0:
		isValid = d.firstAC(c, coef)
	case b.isRefined:
		coef[0] |= int16(d.in.bit() << b.low)
	default:
		isValid = d.firstDC(c, coef)
	}
	return isValid && !d.in.isOverrun()
}

// fits reports whether v, with low bits behind it that later scans bring, has no more than 16 bits.
func fits(v int32, low uint) bool { return -1<<(15-low) < v && v < 1<<(15-low) }

// firstDC decodes the mean of a block: its difference to that of the block before (T.81, G.1.2.1).
func (d *Decoder) firstDC(c *component, coef *[64]int16) bool {
	difference, ok := d.in.difference(c.dc)
	c.predicted += difference
	if !ok || !fits(c.predicted, d.band.low) {
		return false
	}
	coef[0] = int16(c.predicted << d.band.low)
	return true
}

// firstAC decodes a band of coefficients (T.81, G.1.2.2). A run of blocks may end with one code, so that its blocks have no
// coefficients (left): emptyBlocks counts those that follow.
func (d *Decoder) firstAC(c *component, coef *[64]int16) bool {
	in, b := &d.in, d.band
	acc, n := in.acc, in.n
	for k := b.start; k <= b.end; k++ {
		if n < 32 {
			acc, n = in.bits(acc, n)
		}
		e := c.ac.entry(acc, n)
		if e == 0 {
			return false
		}
		n -= uint(e & 31)
		run, size, v := int(e>>8&15), uint(e>>12&15), int32(e)>>16
		if v == 0 && size == 0 {
			if run < 15 {
				n -= uint(run)
				d.emptyBlocks = 1<<run - 1 + int(acc>>(n&63)&(1<<run-1))
				break
			}
			if k += 15; k >= b.end {
				return false
			}
			continue
		}
		if size > 0 {
			n -= size
			v = extend(acc>>(n&63)&(1<<size-1), size)
		}
		if k += run; k > b.end || !fits(v, b.low) {
			return false
		}
		coef[k&63] = int16(v << b.low)
	}
	in.acc, in.n = acc, n
	return true
}

// refineAC decodes one more bit of a band of coefficients (T.81, G.1.2.3): a bit for each that is not 0, and in a code those
// that become other than 0 with this bit. The run of such a code counts coefficients that stay 0.
func (d *Decoder) refineAC(c *component, coef *[64]int16) bool {
	in, b := &d.in, d.band
	k := b.start
	for d.emptyBlocks == 0 && k <= b.end {
		if in.n < 32 {
			in.acc, in.n = in.bits(in.acc, in.n)
		}
		e := c.ac.entry(in.acc, in.n)
		if e == 0 {
			return false
		}
		in.n -= uint(e & 31)
		run, size, v := int(e>>8&15), uint(e>>12&15), int32(e)>>16
		if size > 0 {
			in.n -= size
			v = extend(in.acc>>(in.n&63)&(1<<size-1), size)
		}
		if v == 0 && run < 15 {
			in.n -= uint(run)
			d.emptyBlocks = 1<<run + int(in.acc>>(in.n&63)&(1<<run-1))
			break
		}
		if k = d.refine(coef, k, run); k > b.end || v < -1 || v > 1 {
			return false
		}
		if v != 0 {
			coef[k&63] = int16(v << b.low)
		}
		k++
	}
	if d.emptyBlocks > 0 {
		d.refine(coef, k, 64)
		d.emptyBlocks--
	}
	return true
}

// refine reads a bit for each coefficient from number k on that is not 0, passes over so many that are 0, and returns the
// number of the next that is.
func (d *Decoder) refine(coef *[64]int16, k, zeros int) int {
	for ; k <= d.band.end; k++ {
		switch v := coef[k&63]; {
		case v == 0 && zeros == 0:
			return k
		case v == 0:
			zeros--
		case d.in.bit() == 0:
		case v > 0:
			coef[k&63] = v + 1<<d.band.low
		default:
			coef[k&63] = v - 1<<d.band.low
		}
	}
	return k
}
