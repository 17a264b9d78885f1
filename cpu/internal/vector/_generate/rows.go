package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rows emits the kernels with coefficients per row and per column.
func rows(m *machine) {
	affineRows(m)
	combineRows(m)
	rowSums(m)
	rowProducts(m)
	rowMoments(m)
	rowGradients(m)
	addRowProducts(m)
}

// loop emits body for each of n rows of width elements, n > 0. matrices are the pointers that advance by a row each time,
// floats and doubles those that advance by a number.
func (m *machine) loop(n, width Register, matrices, floats, doubles []Register, body func()) {
	next := m.label("row")
	Label(next)
	body()
	for _, p := range matrices {
		LEAQ(element(p, width), p)
	}
	for _, p := range floats {
		ADDQ(Imm(4), p)
	}
	for _, p := range doubles {
		ADDQ(Imm(8), p)
	}
	DECQ(n)
	JNZ(LabelRef(next))
}

// repeated returns a vector of the float32 at an address.
func (m *machine) repeated(p Register) VecVirtual {
	v := m.vector()
	VBROADCASTSS(Mem{Base: p}, v)
	return v
}

func affineRows(m *machine) {
	m.text("AffineRows", "y, x, a, e *float32, rows int, gamma, beta *float32, width int", "y = gamma*(a*x + e) + beta, with one a and one e per row.")
	y, x, a, e, n := pointer("y"), pointer("x"), pointer("a"), pointer("e"), pointer("rows")
	gamma, beta, width := pointer("gamma"), pointer("beta"), pointer("width")
	m.loop(n, width, []Register{y, x}, []Register{a, e}, nil, func() {
		va, ve := m.repeated(a), m.repeated(e)
		m.walk(width, false, func(i Register) {
			z := m.mulAdd(m.load(element(x, i)), va, ve)
			m.store(m.mulAdd(z, m.load(element(gamma, i)), m.load(element(beta, i))), element(y, i))
		})
	})
	m.end()
}

func combineRows(m *machine) {
	m.text("CombineRows", "dx, dy, x, a, b, e *float32, rows int, gamma *float32, width int",
		"dx = a*(gamma*dy) + (b*x + e), with one a, one b and one e per row.")
	dx, dy, x := pointer("dx"), pointer("dy"), pointer("x")
	a, b, e, n := pointer("a"), pointer("b"), pointer("e"), pointer("rows")
	gamma, width := pointer("gamma"), pointer("width")
	m.loop(n, width, []Register{dx, dy, x}, []Register{a, b, e}, nil, func() {
		va, vb, ve := m.repeated(a), m.repeated(b), m.repeated(e)
		m.walk(width, false, func(i Register) {
			u := m.mul(m.load(element(dy, i)), m.load(element(gamma, i)))
			m.store(m.mulAdd(u, va, m.mulAdd(m.load(element(x, i)), vb, ve)), element(dx, i))
		})
	})
	m.end()
}

func rowSums(m *machine) {
	m.text("RowSums", "sum, squares *float64, rows int, x *float32, width int", "sums of x and of x^2 of each row.")
	sum, squares, n, x, width := pointer("sum"), pointer("squares"), pointer("rows"), pointer("x"), pointer("width")
	m.loop(n, width, []Register{x}, nil, []Register{sum, squares}, func() {
		low, high, lowSq, highSq := m.zero(), m.zero(), m.zero(), m.zero()
		m.walk(width, false, func(i Register) {
			a, b := m.halves(m.load(element(x, i)))
			VADDPD(a, low, low)
			VADDPD(b, high, high)
			VFMADD231PD(a, a, lowSq)
			VFMADD231PD(b, b, highSq)
		})
		VMOVSD(m.total(low, high), Mem{Base: sum})
		VMOVSD(m.total(lowSq, highSq), Mem{Base: squares})
	})
	m.end()
}

func rowProducts(m *machine) {
	m.text("RowProducts", "sum, sumX *float64, rows int, dy, x, gamma *float32, width int", "sums of u = gamma*dy and of u*x of each row.")
	sum, sumX, n := pointer("sum"), pointer("sumX"), pointer("rows")
	dy, x, gamma, width := pointer("dy"), pointer("x"), pointer("gamma"), pointer("width")
	m.loop(n, width, []Register{dy, x}, nil, []Register{sum, sumX}, func() {
		low, high, lowX, highX := m.zero(), m.zero(), m.zero(), m.zero()
		m.walk(width, false, func(i Register) {
			a, b := m.halves(m.mul(m.load(element(dy, i)), m.load(element(gamma, i))))
			c, d := m.halves(m.load(element(x, i)))
			VADDPD(a, low, low)
			VADDPD(b, high, high)
			VFMADD231PD(a, c, lowX)
			VFMADD231PD(b, d, highX)
		})
		VMOVSD(m.total(low, high), Mem{Base: sum})
		VMOVSD(m.total(lowX, highX), Mem{Base: sumX})
	})
	m.end()
}

// doubles emits body for each vector of float64s of arrays of n of them. n must be a multiple of 8.
func (m *machine) doubles(n Register, body func(i Register)) {
	i, next := GP64(), m.label("next")
	XORQ(i, i)
	Label(next)
	body(i)
	ADDQ(Imm(uint64(m.lanes/2)), i)
	CMPQ(i, n)
	JLT(LabelRef(next))
}

// double returns the address of the vector of float64s from element i on.
func double(base, i Register) Mem { return Mem{Base: base, Index: i, Scale: 8} }

func (m *machine) float64s(at Mem) VecVirtual { v := m.vector(); VMOVUPD(at, v); return v }

// broadcastDouble returns a vector of a float64 parameter.
func (m *machine) broadcastDouble(param string) VecVirtual {
	v := m.vector()
	VBROADCASTSD(memory(param), v)
	return v
}

// storeFloats rounds float64s, and stores them at half as many bytes.
func (m *machine) storeFloats(v VecVirtual, at Mem) {
	if m.wide {
		half := YMM()
		VCVTPD2PS(v, half)
		VMOVUPS(half, at)
		return
	}
	half := XMM()
	VCVTPD2PSY(v, half)
	VMOVUPS(half, at)
}

func rowMoments(m *machine) {
	m.text("RowMoments", "mean, r *float64, a, e *float32, sum, squares *float64, n int, count, epsilon, one float64",
		"mean = sum/count, r = 1/sqrt(max(squares/count - mean^2, 0) + epsilon), a = r, e = -mean*r.")
	mean, r, a, e := pointer("mean"), pointer("r"), pointer("a"), pointer("e")
	sum, squares, n := pointer("sum"), pointer("squares"), pointer("n")
	count, epsilon, one, zero := m.broadcastDouble("count"), m.broadcastDouble("epsilon"), m.broadcastDouble("one"), m.zero()
	m.doubles(n, func(i Register) {
		average, variance, inverse := m.float64s(double(sum, i)), m.float64s(double(squares, i)), m.vector()
		VDIVPD(count, average, average)
		VMOVUPD(average, double(mean, i))
		VDIVPD(count, variance, variance)
		VMULPD(average, average, inverse)
		VSUBPD(inverse, variance, variance)
		VMAXPD(variance, zero, variance) // NaN where it is NaN
		VADDPD(epsilon, variance, variance)
		VSQRTPD(variance, variance)
		VDIVPD(variance, one, inverse)
		VMOVUPD(inverse, double(r, i))
		m.storeFloats(inverse, element(a, i))
		VMULPD(inverse, average, average)
		VSUBPD(average, zero, average)
		m.storeFloats(average, element(e, i))
	})
	m.end()
}

func rowGradients(m *machine) {
	m.text("RowGradients", "a, b, e *float32, mean, r, sum, sumX *float64, n int, count float64",
		"a = r, b = -r^3/count (sumX - mean*sum), e = -r/count sum - b*mean.")
	a, b, e := pointer("a"), pointer("b"), pointer("e")
	mean, r, sum, sumX, n := pointer("mean"), pointer("r"), pointer("sum"), pointer("sumX"), pointer("n")
	count, zero := m.broadcastDouble("count"), m.zero()
	m.doubles(n, func(i Register) {
		inverse, total := m.float64s(double(r, i)), m.float64s(double(sum, i))
		m.storeFloats(inverse, element(a, i))
		minus, slope, covariance := m.vector(), m.vector(), m.vector()
		VSUBPD(inverse, zero, minus)
		VMULPD(inverse, minus, slope)
		VDIVPD(count, slope, slope)
		VMULPD(inverse, slope, slope)
		average := m.float64s(double(mean, i))
		VMULPD(total, average, covariance)
		product := m.float64s(double(sumX, i))
		VSUBPD(covariance, product, product)
		VMULPD(product, slope, slope)
		m.storeFloats(slope, element(b, i))
		VDIVPD(count, minus, minus)
		VMULPD(total, minus, minus)
		VMULPD(average, slope, slope)
		VSUBPD(slope, minus, minus)
		m.storeFloats(minus, element(e, i))
	})
	m.end()
}

// addRowProducts emits the sums over rows. The sums of as many columns as a vector holds float64s stay in registers for all
// rows; each of four successive rows has sums of its own, so that an addition needn't wait for the one before.
func addRowProducts(m *machine) {
	m.text("AddRowProducts", "sum, product *float64, width int, dy, x, a, e *float32, rows int",
		"sum += dy and product += dy*(a*x + e), column by column, with one a and one e per row.")
	sum, product, left := pointer("sum"), pointer("product"), pointer("width")
	dy, x := pointer("dy"), pointer("x")
	stride := pointer("width")
	SHLQ(Imm(2), stride)
	columns := m.lanes / 2
	groups, rest, done := m.label("groups"), m.label("rest"), m.label("end")
	group := func(masks columnMasks) {
		var sums, products [rowsAtOnce]VecVirtual
		sums[0], products[0] = m.loadDoubles(sum, masks), m.loadDoubles(product, masks)
		for j := 1; j < rowsAtOnce; j++ {
			sums[j], products[j] = m.zero(), m.zero()
		}
		atDy, atX, atA, atE, rows := GP64(), GP64(), pointer("a"), pointer("e"), pointer("rows")
		MOVQ(dy, atDy)
		MOVQ(x, atX)
		row := func(j int) {
			d, xhat, shift := m.widen(m.loadHalf(Mem{Base: atDy}, masks)), m.loadHalf(Mem{Base: atX}, masks), m.halfVector()
			scale := m.halfVector()
			VBROADCASTSS(Mem{Base: atA, Disp: 4 * j}, scale)
			VBROADCASTSS(Mem{Base: atE, Disp: 4 * j}, shift)
			VFMADD213PS(shift, scale, xhat)
			VADDPD(d, sums[j], sums[j])
			VFMADD231PD(m.widen(xhat), d, products[j])
			ADDQ(stride, atDy)
			ADDQ(stride, atX)
		}
		four, one, end := m.label("four"), m.label("one"), m.label("rows")
		Label(four)
		CMPQ(rows, Imm(rowsAtOnce))
		JLT(LabelRef(one))
		for j := range rowsAtOnce {
			row(j)
		}
		ADDQ(Imm(4*rowsAtOnce), atA)
		ADDQ(Imm(4*rowsAtOnce), atE)
		SUBQ(Imm(rowsAtOnce), rows)
		JMP(LabelRef(four))
		Label(one)
		TESTQ(rows, rows)
		JZ(LabelRef(end))
		row(0)
		ADDQ(Imm(4), atA)
		ADDQ(Imm(4), atE)
		DECQ(rows)
		JMP(LabelRef(one))
		Label(end)
		for _, s := range [][rowsAtOnce]VecVirtual{sums, products} {
			VADDPD(s[1], s[0], s[0])
			VADDPD(s[3], s[2], s[2])
			VADDPD(s[2], s[0], s[0])
		}
		m.storeDoubles(sums[0], sum, masks)
		m.storeDoubles(products[0], product, masks)
	}
	Label(groups)
	CMPQ(left, Imm(uint64(columns)))
	JLT(LabelRef(rest))
	group(columnMasks{})
	for _, p := range []Register{dy, x} {
		ADDQ(Imm(uint64(4*columns)), p)
	}
	for _, p := range []Register{sum, product} {
		ADDQ(Imm(uint64(8*columns)), p)
	}
	SUBQ(Imm(uint64(columns)), left)
	JMP(LabelRef(groups))
	Label(rest)
	TESTQ(left, left)
	JZ(LabelRef(done))
	group(m.columnMasks(left))
	Label(done)
	m.end()
}
