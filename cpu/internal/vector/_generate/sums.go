package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// halves returns the lower and the upper half of a vector as float64s.
func (m *machine) halves(v VecVirtual) (low, high VecVirtual) {
	upper := m.halfVector()
	if m.wide {
		VEXTRACTF64X4(Imm(1), v, upper)
		return m.widen(v.AsY()), m.widen(upper)
	}
	VEXTRACTF128(Imm(1), v, upper)
	return m.widen(v.AsX()), m.widen(upper)
}

// addDoubles adds v, in float64, to low and high.
func (m *machine) addDoubles(low, high, v VecVirtual) {
	a, b := m.halves(v)
	VADDPD(a, low, low)
	VADDPD(b, high, high)
}

// returnSum ends a kernel that returns the sum of all that low and high hold.
func (m *machine) returnSum(low, high VecVirtual) {
	Store(m.total(low, high), ReturnIndex(0))
	m.end()
}

// total returns the sum of all that low and high hold, as one float64, and overwrites low.
func (m *machine) total(low, high VecVirtual) Register {
	VADDPD(high, low, low)
	upper := YMM()
	if m.wide {
		VEXTRACTF64X4(Imm(1), low, upper)
		VADDPD(upper, low.AsY(), low.AsY())
	}
	VEXTRACTF128(Imm(1), low.AsY(), upper.AsX())
	VADDPD(upper.AsX(), low.AsX(), low.AsX())
	VUNPCKHPD(low.AsX(), low.AsX(), upper.AsX())
	VADDSD(upper.AsX(), low.AsX(), low.AsX())
	return low.AsX()
}

// sum emits the sum of x, or of its squares, in float64.
func sum(m *machine, squares bool) {
	name, doc := "Sum", "returns the sum of x."
	if squares {
		name, doc = "SumSquares", "returns the sum of x^2."
	}
	m.returns(name, "x *float32, n int", doc)
	x, n := pointer("x"), pointer("n")
	low, high := m.zero(), m.zero()
	m.walk(n, false, func(i Register) {
		v := m.load(element(x, i))
		if !squares {
			m.addDoubles(low, high, v)
			return
		}
		a, b := m.halves(v)
		VFMADD231PD(a, a, low)
		VFMADD231PD(b, b, high)
	})
	m.returnSum(low, high)
}

// returns begins a kernel with a float64 as its result.
func (m *machine) returns(name, parameters, doc string) {
	TEXT(m.name+name, NOSPLIT, "func("+parameters+") float64")
	Doc(m.name + name + ": " + doc)
	m.labels = 0
}

// linear emits the sums of vectors.
func linear(m *machine) {
	m.text("Scaled", "y, a *float32, n int, alpha float32", "y = alpha*a.")
	{
		y, a, n, alpha := pointer("y"), pointer("a"), pointer("n"), m.broadcast("alpha")
		m.walk(n, false, func(i Register) { m.store(m.mul(m.load(element(a, i)), alpha), element(y, i)) })
	}
	m.end()

	m.text("WeightedSum", "y, a, b *float32, n int, alpha, beta float32", "y = alpha*a + beta*b.")
	{
		y, a, b, n := pointer("y"), pointer("a"), pointer("b"), pointer("n")
		alpha, beta := m.broadcast("alpha"), m.broadcast("beta")
		m.walk(n, false, func(i Register) {
			v := m.mul(m.load(element(b, i)), beta)
			VFMADD231PS(m.load(element(a, i)), alpha, v)
			m.store(v, element(y, i))
		})
	}
	m.end()

	m.text("AddRows", "sum *float32, width int, x *float32, rows int", "sum += each row of width elements of x.")
	{
		sum, width, x, count := pointer("sum"), pointer("width"), pointer("x"), pointer("rows")
		row, left := GP64(), GP64()
		stride, stride3 := GP64(), GP64()
		MOVQ(width, stride)
		SHLQ(Imm(2), stride)
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
		// The sums of a vector of columns stay in registers for all rows. Each of four
		// successive rows has sums of its own, so that an addition needn't wait for the
		// previous one.
		m.walk(width, false, func(i Register) {
			totals := [4]VecVirtual{m.load(element(sum, i)), m.zero(), m.zero(), m.zero()}
			LEAQ(element(x, i), row)
			MOVQ(count, left)
			four, one, done := m.label("four"), m.label("one"), m.label("done")
			Label(four)
			CMPQ(left, Imm(4))
			JLT(LabelRef(one))
			for j, at := range []Mem{{Base: row}, {Base: row, Index: stride, Scale: 1}, {Base: row, Index: stride, Scale: 2}, {Base: row, Index: stride3, Scale: 1}} {
				VADDPS(m.load(at), totals[j], totals[j])
			}
			LEAQ(Mem{Base: row, Index: stride, Scale: 4}, row)
			SUBQ(Imm(4), left)
			JMP(LabelRef(four))
			Label(one)
			TESTQ(left, left)
			JZ(LabelRef(done))
			VADDPS(m.load(Mem{Base: row}), totals[0], totals[0])
			ADDQ(stride, row)
			DECQ(left)
			JMP(LabelRef(one))
			Label(done)
			VADDPS(totals[1], totals[0], totals[0])
			VADDPS(totals[3], totals[2], totals[2])
			VADDPS(totals[2], totals[0], totals[0])
			m.store(totals[0], element(sum, i))
		})
	}
	m.end()
}
