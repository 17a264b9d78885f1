package plainpng

// The filters of a row (ISO/IEC 15948, 9.2). A byte was replaced by its difference from a prediction, which is made from
// the byte of the pixel to the left (a), of the pixel above (b), and of the pixel above to the left (c).
const (
	filterNone    = 0 // 0
	filterSub     = 1 // a
	filterUp      = 2 // b
	filterAverage = 3 // floor((a + b) / 2)
	filterPaeth   = 4 // of a, b and c the one that is nearest to a + b - c
)

// unfilter restores the bytes of all rows in place, and reports whether all filters are known. A row begins with the number
// of its filter. Left of a row and above the first one, bytes are 0.
func unfilter(rows []byte, stride, bpp int) bool {
	var above []byte
	for ; len(rows) > 0; rows = rows[stride:] {
		row := rows[1:stride]
		if !unfilterRow(rows[0], row, above, bpp) {
			return false
		}
		above = row
	}
	return true
}

// unfilterRow restores a row. above is empty for the first one.
func unfilterRow(filter byte, row, above []byte, bpp int) bool {
	isFirst := len(above) == 0
	switch {
	case filter == filterNone, isFirst && filter == filterUp:
	case filter == filterSub, isFirst && filter == filterPaeth: // the nearest to a + 0 - 0 is a
		for i := bpp; i < len(row); i++ {
			row[i] += row[i-bpp]
		}
	case filter == filterUp:
		for i, b := range above[:len(row)] {
			row[i] += b
		}
	case filter == filterAverage && isFirst:
		for i := bpp; i < len(row); i++ {
			row[i] += row[i-bpp] / 2
		}
	case filter == filterAverage:
		for i, b := range above[:bpp] {
			row[i] += b / 2
		}
		for i := bpp; i < len(row); i++ {
			row[i] += byte((int(row[i-bpp]) + int(above[i])) / 2)
		}
	case filter == filterPaeth:
		for i, b := range above[:bpp] { // the nearest to 0 + b - 0
			row[i] += b
		}
		for i := bpp; i < len(row); i++ {
			row[i] += paeth(int(row[i-bpp]), int(above[i]), int(above[i-bpp]))
		}
	default:
		return false
	}
	return true
}

// paeth returns of a, b and c the one that is nearest to a + b - c, and the first of them if several are.
func paeth(a, b, c int) byte {
	toA, toB := b-c, a-c
	toC := abs(toA + toB)
	toA, toB = abs(toA), abs(toB)
	switch {
	case toA <= toB && toA <= toC:
		return byte(a)
	case toB <= toC:
		return byte(b)
	}
	return byte(c)
}

func abs(x int) int { return max(x, -x) }
