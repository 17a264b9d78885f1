package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// band emits a kernel for a few rows of a depthwise convolution of 3 x 3 taps. It walks along rows+2 rows of x, one column
// after the other, channel by channel, and loads each pixel once for all nine pixels of y whose windows contain it. The
// three columns of y that see the current column of x are in registers, the window: column u+1, column u and column u-1
// while the walk is at column u. Tap (a, b) joins row s of x with row s-a of the window's column b.
type band struct {
	*machine
	rows    int
	window  [3][]VecVirtual
	enter   func()                          // fills the first column of the window
	leave   func()                          // empties the last column
	product func(x VecVirtual, r, a, b int) // of row r of y, for tap (a, b)

	i                  Register
	above, x, below, y Register // the current column; x is the row under the centre of the first row of y
	xRow, xRow3        Register
	yRow, yRow3        Register
}

// bandParameters are those that both kernels have. All steps are in bytes. The pointers to the rows of x above the first
// row of y and below the last one are nil if x has no such row, and left and right are 0 if it has no column before or
// after the n columns.
const bandParameters = "n, c, step, xRow, yRow, wRow, wTap, left, right, xAhead, yAhead, spread int"

// tileParameters are the same for a kernel of a fixed number of columns.
const tileParameters = "c, step, xRow, yRow, wRow, wTap, left, right, xAhead int"

func newBand(m *machine, rows int) *band {
	b := &band{machine: m, rows: rows, i: GP64()}
	if rows > 1 {
		b.xRow, b.yRow = pointer("xRow"), pointer("yRow")
	}
	if rows > 3 {
		b.xRow3, b.yRow3 = GP64(), GP64()
		LEAQ(Mem{Base: b.xRow, Index: b.xRow, Scale: 2}, b.xRow3)
		LEAQ(Mem{Base: b.yRow, Index: b.yRow, Scale: 2}, b.yRow3)
	}
	return b
}

// open makes the window, of zeros.
func (b *band) open() {
	for t := range b.window {
		for range b.rows {
			b.window[t] = append(b.window[t], b.zero())
		}
	}
}

// channels returns a pointer to the current channels.
func (b *band) channels(param string) Register {
	p := pointer(param)
	LEAQ(element(p, b.i), p)
	return p
}

// eachTap visits the nine taps of the current channels in the array that a parameter points to.
func (b *band) eachTap(param string, visit func(a, t int, at Mem)) {
	row, at := b.channels(param), GP64()
	for a := range 3 {
		MOVQ(row, at)
		for t := range 3 {
			visit(a, t, Mem{Base: at})
			if t < 2 {
				ADDQ(memory("wTap"), at)
			}
		}
		if a < 2 {
			ADDQ(memory("wRow"), row)
		}
	}
}

// walkColumns emits the walk over the n columns of x, and over the columns before and after them if the parameters left and
// right are not 0.
func (b *band) walkColumns() {
	b.above, b.x, b.below, b.y = b.channels("above"), b.channels("x"), b.channels("below"), b.channels("y")
	nextX, nextY := b.ahead("x", "xAhead"), b.ahead("y", "yAhead")
	inside, next, one, last, end, done := b.label("inside"), b.label("column"), b.label("one"), b.label("last"), b.label("end"), b.label("done")
	b.enter()
	CMPQ(memory("left"), Imm(0))
	JEQ(LabelRef(inside))
	b.move(SUBQ)
	b.column(0)
	b.move(ADDQ)
	Label(inside)
	columns := pointer("n")
	b.pass()
	DECQ(columns)
	JZ(LabelRef(one))
	b.enter()
	b.column(0, 1)
	b.move(ADDQ)
	Label(next)
	b.pass()
	DECQ(columns)
	JZ(LabelRef(last))
	b.enter()
	b.fetch(nextX, b.xRow, b.xRow3)
	b.fetch(nextY, b.yRow, b.yRow3)
	for _, p := range []Op{nextX, nextY} {
		ADDQ(Imm(uint64(4*b.lanes)), p)
	}
	b.column(0, 1, 2)
	b.leave()
	b.move(ADDQ)
	JMP(LabelRef(next))
	Label(last)
	b.column(1, 2)
	b.leave()
	JMP(LabelRef(end))
	Label(one)
	b.column(1)
	Label(end)
	b.move(ADDQ)
	b.pass()
	CMPQ(memory("right"), Imm(0))
	JEQ(LabelRef(done))
	b.column(2)
	Label(done)
	b.leave()
}

// move moves along x by one column, with ADDQ or SUBQ.
func (b *band) move(by func(step, p Op)) {
	for _, p := range []Op{b.above, b.x, b.below} {
		by(memory("step"), p)
	}
}

// pass moves the columns of the window on by one.
func (b *band) pass() {
	for t := 2; t > 0; t-- {
		for r, v := range b.window[t-1] {
			VMOVAPS(v, b.window[t][r])
		}
	}
}

// column emits the products of the current column of x with some columns of the filter.
func (b *band) column(taps ...int) {
	row := func(s int, at Mem) {
		x := b.load(at)
		for r := max(0, s-2); r <= min(s, b.rows-1); r++ {
			for _, t := range taps {
				b.product(x, r, s-r, t)
			}
		}
	}
	b.unlessZero("above", func() { row(0, Mem{Base: b.above}) })
	for s := range b.rows {
		row(s+1, steps(b.x, b.xRow, b.xRow3, s))
	}
	b.unlessZero("below", func() { row(b.rows+1, Mem{Base: b.below}) })
}

// unlessZero emits what is skipped if a parameter is 0 or nil.
func (b *band) unlessZero(param string, body func()) {
	none := b.label("none")
	CMPQ(memory(param), Imm(0))
	JEQ(LabelRef(none))
	body()
	Label(none)
}

// rowOfY returns the current pixel of row r of y.
func (b *band) rowOfY(r int) Mem { return steps(b.y, b.yRow, b.yRow3, r) }

// ahead returns a pointer into the next rows of x or y, for fetch. A walk visits one vector of each pixel, but memory delivers
// neighbouring lines sooner. So the walks together fetch the rows from beginning to end: the one for channels i to i+lanes
// begins after the lines of the ones before, which are i*spread elements, where spread is the number of pixels.
func (b *band) ahead(param, distance string) Register {
	at, passed := pointer(param), GP64()
	ADDQ(memory(distance), at)
	MOVQ(b.i, passed)
	IMULQ(memory("spread"), passed)
	LEAQ(element(at, passed), at)
	return at
}

// fetch prefetches from the next rows of x or y.
func (b *band) fetch(at, row, row3 Register) {
	for r := range b.rows {
		PREFETCHT1(steps(at, row, row3, r))
	}
}

// correlate3x3 emits the sum over the taps. The window holds the sums of three columns of y. As many taps as there is room
// for are in registers.
func correlate3x3(m *machine, rows, inRegisters int) {
	m.text(fmt.Sprintf("Correlate3x3Rows%d", rows), "y, bias, above, x, below, w *float32, "+bandParameters,
		fmt.Sprintf("y = bias + the sum of x*w over 3 x 3 taps, for n pixels of each of %d rows, of c channels.", rows))
	b := newBand(m, rows)
	b.open()
	inMemory := AllocLocal((10 - inRegisters) * 4 * m.lanes)
	m.walkIn(b.i, "c", func() {
		var taps [3][3]Op
		place := func(n int, v VecVirtual) Op {
			if n < inRegisters {
				return v
			}
			at := inMemory.Offset((n - inRegisters) * 4 * m.lanes)
			VMOVUPS(v, at)
			return at
		}
		b.eachTap("w", func(a, t int, at Mem) { taps[a][t] = place(3*a+t, m.load(at)) })
		bias := place(9, m.load(Mem{Base: b.channels("bias")}))
		b.enter = func() {
			for _, sum := range b.window[0] {
				VMOVUPS(bias, sum)
			}
		}
		b.product = func(x VecVirtual, r, a, t int) { VFMADD231PS(taps[a][t], x, b.window[t][r]) }
		b.leave = func() { b.put(b.window[2], m.store) }
		b.walkColumns()
	})
	m.end()
}

// tileColumns is the number of columns of a tile.
const tileColumns = 4

// streamTile emits the same sum, term by term in the same order, for a y that does not fit in the caches. A tile of a few
// rows and columns of y is in registers, and the kernel goes along the channels, so that memory is read in longer pieces
// than by a walk along columns, which takes one cache line of each pixel. The stores bypass the caches: a line that is written whole
// need not be read before. So y, the steps and the rows of y must be aligned to a vector.
func streamTile(m *machine, rows int) {
	m.text(fmt.Sprintf("Correlate3x3Stream%d", rows), "y, bias, above, x, below, w *float32, "+tileParameters,
		fmt.Sprintf("y = bias + the sum of x*w over 3 x 3 taps, for %d pixels of each of %d rows, of c channels; y bypasses the caches.", tileColumns, rows))
	b := newBand(m, rows)
	m.walkIn(b.i, "c", func() {
		var taps [3][3]VecVirtual
		b.eachTap("w", func(a, t int, at Mem) { taps[a][t] = m.load(at) })
		bias := m.load(Mem{Base: b.channels("bias")})
		var sums [tileColumns][]VecVirtual
		for j := range sums {
			for range rows {
				sums[j] = append(sums[j], m.copy(bias))
			}
		}
		b.product = func(x VecVirtual, r, a, column int) {
			for t := range 3 {
				if j := column - t; j >= 0 && j < tileColumns {
					VFMADD231PS(taps[a][t], x, sums[j][r])
				}
			}
		}
		store := func(sum VecVirtual, at Mem) {
			if m.rest == wholeVector {
				VMOVNTPS(sum, at)
			} else {
				m.store(sum, at)
			}
		}
		b.above, b.x, b.below, b.y = b.channels("above"), b.channels("x"), b.channels("below"), b.channels("y")
		b.move(SUBQ)
		b.unlessZero("left", func() { b.column(0) })
		for column := 1; column <= tileColumns; column++ {
			b.move(ADDQ)
			at := GP64()
			MOVQ(b.x, at)
			ADDQ(memory("xAhead"), at)
			b.fetch(at, b.xRow, b.xRow3)
			b.column(column)
			if j := column - 2; j >= 0 {
				b.put(sums[j], store)
			}
		}
		b.move(ADDQ)
		b.unlessZero("right", func() { b.column(tileColumns + 1) })
		b.put(sums[tileColumns-1], store)
	})
	m.end()
}

// fence emits the end of stores that bypass the caches: they are visible to other threads before anything later.
func fence(m *machine) {
	m.text("Fence", "", "orders stores that bypass the caches before all later ones.")
	SFENCE()
	RET()
}

// put stores the sums of a column, and moves along y by one.
func (b *band) put(sums []VecVirtual, store func(sum VecVirtual, at Mem)) {
	for r, sum := range sums {
		store(sum, b.rowOfY(r))
	}
	ADDQ(memory("step"), b.y)
}

// correlateFilter3x3 emits the gradient of the filter. The window holds three columns of dy. The nine sums begin at 0 and
// are added to dw at the end, so that the sum over an image is one over rows of pixels and one over rows.
func correlateFilter3x3(m *machine, rows int) {
	m.text(fmt.Sprintf("CorrelateFilter3x3Rows%d", rows), "dw, y, above, x, below *float32, "+bandParameters,
		fmt.Sprintf("dw += the sum of y*x over n pixels of each of %d rows, of c channels, for 3 x 3 taps.", rows))
	b := newBand(m, rows)
	b.open()
	m.walkIn(b.i, "c", func() {
		var sums [3][3]VecVirtual
		for a := range sums {
			for t := range sums[a] {
				sums[a][t] = m.zero()
			}
		}
		b.enter = func() {
			for r, dy := range b.window[0] {
				b.loadTo(dy, b.rowOfY(r))
			}
			ADDQ(memory("step"), b.y)
		}
		b.product = func(x VecVirtual, r, a, t int) { VFMADD231PS(x, b.window[t][r], sums[a][t]) }
		b.leave = func() {}
		b.walkColumns()
		b.eachTap("dw", func(a, t int, at Mem) { m.store(m.add(m.load(at), sums[a][t]), at) })
	})
	m.end()
}

// bands emits the kernels of 3 x 3 taps: of as many rows as the registers have room for, and of fewer for the rest.
func bands(m *machine) {
	if m.wide {
		for _, rows := range []int{4, 2, 1} {
			correlate3x3(m, rows, 10)
			streamTile(m, rows)
			correlateFilter3x3(m, rows)
		}
		fence(m)
		return
	}
	correlate3x3(m, 2, 6)
	correlate3x3(m, 1, 9)
	correlateFilter3x3(m, 1)
}
