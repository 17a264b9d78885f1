package scaledjpeg

import "encoding/binary"

// natural is the place in a block, 8 v + u, of the coefficient number k in zigzag order (T.81, figure A.6).
var natural = [64]byte{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// scan decodes the only scan of the file and the end of the image behind it, and reports whether all of it is valid.
func (d *Decoder) scan() bool {
	across, down := d.header.units()
	d.in.startBits()
	for unit := range across * down {
		if d.restartInterval > 0 && unit > 0 && unit%d.restartInterval == 0 && !d.restart(unit/d.restartInterval) {
			return false
		}
		y, x := unit/across, unit%across
		for k := range d.components {
			c := &d.components[k]
			for b := range c.down * c.across {
				d.in.fill(maxBlock)
				last := d.block(c)
				if last < 0 || d.in.isOverrun() {
					return false
				}
				c.transform(&d.coef, last, y*c.down+b/c.across, x*c.across+b%c.across)
			}
		}
	}
	return d.in.isAtMarker() && d.in.isMarker(markEOI)
}

// restart reads the marker after interval number n, and resets what one block tells about the next.
func (d *Decoder) restart(n int) bool {
	d.in.fill(maxBlock)
	if !d.in.isAtMarker() || !d.in.isMarker(markRST0+byte(n-1)%8) {
		return false
	}
	d.in.startBits()
	for k := range d.components {
		d.components[k].predicted = 0
	}
	return true
}

// block decodes the coefficients of a block (T.81, F.2.2) to d.coef, times their quantization steps, and returns the
// zigzag number of the last one that may not be 0, or -1 if the code is invalid.
func (d *Decoder) block(c *component) (last int) {
	in, quant, coef := &d.in, &d.quant[c.quant&3], &d.coef
	*coef = [64]int32{}
	difference, ok := in.difference(c.dc)
	if !ok {
		return -1
	}
	c.predicted += difference
	coef[0] = c.predicted * quant[0]

	acc, n := in.acc, in.n
	for k := 1; k < 64; k++ {
		if n < 32 {
			acc, n = in.bits(acc, n)
		}
		e := c.ac.look[acc>>((n-lookBits)&63)&(1<<lookBits-1)]
		v := int32(e) >> 16
		if v == 0 {
			if e == 0 {
				if e = c.ac.long(int32(acc >> ((n - 16) & 63) & 0xffff)); e == 0 {
					return -1
				}
			}
			n -= uint(e & 31)
			size := uint(e >> 12 & 15)
			if size == 0 {
				if run := e >> 8 & 15; run == 0 {
					break
				} else if run != 15 || k > 63-16 {
					return -1
				}
				k += 15
				continue
			}
			n -= size
			v = extend(acc>>(n&63)&(1<<size-1), size)
		} else {
			n -= uint(e & 31)
		}
		if k += int(e >> 8 & 15); k > 63 {
			return -1
		}
		coef[natural[k]&63] = v * quant[k]
		last = k
	}
	in.acc, in.n = acc, n
	return last
}

// difference decodes the difference of a DC coefficient to that of the block before (T.81, F.2.2.1).
func (in *input) difference(t *huffman) (v int32, ok bool) {
	acc, n := in.acc, in.n
	if n < 32 {
		acc, n = in.bits(acc, n)
	}
	e := t.entry(acc, n)
	n -= uint(e & 31)
	if e == 0 || e>>8&15 != 0 {
		return 0, false
	}
	v = int32(e) >> 16
	if size := uint(e >> 12 & 15); size != 0 {
		n -= size
		v = extend(acc>>(n&63)&(1<<size-1), size)
	}
	in.acc, in.n = acc, n
	return v, true
}

// bit returns the next bit.
func (in *input) bit() uint64 {
	if in.n == 0 {
		in.acc, in.n = in.bits(in.acc, in.n)
	}
	in.n--
	return in.acc >> (in.n & 63) & 1
}

// bits is moreBits, four bytes at a time while none of them is 0xff.
func (in *input) bits(acc uint64, n uint) (uint64, uint) {
	if in.pos+4 <= in.end {
		v := binary.BigEndian.Uint32(in.buf[in.pos:])
		if (v&^(v+0x01010101))&0x80808080 == 0 {
			in.pos += 4
			return acc<<32 | uint64(v), n + 32
		}
	}
	return in.moreBits(acc, n)
}
