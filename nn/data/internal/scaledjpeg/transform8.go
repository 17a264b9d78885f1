package scaledjpeg

// The transform of 8 points is that of Loeffler, Ligtenberg and Moschytz ("Practical fast 1-D DCT algorithms with 11
// multiplications", ICASSP 1989), in integers, first along the rows. It keeps as many binary places at each step, and
// drops the others in the same way, as image/jpeg of Go 1.26 does: a picture has the same samples whichever package
// decodes it.

// The constants, with the binary places that their names end with. Those of the rotation by 6π/16 have the factor √2/2.
const (
	half8, half14  = 181, 11585    // √2/2
	cos1, sin1     = 4017, 799     // of π/16, 12 places
	cos3, sin3     = 3406, 2276    // of 3π/16, 12 places
	cos6, sin6     = 1108, 2676    // of 6π/16, 12 places
	cos618, sin618 = 70936, 171254 // of 6π/16, 18 places
)

// rotate returns the rotation of (x0, x1) by the angle with this cosine and sine, with three multiplications instead of
// four:
//
//	y0 = x0 cos - x1 sin,   y1 = x0 sin + x1 cos
func rotate(x0, x1, cos, sin int32) (y0, y1 int32) {
	common := cos * (x0 + x1)
	return common - (sin+cos)*x1, common + (sin-cos)*x0
}

// rowsUpTo is the number of rows in which the coefficients up to a zigzag number lie.
var rowsUpTo = func() (rows [64]int) {
	most := 0
	for k, place := range natural {
		most = max(most, int(place)/8+1)
		rows[k] = most
	}
	return rows
}()

// inverse8 writes 8x8 samples; no coefficient after number last in zigzag order is other than 0.
func inverse8(dst []byte, stride int, coef *[64]int32, last int) {
	if last == 0 {
		flat8(dst, stride, sample((coef[0]<<17+1<<19)>>20))
		return
	}
	for v := range rowsUpTo[last&63] {
		row8((*[8]int32)(coef[8*v:]))
	}
	columns8(dst, stride, coef)
}

// flat8 writes 8x8 equal samples.
func flat8(dst []byte, stride int, v byte) {
	for i := range 8 {
		row := dst[i*stride:][:8]
		for j := range row {
			row[j] = v
		}
	}
}

// row8 transforms a row, and leaves 20 binary places in it.
func row8(x *[8]int32) {
	// Even coefficients.
	a0, a1 := (x[0]+x[4])<<17, (x[0]-x[4])<<17
	a2, a3 := rotate(x[2], x[6], cos618, sin618)
	a1, a2 = a1+a2, a1-a2
	a0, a3 = a0+a3, a0-a3

	// Odd coefficients.
	b0, b3 := (x[1]+x[7])<<7, (x[1]-x[7])<<7
	b1, b2 := x[3]*half8, x[5]*half8
	b0, b1 = b0+b1, b0-b1
	b3, b2 = b3+b2, b3-b2
	b3, b0 = rotate(b3>>2, b0>>2, cos3, sin3)
	b1, b2 = rotate(b1>>2, b2>>2, cos1, sin1)

	x[0], x[7] = a0+b0, a0-b0
	x[1], x[6] = a1+b2, a1-b2
	x[2], x[5] = a2+b1, a2-b1
	x[3], x[4] = a3+b3, a3-b3
}

// columns8 transforms the columns of what row8 left, and writes the samples.
func columns8(dst []byte, stride int, x *[64]int32) {
	var rows [8]*[8]byte
	for i := range rows {
		rows[i] = (*[8]byte)(dst[i*stride:])
	}
	for j := range 8 {
		// Even coefficients. The half that rounds the samples is added once, to the coefficient that all of them have.
		x0, x4 := x[j]+1<<19, x[32+j]
		a0, a1 := (x0+x4)>>2, (x0-x4)>>2
		a2, a3 := rotate(x[16+j]>>13, x[48+j]>>13, cos6, sin6)
		a1, a2 = a1+a2, a1-a2
		a0, a3 = a0+a3, a0-a3

		// Odd coefficients.
		b0, b3 := x[8+j]+x[56+j], x[8+j]-x[56+j]
		b1, b2 := (x[24+j]>>13)*half14, (x[40+j]>>13)*half14
		b0, b1 = b0+b1, b0-b1
		b3, b2 = b3+b2, b3-b2
		b3, b0 = rotate(b3>>14, b0>>14, cos3, sin3)
		b1, b2 = rotate(b1>>14, b2>>14, cos1, sin1)

		rows[0][j], rows[7][j] = sample((a0+b0)>>18), sample((a0-b0)>>18)
		rows[1][j], rows[6][j] = sample((a1+b2)>>18), sample((a1-b2)>>18)
		rows[2][j], rows[5][j] = sample((a2+b1)>>18), sample((a2-b1)>>18)
		rows[3][j], rows[4][j] = sample((a3+b3)>>18), sample((a3-b3)>>18)
	}
}
