package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// transpose emits the transposition of a square tile with as many rows as a vector has lanes: x is read by whole
// cache lines, or with AVX2 halves of them, and so is y written. At the edges a tile has fewer rows or columns: its last
// row is then loaded several times, lanes beyond it are not stored, and neither are columns beyond the last.
func transpose(m *machine) {
	m.text("Transpose", "y, x *float32, yStep, xStep, rows, cols int",
		"y[j][i] = x[i][j] for rows x cols elements, at least one and at most a vector of each. The steps are in bytes.")
	y, x, yStep, xStep, rows, cols := pointer("y"), pointer("x"), pointer("yStep"), pointer("xStep"), pointer("rows"), pointer("cols")
	partial, done := m.label("partial"), m.label("done")
	CMPQ(rows, Imm(uint64(m.lanes)))
	JNE(LabelRef(partial))
	CMPQ(cols, Imm(uint64(m.lanes)))
	JNE(LabelRef(partial))
	tile := make([]VecVirtual, m.lanes)
	for i := range tile {
		tile[i] = m.load(Mem{Base: x})
		if i < m.lanes-1 {
			ADDQ(xStep, x)
		}
	}
	for j, v := range m.transposed(tile) {
		m.store(v, Mem{Base: y})
		if j < m.lanes-1 {
			ADDQ(yStep, y)
		}
	}
	JMP(LabelRef(done))

	Label(partial)
	m.rest = restMasked
	m.setMask(cols)
	for i := range tile {
		tile[i] = m.load(Mem{Base: x})
		m.advanceBelow(x, xStep, i+1, rows)
	}
	turned := m.transposed(tile)
	m.setMask(rows)
	for j, v := range turned {
		m.store(v, Mem{Base: y})
		CMPQ(cols, Imm(uint64(j+1)))
		JLE(LabelRef(done))
		ADDQ(yStep, y)
	}
	m.rest, m.mask = wholeVector, nil
	Label(done)
	m.end()
}

// advanceBelow adds step to p if i < n.
func (m *machine) advanceBelow(p, step Register, i int, n Register) {
	next := GP64()
	LEAQ(Mem{Base: p, Index: step, Scale: 1}, next)
	CMPQ(n, Imm(uint64(i)))
	CMOVQGT(next, p)
}

// transposed returns the columns of a square whose rows are given. First each group of four rows is transposed within the
// vectors' lanes of 128 bits: vector c of a group holds in lane q four elements of column 4q + c. Then the lanes are
// exchanged.
func (m *machine) transposed(rows []VecVirtual) []VecVirtual {
	var groups [][4]VecVirtual
	for r := 0; r < len(rows); r += 4 {
		groups = append(groups, m.transposedLanes(rows[r:]))
	}
	columns := make([]VecVirtual, len(rows))
	for c := range 4 {
		if !m.wide {
			a, b := groups[0][c], groups[1][c]
			columns[c], columns[4+c] = YMM(), YMM()
			VPERM2F128(Imm(0x20), b, a, columns[c])
			VPERM2F128(Imm(0x31), b, a, columns[4+c])
			continue
		}
		const even, odd = 0x88, 0xDD // lanes 0 and 2, or 1 and 3, of both operands
		shuffle := func(lanes uint64, a, b VecVirtual) VecVirtual {
			v := ZMM()
			VSHUFF32X4(Imm(lanes), b, a, v)
			return v
		}
		even01, odd01 := shuffle(even, groups[0][c], groups[1][c]), shuffle(odd, groups[0][c], groups[1][c])
		even23, odd23 := shuffle(even, groups[2][c], groups[3][c]), shuffle(odd, groups[2][c], groups[3][c])
		columns[c], columns[8+c] = shuffle(even, even01, even23), shuffle(odd, even01, even23)
		columns[4+c], columns[12+c] = shuffle(even, odd01, odd23), shuffle(odd, odd01, odd23)
	}
	return columns
}

// transposedLanes transposes four rows within each lane of 128 bits.
func (m *machine) transposedLanes(rows []VecVirtual) (columns [4]VecVirtual) {
	var low, high [2]VecVirtual // of rows 0 and 1, and of rows 2 and 3
	for i := range low {
		low[i], high[i] = m.vector(), m.vector()
		VUNPCKLPS(rows[2*i+1], rows[2*i], low[i])
		VUNPCKHPS(rows[2*i+1], rows[2*i], high[i])
	}
	for i := range columns {
		columns[i] = m.vector()
	}
	VUNPCKLPD(low[1], low[0], columns[0])
	VUNPCKHPD(low[1], low[0], columns[1])
	VUNPCKLPD(high[1], high[0], columns[2])
	VUNPCKHPD(high[1], high[0], columns[3])
	return columns
}
