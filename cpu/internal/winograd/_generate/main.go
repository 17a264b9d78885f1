// Command generate writes the transforms of package winograd for amd64:
//
//	go run . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg winograd
//
// Each is emitted twice, for AVX-512F and for AVX2 with FMA. A vector holds as many channels as
// it has lanes. The remaining channels, fewer than a vector, go through a second copy of the body
// under a mask, so that no element outside the operands is read or written.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The points of the transforms: 0, +-a, +-b and infinity. All constants derived from them, except
// the reciprocals, are exact in float32. The comment of package winograd explains the choice.
const (
	pointA = 0.75
	pointB = 1.5
	points = 6

	a2, b2  = pointA * pointA, pointB * pointB
	weight0 = 1 / (a2 * b2)
	weightA = 1 / (2 * a2 * (a2 - b2))
	weightB = 1 / (2 * b2 * (b2 - a2))
)

func main() {
	ConstraintExpr("amd64,!noasm")
	for _, m := range []*machine{{set: "avx512", lanes: 16}, {set: "avx2", lanes: 8}} {
		m.emitInput()
		for r := 2; r <= 5; r++ {
			m.emitFilterTransform(r)
		}
		for r := 2; r <= 5; r++ {
			m.emitOutputTransform(r)
		}
	}
	Generate()
}

// machine is an instruction set and the current kernel.
type machine struct {
	set    string
	lanes  int
	masked bool // emitting the copy of the body for the last channels
	mask   VecVirtual
	fixed  map[float32]VecVirtual // constants in registers
}

func (m *machine) vector() VecVirtual {
	if m.lanes == 16 {
		return ZMM()
	}
	return YMM()
}

// constants keeps values in registers, if there are enough registers.
func (m *machine) constants(values ...float64) {
	m.fixed = map[float32]VecVirtual{}
	if m.lanes == 8 {
		return
	}
	for _, v := range values {
		r := m.vector()
		VBROADCASTSS(memory(v), r)
		m.fixed[float32(v)] = r
	}
}

// constant returns v in all lanes, as a register or in memory.
func (m *machine) constant(v float64) Op {
	if r, ok := m.fixed[float32(v)]; ok {
		return r
	}
	if m.lanes == 16 {
		panic(fmt.Sprintf("constant %v is not prepared", v))
	}
	return memory(v)
}

var table = map[float32]Mem{}

// memory returns the address of copies of v.
func memory(v float64) Mem {
	key := float32(v)
	if m, ok := table[key]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("value%d", len(table)), RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, F32(key))
	}
	table[key] = m
	return m
}

// load reads a vector of channels, or the remaining channels.
func (m *machine) load(from Mem) VecVirtual {
	r := m.vector()
	switch {
	case !m.masked:
		VMOVUPS(from, r)
	case m.lanes == 16:
		VMOVUPS_Z(from, K1, r)
	default:
		VMASKMOVPS(from, m.mask, r)
	}
	return r
}

func (m *machine) store(r VecVirtual, to Mem) {
	switch {
	case !m.masked:
		VMOVUPS(r, to)
	case m.lanes == 16:
		VMOVUPS(r, K1, to)
	default:
		VMASKMOVPS(r, m.mask, to)
	}
}

// The scratch memory always holds whole vectors.
func (m *machine) spill(r VecVirtual, to Mem) { VMOVAPS(r, to) }
func (m *machine) fill(from Mem) VecVirtual {
	r := m.vector()
	VMOVAPS(from, r)
	return r
}

func (m *machine) copy(x VecVirtual) VecVirtual {
	r := m.vector()
	VMOVAPS(x, r)
	return r
}

func (m *machine) add(x, y VecVirtual) VecVirtual {
	r := m.vector()
	VADDPS(y, x, r)
	return r
}

func (m *machine) sub(x, y VecVirtual) VecVirtual {
	r := m.vector()
	VSUBPS(y, x, r)
	return r
}

func (m *machine) times(x VecVirtual, v float64) VecVirtual {
	r := m.vector()
	VMULPS(m.constant(v), x, r)
	return r
}

// plus computes acc + x*v, in place.
func (m *machine) plus(acc, x VecVirtual, v float64) VecVirtual {
	VFMADD231PS(m.constant(v), x, acc)
	return acc
}

// minus computes acc - x*v, in place.
func (m *machine) minus(acc, x VecVirtual, v float64) VecVirtual {
	VFNMADD231PS(m.constant(v), x, acc)
	return acc
}

// butterfly returns e + x*v and e - x*v.
func (m *machine) butterfly(e, x VecVirtual, v float64) (VecVirtual, VecVirtual) {
	low := m.copy(e)
	return m.plus(e, x, v), m.minus(low, x, v)
}

// line is a transform of one row or column.
type line func(x []VecVirtual) []VecVirtual

// input is B^T x. The row for point p holds the coefficients of the product of (z - q) over the
// other points q; the row for infinity, of the product over all finite points.
func (m *machine) input(x []VecVirtual) []VecVirtual {
	even := func(square float64) VecVirtual { return m.minus(m.copy(x[4]), x[2], square) }
	odd := func(square float64) VecVirtual { return m.minus(m.copy(x[3]), x[1], square) }
	zero := m.plus(m.minus(m.copy(x[4]), x[2], a2+b2), x[0], a2*b2)
	upA, downA := m.butterfly(even(b2), odd(b2), pointA)
	upB, downB := m.butterfly(even(a2), odd(a2), pointB)
	infinity := m.plus(m.minus(m.copy(x[5]), x[3], a2+b2), x[1], a2*b2)
	return []VecVirtual{zero, upA, downA, upB, downB, infinity}
}

// filterTransform is G x: the polynomial with the coefficients x, evaluated at each point and
// divided by the product of the point's distances from the other points.
func (m *machine) filterTransform(x []VecVirtual) []VecVirtual {
	// every second coefficient, from the first on
	half := func(first int, point, weight float64) VecVirtual {
		sum := m.times(x[first], weight)
		for j := first + 2; j < len(x); j += 2 {
			weight *= point * point
			m.plus(sum, x[j], weight)
		}
		return sum
	}
	pair := func(point, weight float64) (VecVirtual, VecVirtual) {
		even, odd := half(0, point, weight), half(1, point, weight*point)
		return m.add(even, odd), m.sub(even, odd)
	}
	zero := m.times(x[0], weight0)
	upA, downA := pair(pointA, weightA)
	upB, downB := pair(pointB, weightB)
	return []VecVirtual{zero, upA, downA, upB, downB, m.copy(x[len(x)-1])}
}

// filterConstants returns the constants that filterTransform multiplies r elements by.
func filterConstants(r int) []float64 {
	values := []float64{weight0}
	for _, p := range []struct{ point, weight float64 }{{pointA, weightA}, {pointB, weightB}} {
		weight := p.weight
		for range r {
			values = append(values, weight)
			weight *= p.point
		}
	}
	return values
}

// outputTransform is A^T x with n results: result j is the sum of p^j x over the points p, and
// infinity counts only in the last result.
func (m *machine) outputTransform(x []VecVirtual, n int) []VecVirtual {
	sumA, sumB := m.add(x[1], x[2]), m.add(x[3], x[4])
	differenceA, differenceB := m.sub(x[1], x[2]), m.sub(x[3], x[4])
	y := []VecVirtual{m.add(m.add(x[0], sumA), sumB)}
	powerA, powerB := 1.0, 1.0
	for j := 1; j < n; j++ {
		powerA, powerB = powerA*pointA, powerB*pointB
		ofA, ofB := sumA, sumB
		if j%2 == 1 {
			ofA, ofB = differenceA, differenceB
		}
		v := m.times(ofA, powerA)
		m.plus(v, ofB, powerB)
		if j == n-1 {
			v = m.add(v, x[5])
		}
		y = append(y, v)
	}
	return y
}

func outputConstants(n int) []float64 {
	var values []float64
	powerA, powerB := 1.0, 1.0
	for j := 1; j < n; j++ {
		powerA, powerB = powerA*pointA, powerB*pointB
		values = append(values, powerA, powerB)
	}
	return values
}

// stride addresses up to six places; the register `one` holds the bytes between them.
type stride struct{ one, three, five Register }

func newStride(parameter string) stride {
	s := stride{GP64(), GP64(), GP64()}
	Load(Param(parameter), s.one)
	SHLQ(Imm(2), s.one)
	LEAQ(Mem{Base: s.one, Index: s.one, Scale: 2}, s.three)
	LEAQ(Mem{Base: s.one, Index: s.one, Scale: 4}, s.five)
	return s
}

func (s stride) at(base Register, i int) Mem {
	switch i {
	case 0:
		return Mem{Base: base}
	case 1, 2, 4:
		return Mem{Base: base, Index: s.one, Scale: uint8(i)}
	case 3:
		return Mem{Base: base, Index: s.three, Scale: 1}
	}
	return Mem{Base: base, Index: s.five, Scale: 1}
}

// move adds n strides to base.
func (s stride) move(base Register, n int) {
	switch n {
	case 1:
		ADDQ(s.one, base)
	case 6:
		LEAQ(Mem{Base: base, Index: s.three, Scale: 2}, base)
	default:
		panic("no such step")
	}
}

// grid is an operand of rows x columns vectors with any distances between rows and between
// columns.
type grid struct {
	base         Register
	rows, column stride
}

// walk emits body for whole vectors of channels, then for the rest; after each vector the
// operands advance by a vector.
func (m *machine) walk(body func(), pointers ...Register) {
	n := Load(Param("n"), GP64())
	whole, rest, done := "whole", "rest", "done"
	Label(whole)
	CMPQ(n, Imm(uint64(m.lanes)))
	JLT(LabelRef(rest))
	m.masked = false
	body()
	for _, p := range pointers {
		ADDQ(Imm(uint64(4*m.lanes)), p)
	}
	SUBQ(Imm(uint64(m.lanes)), n)
	JMP(LabelRef(whole))
	Label(rest)
	TESTQ(n, n)
	JZ(LabelRef(done))
	m.masked = true
	if m.lanes == 16 {
		MOVQ(n, RCX)
		bits := GP32()
		MOVL(U32(1), bits)
		SHLL(CL, bits)
		DECL(bits)
		KMOVW(bits, K1)
	} else {
		address := GP64()
		LEAQ(maskTable(), address)
		NEGQ(n)
		m.mask = m.vector()
		VMOVDQU(Mem{Base: address, Index: n, Scale: 4, Disp: 32}, m.mask)
	}
	body()
	Label(done)
	VZEROUPPER()
	RET()
}

var lanes Mem

// maskTable is 8 words of ones, then 8 of zeros.
func maskTable() Mem {
	if lanes.Base != nil {
		return lanes
	}
	lanes = GLOBL("lanes", RODATA|NOPTR)
	for i := range 16 {
		v := uint32(0)
		if i < 8 {
			v = 0xFFFFFFFF
		}
		DATA(4*i, U32(v))
	}
	return lanes
}

// slot returns the address of element (i, j) of the scratch memory, which has rows of six
// vectors.
func (m *machine) slot(scratch Register, i, j int) Mem {
	return Mem{Base: scratch, Disp: 4 * m.lanes * (points*i + j)}
}

// columns transforms the columns of a grid of size x count, and keeps them in scratch.
func (m *machine) columns(g grid, size, count int, scratch Register, transform line) {
	base := GP64()
	MOVQ(g.base, base)
	for j := range count {
		x := make([]VecVirtual, size)
		for i := range x {
			x[i] = m.load(g.rows.at(base, i))
		}
		for i, v := range transform(x) {
			m.spill(v, m.slot(scratch, i, j))
		}
		if j+1 < count {
			g.column.move(base, 1)
		}
	}
}

// row reads back a row of scratch.
func (m *machine) row(scratch Register, i, count int) []VecVirtual {
	x := make([]VecVirtual, count)
	for j := range x {
		x[j] = m.fill(m.slot(scratch, i, j))
	}
	return x
}

// text begins a kernel.
func (m *machine) text(name, parameters, doc string) {
	TEXT(m.set+name, NOSPLIT, "func("+parameters+", n int, scratch *float32)")
	Doc(doc)
}

func pointer(name string) Register { return Load(Param(name), GP64()) }

// emitInput: v = B^T x B.
func (m *machine) emitInput() {
	m.text("InputTransform", "v *float32, stepV int, x *float32, rowX, columnX int",
		"Writes the 6 x 6 values of a tile of 6 x 6 pixels, n channels each.")
	m.constants(a2, b2, a2+b2, a2*b2, pointA, pointB)
	m.toTile(6, m.input)
}

// emitFilterTransform: v = G x G^T.
func (m *machine) emitFilterTransform(r int) {
	m.text(fmt.Sprintf("FilterTransform%d", r), "v *float32, stepV int, x *float32, rowX, columnX int",
		fmt.Sprintf("Writes the 6 x 6 values of %[1]d x %[1]d coefficients, n channels each.", r))
	m.constants(filterConstants(r)...)
	m.toTile(r, m.filterTransform)
}

// toTile emits a transform of size x size to 6 x 6.
func (m *machine) toTile(size int, transform line) {
	x := grid{pointer("x"), newStride("rowX"), newStride("columnX")}
	v, stepV := pointer("v"), newStride("stepV")
	scratch := pointer("scratch")
	m.walk(func() {
		m.columns(x, size, size, scratch, transform)
		to := GP64()
		MOVQ(v, to)
		for i := range points {
			for j, y := range transform(m.row(scratch, i, size)) {
				m.store(y, stepV.at(to, j))
			}
			if i+1 < points {
				stepV.move(to, 6)
			}
		}
	}, x.base, v)
}

// emitOutputTransform: y = max(A^T v A + bias, floor).
func (m *machine) emitOutputTransform(size int) {
	m.text(fmt.Sprintf("OutputTransform%d", size), "y *float32, rowY, columnY int, v *float32, stepV int, bias *float32, floor float32",
		fmt.Sprintf("Writes %[1]d x %[1]d pixels made of 6 x 6 values, n channels each, with the bias added and no less than floor.", size))
	m.constants(outputConstants(size)...)
	y := grid{pointer("y"), newStride("rowY"), newStride("columnY")}
	v, stepV, bias := pointer("v"), newStride("stepV"), pointer("bias")
	scratch := pointer("scratch")
	floor, low := m.vector(), XMM()
	Load(Param("floor"), low)
	VBROADCASTSS(low, floor)
	transform := func(x []VecVirtual) []VecVirtual { return m.outputTransform(x, size) }
	m.walk(func() {
		from := GP64()
		MOVQ(v, from)
		// The values are stored row after row. So the first transform takes rows, and stores its
		// results in columns of scratch.
		for i := range points {
			x := make([]VecVirtual, points)
			for j := range x {
				x[j] = m.load(stepV.at(from, j))
			}
			for j, value := range transform(x) {
				m.spill(value, m.slot(scratch, j, i))
			}
			if i+1 < points {
				stepV.move(from, 6)
			}
		}
		to := GP64()
		MOVQ(y.base, to)
		for j := range size {
			offset := m.load(Mem{Base: bias})
			for i, value := range transform(m.row(scratch, j, points)) {
				VADDPS(offset, value, value)
				VMAXPS(value, floor, value)
				m.store(value, y.rows.at(to, i))
			}
			if j+1 < size {
				y.column.move(to, 1)
			}
		}
	}, y.base, v, bias)
}
