package scaledjpeg

// lookBits is the length of the codes that are looked up at once.
const lookBits = 10

// huffman is a Huffman table (T.81, annex C and F.2.2.3). A code stands for a byte: a run of zeros in its upper half, and in
// its lower half the size in bits of a value that follows the code.
type huffman struct {
	isSet bool
	// look has an entry for each sequence of lookBits bits, by the code that it begins with; 0 means a longer code:
	//
	//	bits 0 to 7    bits to skip: the code, and the value if it is in the entry
	//	bits 8 to 11   run
	//	bits 12 to 15  size of the value, if it is not in the entry
	//	bits 16 to 31  the value, if all of its bits were among the sequence; 0 otherwise
	look [1 << lookBits]uint32

	// Codes of length l that are longer than lookBits are at most last[l], and code c stands for values[offset[l]+c].
	last, offset [17]int32
	values       [256]byte
}

// set makes the table from the number of codes of each length and the bytes that they stand for, and returns the number of
// codes, or 0 if the codes are impossible.
func (t *huffman) set(counts [16]byte, values []byte) int {
	total := 0
	for _, n := range counts {
		total += int(n)
	}
	if total == 0 || total > 256 || total > len(values) {
		return 0
	}
	copy(t.values[:], values[:total])
	clear(t.look[:])
	code, k := int32(0), int32(0)
	for l := 1; l <= 16; l++ {
		n := int32(counts[l-1])
		if code+n > 1<<l {
			return 0
		}
		t.offset[l], t.last[l] = k-code, code+n-1
		for ; n > 0 && l <= lookBits; n-- {
			t.enter(l, code, t.values[k])
			code, k = code+1, k+1
		}
		code, k = code+n, k+n
		code <<= 1
	}
	t.isSet = true
	return total
}

// enter sets the entries that begin with a code of l bits.
func (t *huffman) enter(l int, code int32, symbol byte) {
	rest := lookBits - l
	run, size := uint32(symbol>>4), int(symbol&15)
	for bits := range int32(1) << rest {
		entry := uint32(l) | run<<8 | uint32(size)<<12
		if size > 0 && size <= rest {
			v := extend(uint64(bits>>(rest-size)), uint(size))
			entry = uint32(l+size) | run<<8 | uint32(uint16(v))<<16
		}
		t.look[code<<rest|bits] = entry
	}
}

// extend returns the value that the bits of a size stand for (T.81, F.2.2.1, EXTEND): those that begin with 0 are negative.
func extend(bits uint64, size uint) int32 {
	isNegative := int32(bits>>(size-1)) - 1 // -1 or 0
	return int32(bits) + isNegative&(1-1<<size)
}

// entry returns the entry of the code that the last n bits of acc begin with, at least 32, or 0 if there is none.
func (t *huffman) entry(acc uint64, n uint) uint32 {
	if e := t.look[acc>>((n-lookBits)&63)&(1<<lookBits-1)]; e != 0 {
		return e
	}
	return t.long(int32(acc >> ((n - 16) & 63) & 0xffff))
}

// long returns the entry of a code that is longer than lookBits, which 16 bits begin with, or 0 if there is none.
func (t *huffman) long(bits int32) uint32 {
	for l := lookBits + 1; l <= 16; l++ {
		if code := bits >> (16 - l); code <= t.last[l] {
			symbol := t.values[byte(t.offset[l]+code)]
			return uint32(l) | uint32(symbol>>4)<<8 | uint32(symbol&15)<<12
		}
	}
	return 0
}
