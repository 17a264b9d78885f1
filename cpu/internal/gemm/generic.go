package gemm

import "unsafe"

// generic returns the kernels in Go, for processors without generated kernels. The full tile
// is 2 x 4: eight sums, four elements of B and two of A fit in 16 registers.
func generic() *Kernel {
	kn := &Kernel{Name: "generic", MR: 2, NR: 4, peakFLOPs: 2 * 8, peak: genericPeak}
	for width := oneVector; width <= full; width++ {
		kn.byRows[1][width] = rows1
		kn.byRows[2][width] = rows2
		kn.byColumns[1][width] = rows1Columns
		kn.byColumns[2][width] = rows2Columns
	}
	return kn
}

func rows1(segments, k int, a *float32, lda, stepA int, b *float32, ldb, stepB int, c *float32, ldc int, n, set int, bias *float32) {
	prepare(1, c, ldc, n, set, bias)
	for t := range segments {
		one(k, add(a, t*stepA), 1, add(b, t*stepB), ldb, c, n)
	}
}

func rows1Columns(segments, k int, a *float32, lda, stepA int, b *float32, ldb, stepB int, c *float32, ldc int, n, set int, bias *float32) {
	prepare(1, c, ldc, n, set, bias)
	for t := range segments {
		one(k, add(a, t*stepA), lda, add(b, t*stepB), ldb, c, n)
	}
}

func rows2(segments, k int, a *float32, lda, stepA int, b *float32, ldb, stepB int, c *float32, ldc int, n, set int, bias *float32) {
	prepare(2, c, ldc, n, set, bias)
	for t := range segments {
		two(k, add(a, t*stepA), lda, 1, add(b, t*stepB), ldb, c, ldc, n)
	}
}

func rows2Columns(segments, k int, a *float32, lda, stepA int, b *float32, ldb, stepB int, c *float32, ldc int, n, set int, bias *float32) {
	prepare(2, c, ldc, n, set, bias)
	for t := range segments {
		two(k, add(a, t*stepA), 1, lda, add(b, t*stepB), ldb, c, ldc, n)
	}
}

// prepare clears the tile if the product is to overwrite it, and adds the bias if there is
// one.
func prepare(m int, c *float32, ldc, n, set int, bias *float32) {
	for i := range m {
		row := unsafe.Slice(add(c, i*ldc), n)
		if set != 0 {
			clear(row)
		}
		if bias != nil {
			for j, b := range unsafe.Slice(bias, n) {
				row[j] += b
			}
		}
	}
}

// one computes a tile of one row; consecutive k are step apart in A.
func one(k int, a *float32, step int, b *float32, ldb int, c *float32, n int) {
	as := unsafe.Slice(a, (k-1)*step+1)
	bs := unsafe.Slice(b, (k-1)*ldb+n)
	cs := unsafe.Slice(c, n)
	for j := range cs {
		var sum float32
		for i, at := 0, j; i < len(as); i, at = i+step, at+ldb {
			sum += as[i] * bs[at]
		}
		cs[j] += sum
	}
}

// two computes a tile of two rows, which are row apart in A.
func two(k int, a *float32, row, step int, b *float32, ldb int, c *float32, ldc int, n int) {
	if n != 4 {
		one(k, a, step, b, ldb, c, n)
		one(k, add(a, row), step, b, ldb, add(c, ldc), n)
		return
	}
	a0 := unsafe.Slice(a, (k-1)*step+1)
	a1 := unsafe.Slice(add(a, row), (k-1)*step+1)
	bs := unsafe.Slice(b, (k-1)*ldb+4)
	var c00, c01, c02, c03, c10, c11, c12, c13 float32
	for i, at := 0, 0; i < len(a0) && i < len(a1); i, at = i+step, at+ldb {
		row := bs[at : at+4 : at+4]
		b0, b1, b2, b3 := row[0], row[1], row[2], row[3]
		v := a0[i]
		c00 += v * b0
		c01 += v * b1
		c02 += v * b2
		c03 += v * b3
		v = a1[i]
		c10 += v * b0
		c11 += v * b1
		c12 += v * b2
		c13 += v * b3
	}
	cs := unsafe.Slice(c, 4)
	cs[0] += c00
	cs[1] += c01
	cs[2] += c02
	cs[3] += c03
	cs = unsafe.Slice(add(c, ldc), 4)
	cs[0] += c10
	cs[1] += c11
	cs[2] += c12
	cs[3] += c13
}

func add(p *float32, elements int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(p), elements*4))
}

// genericPeak computes rounds x 8 independent multiply-adds.
func genericPeak(rounds int) {
	var c0, c1, c2, c3, c4, c5, c6, c7 float32 = 1, 1, 1, 1, 1, 1, 1, 1
	var a, b float32 = 1.0000001, 0.9999999
	for range rounds {
		c0 = c0*a + b
		c1 = c1*a + b
		c2 = c2*a + b
		c3 = c3*a + b
		c4 = c4*a + b
		c5 = c5*a + b
		c6 = c6*a + b
		c7 = c7*a + b
	}
	if c0+c1+c2+c3+c4+c5+c6+c7 == 0 {
		panic("gemm: unreachable, keeps the sums alive")
	}
}
