package scaledjpeg

// The inverse cosine transforms. Coefficient (v, u) of a block of 8x8 samples (T.81, A.3.3) stands for
//
//	x(i, j) = 1/4 Σ C(u) C(v) X(v, u) cos((2i+1) v π/16) cos((2j+1) u π/16),   C(0) = 1/√2, otherwise 1
//
// The transform of N points evaluates the same cosines with v, u < N at the N x N places that divide the block evenly,
// cos((2i+1) v π/2N): the block without the frequencies that N samples can't hold, at N/8 of the size. (In an orthonormal
// transform of N points, 1/4 would be 2/N, and the coefficients of the smaller block are those of the larger times N/8:
// Dugad and Ahuja, "A fast scheme for image size change in the compressed domain", IEEE Transactions on Circuits and Systems
// for Video Technology 11, 2001.)

// transform writes the samples of block (by, bx) if they are wanted. last is the zigzag number of the last coefficient that
// may not be 0.
func (c *component) transform(coef *[64]int32, last, by, bx int) {
	if by < c.y0 || by >= c.y1 || bx < c.x0 || bx >= c.x1 {
		return
	}
	stride := c.plane.Stride
	switch c.points {
	case 8:
		inverse8(c.plane.Pix[8*(by*stride+bx):], stride, coef, last)
	case 4:
		inverse4(c.plane.Pix[4*(by*stride+bx):], stride, coef)
	case 2:
		inverse2(c.plane.Pix[2*(by*stride+bx):], stride, coef)
	case 1:
		c.plane.Pix[by*stride+bx] = sample((coef[0] + 4) >> 3)
	}
}

// sample returns a sample from its difference to the middle of the range.
func sample(v int32) byte { return byte(min(max(v, -128), 127) + 128) }

// inverse2 writes 2x2 samples: at two points, all cosines are √2/2.
func inverse2(dst []byte, stride int, coef *[64]int32) {
	even, odd := coef[0]+4, coef[1]
	dst2 := dst[stride:][:2]
	dst = dst[:2]
	left, right := even+odd, even-odd
	even, odd = coef[8], coef[9]
	dst[0], dst[1] = sample((left+even+odd)>>3), sample((right+even-odd)>>3)
	dst2[0], dst2[1] = sample((left-even-odd)>>3), sample((right-even+odd)>>3)
}

// The cosines of the transform of four points, times √2, with 12 binary places.
const (
	cos1of8 = 5352 // √2 cos(π/8)
	cos3of8 = 2217 // √2 cos(3π/8)
)

// inverse4 writes 4x4 samples, rows first. points4 has a factor of √2 in each direction, so that 1/8 is left of 1/4.
func inverse4(dst []byte, stride int, coef *[64]int32) {
	const kept = 5 // binary places of the rows
	var rows [16]int32
	for v := range 4 {
		x := coef[8*v : 8*v+4 : 8*v+4]
		a, b, c, d := points4(x[0], x[1], x[2], x[3])
		const places, half = 12 - kept, 1 << (12 - kept - 1)
		rows[4*v], rows[4*v+1], rows[4*v+2], rows[4*v+3] = (a+half)>>places, (b+half)>>places, (c+half)>>places, (d+half)>>places
	}
	row0, row1, row2, row3 := dst[:4], dst[stride:][:4], dst[2*stride:][:4], dst[3*stride:][:4]
	for j := range 4 {
		a, b, c, d := points4(rows[j], rows[4+j], rows[8+j], rows[12+j])
		const places, half = 12 + kept + 3, 1 << (12 + kept + 3 - 1)
		row0[j], row1[j] = sample((a+half)>>places), sample((b+half)>>places)
		row2[j], row3[j] = sample((c+half)>>places), sample((d+half)>>places)
	}
}

// points4 returns Σ C(u) x(u) cos((2j+1) u π/8) for j = 0, ..., 3, times √2 and 2^12.
func points4(x0, x1, x2, x3 int32) (y0, y1, y2, y3 int32) {
	sum, difference := (x0+x2)<<12, (x0-x2)<<12
	outer, inner := x1*cos1of8+x3*cos3of8, x1*cos3of8-x3*cos1of8
	return sum + outer, difference + inner, difference - inner, sum - outer
}
