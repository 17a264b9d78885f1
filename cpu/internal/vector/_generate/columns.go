package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// eachRow emits body for rows of width elements, with n elements in all; the last row may
// be shorter. rows are the pointers that advance from row to row.
func (m *machine) eachRow(n, width Register, rows []Register, body func(length Register)) {
	next, done := m.label("row"), m.label("end")
	length := GP64()
	TESTQ(n, n)
	JZ(LabelRef(done))
	Label(next)
	MOVQ(n, length)
	CMPQ(length, width)
	CMOVQGT(width, length)
	body(length)
	for _, p := range rows {
		LEAQ(element(p, length), p)
	}
	SUBQ(length, n)
	JNZ(LabelRef(next))
	Label(done)
}

// affine emits y = scale*x + shift, optionally with ReLU after it.
func affine(m *machine, relu bool) {
	name, doc := "Affine", "y = scale*x + shift, column by column."
	if relu {
		name, doc = "AffineReLU", "y = max(scale*x + shift, 0), column by column."
	}
	m.text(name, "y, x *float32, n int, scale, shift *float32, width int", doc)
	y, x, n := pointer("y"), pointer("x"), pointer("n")
	scale, shift, width := pointer("scale"), pointer("shift"), pointer("width")
	zero := m.zero()
	m.eachRow(n, width, []Register{y, x}, func(length Register) {
		m.walk(length, false, func(i Register) {
			z := m.affine(m.load(element(x, i)), element(scale, i), element(shift, i))
			if relu {
				z = m.relu(z, zero)
			}
			m.store(z, element(y, i))
		})
	})
	m.end()
}

// affine returns scale*x + shift. Forward and backward must round it alike, because ReLU
// depends on its sign.
func (m *machine) affine(x VecVirtual, scale, shift Mem) VecVirtual {
	z := m.load(scale)
	VFMADD213PS(m.load(shift), x, z)
	return z
}

// combineAffine emits dx = a*dz + b*x + e, where dz is dy, or dy after ReLU's backward
// pass.
func combineAffine(m *machine, relu bool) {
	name, doc, signature := "CombineAffine", "dx = a*dy + (b*x + e), column by column.", "a, b, e *float32"
	if relu {
		name, doc = "CombineAffineReLU", "is CombineAffine of dy where scale*x + shift > 0, else 0."
		signature = "a, b, e, scale, shift *float32"
	}
	m.text(name, "dx, dy, x *float32, n int, "+signature+", width int", doc)
	dx, dy, x, n := pointer("dx"), pointer("dy"), pointer("x"), pointer("n")
	a, b, e, width := pointer("a"), pointer("b"), pointer("e"), pointer("width")
	var scale, shift Register
	if relu {
		scale, shift = pointer("scale"), pointer("shift")
	}
	zero := m.zero()
	m.eachRow(n, width, []Register{dx, dy, x}, func(length Register) {
		m.walk(length, false, func(i Register) {
			v, d := m.load(element(x, i)), m.load(element(dy, i))
			if relu {
				d = m.where(m.compare(greater, m.affine(v, element(scale, i), element(shift, i)), zero), d)
			}
			sum := m.load(element(e, i))
			VFMADD231PS(m.load(element(b, i)), v, sum)
			VFMADD231PS(m.load(element(a, i)), d, sum)
			m.store(sum, element(dx, i))
		})
	})
	m.end()
}

// columnSums is one of the kernels that sum columns in float64.
type columnSums struct {
	name, doc string
	second    bool // there are two sums per column
	products  bool // sums of dz and dz*x; otherwise of x and x^2
	gated     bool // dz is dy where scale*x + shift > 0
}

// rowsAtOnce is the number of rows that are added per load and store of the sums.
const rowsAtOnce = 4

// emit writes the kernel: groups of rows first, then single rows, then a shorter row. A
// column group is as many columns as a vector holds float64s.
func (k columnSums) emit(m *machine) {
	signature := "sum *float64, width int, x *float32, n int"
	if k.second {
		signature = "sum, second *float64, width int, x *float32, n int"
	}
	if k.products {
		signature += ", dy *float32"
	}
	if k.gated {
		signature += ", scale, shift *float32"
	}
	m.text(k.name, signature, k.doc)
	s := sums{columnSums: k, machine: m, x: pointer("x"), n: pointer("n")}
	if k.products {
		s.dy = pointer("dy")
	}
	s.stride, s.stride3 = pointer("width"), GP64()
	SHLQ(Imm(2), s.stride)
	LEAQ(Mem{Base: s.stride, Index: s.stride, Scale: 2}, s.stride3)
	groups, singles, done := m.label("groups"), m.label("singles"), m.label("end")
	rest := GP64()

	Label(groups)
	Load(Param("width"), rest)
	SHLQ(Imm(2), rest)
	CMPQ(s.n, rest)
	JLT(LabelRef(singles))
	s.rows(rowsAtOnce)
	JMP(LabelRef(groups))
	Label(singles)
	TESTQ(s.n, s.n)
	JZ(LabelRef(done))
	s.rows(1)
	JMP(LabelRef(singles))
	Label(done)
	m.end()
}

// sums holds the registers of a kernel that sums columns.
type sums struct {
	columnSums
	*machine
	x, dy, n        Register
	stride, stride3 Register // of rows, in bytes
	sum, second     Register
	scale, shift    Register
}

// doubles is the number of float64s in a vector.
func (s *sums) doubles() int { return s.lanes / 2 }

// rows adds count rows, or the rest of a shorter row, and advances to the next.
func (s *sums) rows(count int) {
	// s.sum and the like advance along the columns, and begin again for each group of
	// rows.
	s.sum = pointer("sum")
	if s.columnSums.second {
		s.second = pointer("second")
	}
	if s.gated {
		s.scale, s.shift = pointer("scale"), pointer("shift")
	}
	left := pointer("width")
	if count == 1 {
		CMPQ(s.n, left)
		CMOVQLT(s.n, left)
		SUBQ(left, s.n)
	} else {
		whole := GP64()
		MOVQ(left, whole)
		SHLQ(Imm(2), whole)
		SUBQ(whole, s.n)
	}
	next, rest, done := s.label("next"), s.label("rest"), s.label("done")
	width := uint64(s.doubles())
	Label(next)
	SUBQ(Imm(width), left)
	JLT(LabelRef(rest))
	s.columns(count, nil)
	s.advance(width)
	JMP(LabelRef(next))
	Label(rest)
	ADDQ(Imm(width), left)
	JZ(LabelRef(done))
	s.columns(count, left)
	for _, p := range s.pointers() {
		LEAQ(Mem{Base: p, Index: left, Scale: 4}, p)
	}
	Label(done)
	if count > 1 {
		for _, p := range s.pointers() {
			ADDQ(s.stride3, p)
		}
	}
}

// pointers returns the pointers to the rows.
func (s *sums) pointers() []Register {
	if s.products {
		return []Register{s.x, s.dy}
	}
	return []Register{s.x}
}

// advance moves the pointers by n columns.
func (s *sums) advance(n uint64) {
	for _, p := range s.pointers() {
		ADDQ(Imm(4*n), p)
	}
	ADDQ(Imm(8*n), s.sum)
	if s.columnSums.second {
		ADDQ(Imm(8*n), s.second)
	}
	if s.gated {
		ADDQ(Imm(4*n), s.scale)
		ADDQ(Imm(4*n), s.shift)
	}
}

// row returns the address of row r, counted from a pointer.
func (s *sums) row(p Register, r int) Mem {
	switch r {
	case 0:
		return Mem{Base: p}
	case 3:
		return Mem{Base: p, Index: s.stride3, Scale: 1}
	}
	return Mem{Base: p, Index: s.stride, Scale: uint8(r)}
}

// columns adds one column group of count rows. left is the number of columns in the
// group, nil for all.
func (s *sums) columns(count int, left Register) {
	var masks columnMasks
	if left != nil {
		masks = s.columnMasks(left)
	}
	sum := s.loadDoubles(s.sum, masks)
	var second VecVirtual
	if s.columnSums.second {
		second = s.loadDoubles(s.second, masks)
	}
	var scale, shift, zero VecVirtual
	if s.gated {
		scale, shift, zero = s.loadHalf(Mem{Base: s.scale}, masks), s.loadHalf(Mem{Base: s.shift}, masks), s.halfVector()
		VXORPS(zero, zero, zero)
	}
	for r := range count {
		x := s.loadHalf(s.row(s.x, r), masks)
		if !s.products {
			v := s.widen(x)
			VADDPD(v, sum, sum)
			if s.columnSums.second {
				VFMADD231PD(v, v, second)
			}
			continue
		}
		dy := s.loadHalf(s.row(s.dy, r), masks)
		if s.gated {
			z := s.halfVector()
			VMOVAPS(scale, z)
			VFMADD213PS(shift, x, z)
			dy = s.gate(dy, z, zero)
		}
		d, v := s.widen(dy), s.widen(x)
		VADDPD(d, sum, sum)
		VFMADD231PD(d, v, second)
	}
	s.storeDoubles(sum, s.sum, masks)
	if s.columnSums.second {
		s.storeDoubles(second, s.second, masks)
	}
}

// gate returns dy where z > 0, else 0.
func (s *sums) gate(dy, z, zero VecVirtual) VecVirtual {
	v := s.halfVector()
	if s.wide {
		k := K()
		VCMPPS(Imm(greater), zero, z, k)
		VMOVAPS_Z(dy, k, v)
		return v
	}
	VCMPPS(Imm(greater), zero, z, v)
	VANDPS(dy, v, v)
	return v
}

// halfVector returns a register for as many float32s as a vector holds float64s.
func (m *machine) halfVector() VecVirtual {
	if m.wide {
		return YMM()
	}
	return XMM()
}

// widen converts float32s to float64s.
func (m *machine) widen(v Op) VecVirtual {
	d := m.vector()
	VCVTPS2PD(v, d)
	return d
}

// columnMasks selects the columns of a shorter group, as float32s and as float64s.
type columnMasks struct{ singles, doubles Register }

// columnMasks returns the masks for the lowest count columns.
func (m *machine) columnMasks(count Register) columnMasks {
	if m.wide {
		m.setMask(count)
		return columnMasks{m.mask, m.mask}
	}
	// Each mask is four lanes of the table, of which count come before its first zero:
	// lanes of one word for float32s, and of two words for float64s.
	at, back := GP64(), GP64()
	LEAQ(laneTable(), at)
	MOVQ(count, back)
	NEGQ(back)
	singles, doubles := XMM(), YMM()
	VMOVDQU(Mem{Base: at, Index: back, Scale: 4, Disp: 32}, singles)
	VMOVDQU(Mem{Base: at, Index: back, Scale: 8, Disp: 32}, doubles)
	return columnMasks{singles, doubles}
}

func (m *machine) loadHalf(at Mem, masks columnMasks) VecVirtual {
	v := m.halfVector()
	switch {
	case masks.singles == nil:
		VMOVUPS(at, v)
	case m.wide:
		VMOVUPS_Z(at, masks.singles, v)
	default:
		VMASKMOVPS(at, masks.singles, v)
	}
	return v
}

func (m *machine) loadDoubles(p Register, masks columnMasks) VecVirtual {
	v := m.vector()
	switch {
	case masks.doubles == nil:
		VMOVUPD(Mem{Base: p}, v)
	case m.wide:
		VMOVUPD_Z(Mem{Base: p}, masks.doubles, v)
	default:
		VMASKMOVPD(Mem{Base: p}, masks.doubles, v)
	}
	return v
}

func (m *machine) storeDoubles(v VecVirtual, p Register, masks columnMasks) {
	switch {
	case masks.doubles == nil:
		VMOVUPD(v, Mem{Base: p})
	case m.wide:
		VMOVUPD(v, masks.doubles, Mem{Base: p})
	default:
		VMASKMOVPD(v, masks.doubles, Mem{Base: p})
	}
}
