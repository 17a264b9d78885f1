package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// memory returns a parameter as a memory operand.
func memory(param string) Mem {
	p, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	return p.Addr
}

// steps returns the address n strides from a pointer, n from 0 to 3.
func steps(base, stride, stride3 Register, n int) Mem {
	switch n {
	case 0:
		return Mem{Base: base}
	case 3:
		return Mem{Base: base, Index: stride3, Scale: 1}
	}
	return Mem{Base: base, Index: stride, Scale: uint8(n)}
}

// mulAddTo adds a*b to sum, b being in memory.
func (m *machine) mulAddTo(sum, a VecVirtual, b Mem) {
	if m.rest == wholeVector {
		VFMADD231PS(b, a, sum)
		return
	}
	VFMADD231PS(m.load(b), a, sum)
}

// correlate emits the sum over the taps of a filter for a row of pixels, channel by channel. Eight pixels are computed at
// once, then four, two and one: each tap of the filter is loaded once for all of them, and that many sums hide the
// latency of the multiply-adds. Meanwhile the memory that the next row accesses first is prefetched, because a hardware
// prefetcher does not detect a pattern of rows: yAhead and xAhead are its distances from y and x.
func correlate(m *machine) {
	m.text("Correlate", "y, bias, x, w *float32, n, c, yStep, xStep, xTap, xSkip, wTap, wSkip, rows, columns, yAhead, xAhead int",
		"y = bias + the sum of x*w over rows x columns taps, for n pixels of c channels. The steps are in bytes.")
	y, x, i := pointer("y"), pointer("x"), GP64()
	xStep, xStep3 := pointer("xStep"), GP64()
	LEAQ(Mem{Base: xStep, Index: xStep, Scale: 2}, xStep3)
	xTap, wTap := pointer("xTap"), pointer("wTap")
	left, row := AllocLocal(8), AllocLocal(8)
	temporary := GP64()
	Load(Param("n"), temporary)
	MOVQ(temporary, left)
	for pixels := 8; pixels >= 1; pixels /= 2 {
		next, end := m.label("pixels"), m.label("fewer")
		Label(next)
		CMPQ(left, Imm(uint64(pixels)))
		JLT(LabelRef(end))
		m.walkIn(i, "c", func() {
			m.correlatePixels(pixels, y, x, i, xStep, xStep3, xTap, wTap, row)
		})
		for _, move := range []struct {
			p    Register
			step string
		}{{y, "yStep"}, {x, "xStep"}} {
			Load(Param(move.step), temporary)
			for p := pixels; p > 1; p /= 2 {
				ADDQ(temporary, temporary)
			}
			ADDQ(temporary, move.p)
		}
		SUBQ(Imm(uint64(pixels)), left)
		JMP(LabelRef(next))
		Label(end)
	}
	m.end()
}

// correlatePixels computes a vector of channels of a few pixels.
func (m *machine) correlatePixels(pixels int, y, x, i, xStep, xStep3, xTap, wTap Register, row Mem) {
	at, second, w, column := GP64(), GP64(), GP64(), GP64()
	Load(Param("bias"), at)
	sums := []VecVirtual{m.load(element(at, i))}
	for range pixels - 1 {
		sums = append(sums, m.copy(sums[0]))
	}
	Load(Param("w"), w)
	LEAQ(element(w, i), w)
	LEAQ(element(x, i), at)
	if pixels > 4 {
		LEAQ(Mem{Base: at, Index: xStep, Scale: 4}, second)
	}
	Load(Param("rows"), column)
	MOVQ(column, row)
	nextRow, nextColumn := m.label("row"), m.label("column")
	Label(nextRow)
	Load(Param("columns"), column)
	Label(nextColumn)
	tap := m.load(Mem{Base: w})
	for p, sum := range sums {
		if p < 4 {
			m.mulAddTo(sum, tap, steps(at, xStep, xStep3, p))
		} else {
			m.mulAddTo(sum, tap, steps(second, xStep, xStep3, p-4))
		}
	}
	ADDQ(xTap, at)
	if pixels > 4 {
		ADDQ(xTap, second)
	}
	ADDQ(wTap, w)
	DECQ(column)
	JNZ(LabelRef(nextColumn))
	ADDQ(memory("xSkip"), at)
	if pixels > 4 {
		ADDQ(memory("xSkip"), second)
	}
	ADDQ(memory("wSkip"), w)
	DECQ(row)
	JNZ(LabelRef(nextRow))
	LEAQ(element(y, i), at)
	Load(Param("yAhead"), column)
	for p, sum := range sums {
		m.store(sum, Mem{Base: at})
		PREFETCHT1(Mem{Base: at, Index: column, Scale: 1})
		if p < pixels-1 {
			ADDQ(memory("yStep"), at)
		}
	}
	LEAQ(element(x, i), at)
	ADDQ(memory("xAhead"), at)
	for p := range pixels {
		if p == 4 {
			LEAQ(Mem{Base: at, Index: xStep, Scale: 4}, at)
		}
		PREFETCHT1(steps(at, xStep, xStep3, p%4))
	}
}

// walkIn is walk with the number of elements in a parameter, for kernels that are short of registers.
func (m *machine) walkIn(i Register, param string, body func()) {
	next, rest, done := m.label("next"), m.label("rest"), m.label("done")
	lanes := uint64(m.lanes)
	count := GP64()
	XORQ(i, i)
	Label(next)
	LEAQ(Mem{Base: i, Disp: m.lanes}, count)
	CMPQ(count, memory(param))
	JGT(LabelRef(rest))
	body()
	ADDQ(Imm(lanes), i)
	JMP(LabelRef(next))
	Label(rest)
	Load(Param(param), count)
	SUBQ(i, count)
	JZ(LabelRef(done))
	m.rest = restMasked
	m.setMask(count)
	body()
	m.rest, m.mask = wholeVector, nil
	Label(done)
}

// correlateFilter emits the gradient of a few taps of a filter, channel by channel: the sums stay in registers for
// a row of pixels, and are added to dw at the end. Prefetching is as in correlate.
func correlateFilter(m *machine, rows, columns int) {
	m.text(fmt.Sprintf("CorrelateFilter%dx%d", rows, columns), "dw, dy, x *float32, n, c, yStep, xStep, xTap, xRow, wTap, wRow, yAhead, xAhead int",
		fmt.Sprintf("dw += the sum of dy*x over n pixels of c channels, for %d x %d taps. The steps are in bytes.", rows, columns))
	i, yStep, xStep := GP64(), pointer("yStep"), pointer("xStep")
	xTap, xTap3 := pointer("xTap"), GP64()
	if columns > 3 {
		LEAQ(Mem{Base: xTap, Index: xTap, Scale: 2}, xTap3)
	}
	m.walkIn(i, "c", func() {
		dy, left, at := GP64(), GP64(), GP64()
		taps := func(visit func(r, k int, w Mem)) {
			Load(Param("dw"), at)
			LEAQ(element(at, i), at)
			for r := range rows {
				if r > 0 {
					Load(Param("dw"), at)
					LEAQ(element(at, i), at)
					for range r {
						ADDQ(memory("wRow"), at)
					}
				}
				for k := range columns {
					visit(r, k, Mem{Base: at})
					if k < columns-1 {
						ADDQ(memory("wTap"), at)
					}
				}
			}
		}
		sums := make([]VecVirtual, rows*columns)
		for t := range sums {
			sums[t] = m.zero()
		}
		var x []Register
		for r := range rows {
			p := GP64()
			if r == 0 {
				Load(Param("x"), p)
				LEAQ(element(p, i), p)
			} else {
				MOVQ(x[r-1], p)
				ADDQ(memory("xRow"), p)
			}
			x = append(x, p)
		}
		Load(Param("dy"), dy)
		LEAQ(element(dy, i), dy)
		Load(Param("n"), left)
		yAhead, xAhead := pointer("yAhead"), pointer("xAhead")
		next := m.label("pixel")
		Label(next)
		d := m.load(Mem{Base: dy})
		PREFETCHT1(Mem{Base: dy, Index: yAhead, Scale: 1})
		PREFETCHT1(Mem{Base: x[0], Index: xAhead, Scale: 1})
		for r := range rows {
			for k := range columns {
				address := Mem{Base: x[r]}
				switch k {
				case 1, 2, 4:
					address = Mem{Base: x[r], Index: xTap, Scale: uint8(k)}
				case 3:
					address = Mem{Base: x[r], Index: xTap3, Scale: 1}
				}
				m.mulAddTo(sums[r*columns+k], d, address)
			}
			ADDQ(xStep, x[r])
		}
		ADDQ(yStep, dy)
		DECQ(left)
		JNZ(LabelRef(next))
		taps(func(r, k int, w Mem) { m.store(m.add(m.load(w), sums[r*columns+k]), w) })
	})
	m.end()
}

// correlations emits the kernels of depthwise convolution.
func correlations(m *machine) {
	correlate(m)
	for _, taps := range [][2]int{{3, 3}, {2, 5}, {1, 5}, {1, 4}, {1, 3}, {1, 2}, {1, 1}} {
		correlateFilter(m, taps[0], taps[1])
	}
}
