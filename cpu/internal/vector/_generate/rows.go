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
	rowProducts(m)
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
