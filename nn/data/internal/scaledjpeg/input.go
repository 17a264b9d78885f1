package scaledjpeg

import "io"

// input reads a file in pieces, and hands out its bytes and, within a scan, its bits.
type input struct {
	r        io.Reader
	buf      []byte
	pos, end int   // the unread bytes are buf[pos:end]
	isEnd    bool  // nothing follows them
	err      error // of reading, except io.EOF

	// The next bits of a scan are the last n of acc, most significant first. Where the scan's bytes end, zeros follow:
	// padded counts them.
	acc       uint64
	n, padded uint
}

const (
	bufferSize = 64 << 10 // more than the largest segment
	// A block takes at most 64 codes of 16 bits and as many values of 15 bits, 248 bytes, or twice as many with the
	// zeros that are stuffed after bytes of 0xff; bits are read ahead by 8 such bytes.
	maxBlock = 2*248 + 16
)

func (in *input) reset(r io.Reader) {
	if in.buf == nil {
		in.buf = make([]byte, bufferSize)
	}
	*in = input{r: r, buf: in.buf}
}

// fill reads until there are at least so many unread bytes, or all that the file has.
func (in *input) fill(want int) {
	if in.end-in.pos >= want || in.isEnd {
		return
	}
	in.end = copy(in.buf, in.buf[in.pos:in.end])
	in.pos = 0
	n, err := io.ReadAtLeast(in.r, in.buf[in.end:], want-in.end)
	in.end += n
	if err != nil {
		in.isEnd = true
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			in.err = err
		}
	}
}

// refuse returns the error of reading, or else that the file is not for this package.
func (in *input) refuse() error {
	if in.err != nil {
		return in.err
	}
	return errRefused
}

// next returns the next byte, or 0 at the end: no caller takes 0 for something valid.
func (in *input) next() byte {
	if in.fill(1); in.pos == in.end {
		return 0
	}
	in.pos++
	return in.buf[in.pos-1]
}

// segment returns the content of a segment, behind its length. It is valid until the next read.
func (in *input) segment() (content []byte, ok bool) {
	n := int(in.next()) << 8
	n |= int(in.next())
	n -= 2
	if n < 0 {
		return nil, false
	}
	if in.fill(n); in.end-in.pos < n {
		return nil, false
	}
	in.pos += n
	return in.buf[in.pos-n : in.pos], true
}

// startBits begins a part of a scan at a byte.
func (in *input) startBits() { in.acc, in.n, in.padded = 0, 0, 0 }

// moreBits returns acc and n with bits up to at least 32. A byte of 0xff is followed by a stuffed zero in a
// scan; otherwise it begins a marker, and the scan's bytes have ended.
func (in *input) moreBits(acc uint64, n uint) (uint64, uint) {
	for n < 32 {
		v := byte(0)
		switch {
		case in.pos == in.end:
			in.padded += 8
		case in.buf[in.pos] != 0xff:
			v = in.buf[in.pos]
			in.pos++
		case in.pos+1 < in.end && in.buf[in.pos+1] == 0:
			v = 0xff
			in.pos += 2
		default:
			in.padded += 8
		}
		acc, n = acc<<8|uint64(v), n+8
	}
	return acc, n
}

// isOverrun reports whether more bits were taken than the scan has.
func (in *input) isOverrun() bool { return in.n < in.padded }

// isAtMarker reports whether all bits of a scan have been taken, except for those that fill the last byte.
func (in *input) isAtMarker() bool { return in.n >= in.padded && in.n-in.padded < 8 }

// isMarker reads a marker, and reports whether it is this one.
func (in *input) isMarker(mark byte) bool { return in.next() == 0xff && in.next() == mark }
