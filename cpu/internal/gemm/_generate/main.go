// Command generate writes the micro-kernels of the packed matrix product for amd64:
//
//	go run . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg gemm
//
// A micro-kernel adds the product of a few rows of A and a few vectors of B to a tile of
// C that stays in registers while it runs over k:
//
//	C[i][j] += sum_k A[i][k] * B[k][j],   0 <= i < mr, 0 <= j < n
//
// With set it overwrites the tile instead, and adds the bias if there is one. k runs in
// segments, after each of which A and B advance by a step of their own: with the rows of a
// filter, or of an image, as segments, a convolution needs no im2col matrix.
//
// There is one micro-kernel for each number of rows up to the largest tile that fits in the
// registers, for one and for two vectors of columns, and for A by rows (N) and by columns
// (T). The last vector is masked, so no element outside the n columns is read or written.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	for _, trans := range []bool{false, true} {
		for vectors := 1; vectors <= 2; vectors++ {
			for mr := 1; mr <= 14; mr++ {
				avx512(mr, vectors, trans)
			}
			for mr := 1; mr <= 6; mr++ {
				avx2(mr, vectors, trans, true)
			}
		}
		for mr := 1; mr <= 6; mr++ {
			avx2(mr, 2, trans, false)
		}
	}
	peak("avx512", []VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11})
	peak("avx2", []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11})
	Generate()
}

// name returns a name such as avx512N14x2: instruction set, layout of A, rows x vectors.
func name(set string, mr, vectors int, trans bool) string {
	layout := "N"
	if trans {
		layout = "T"
	}
	return fmt.Sprintf("%s%s%dx%d", set, layout, mr, vectors)
}

// unroll is the number of steps of k per iteration of the main loop.
const unroll = 4

// operandA computes the addresses of the elements of A. In layout N, rows are lda apart and
// a step of k is one element; in layout T, rows are adjacent and a step of k is lda
// elements.
type operandA struct {
	trans   bool
	mr      int
	rows    []Register // N: the addresses of rows 0, 4, 8, 12
	s, s3   Register   // lda and 3*lda, in bytes
	current Register   // T: the address of column k
}

func loadA(mr int, trans bool) *operandA {
	a := &operandA{trans: trans, mr: mr, s: GP64()}
	base := Load(Param("a"), GP64())
	Load(Param("lda"), a.s.(GPVirtual))
	SHLQ(Imm(2), a.s.(GPVirtual))
	if trans {
		a.current = base
		return a
	}
	a.rows = append(a.rows, base)
	if mr > 3 {
		a.s3 = GP64()
		LEAQ(Mem{Base: a.s, Index: a.s, Scale: 2}, a.s3)
	}
	for r := 4; r < mr; r += 4 {
		next := GP64()
		LEAQ(Mem{Base: a.rows[len(a.rows)-1], Index: a.s, Scale: 4}, next)
		a.rows = append(a.rows, next)
	}
	return a
}

// at returns the address of the element in row i at step k of the group.
func (a *operandA) at(i, k int) Op {
	if a.trans {
		return Mem{Base: a.current, Disp: 4 * i}
	}
	m := Mem{Base: a.rows[i/4], Disp: 4 * k}
	switch i % 4 {
	case 1:
		m.Index, m.Scale = a.s, 1
	case 2:
		m.Index, m.Scale = a.s, 2
	case 3:
		m.Index, m.Scale = a.s3, 1
		if a.s3 == nil {
			panic("s3 unset")
		}
	}
	return m
}

// step advances by one k, and group by a group of them.
func (a *operandA) step() {
	if a.trans {
		ADDQ(a.s, a.current)
	}
}

// add advances by the bytes in a register.
func (a *operandA) add(bytes Register) {
	if a.trans {
		ADDQ(bytes, a.current)
		return
	}
	for _, r := range a.rows {
		ADDQ(bytes, r)
	}
}

func (a *operandA) group(steps int) {
	if a.trans {
		return
	}
	for _, r := range a.rows {
		ADDQ(Imm(uint64(4*steps)), r)
	}
}

// loop emits body for every k of every segment: in groups of unroll steps, then in single
// steps.
func loop(a *operandA, b, ldb Register, body func(step int)) {
	segment, groups, singles, done := "segment", "groups", "singles", "done"
	// restA and restB are what remains to be added to A and B at the end of a segment: the
	// distance from the beginning of one segment to the beginning of the next, minus what
	// the steps of k have added.
	k := Load(Param("k"), GP64())
	restA, restB := Load(Param("stepA"), GP64()), Load(Param("stepB"), GP64())
	SHLQ(Imm(2), restA)
	SHLQ(Imm(2), restB)
	passed := GP64()
	MOVQ(k, passed)
	if a.trans {
		IMULQ(a.s, passed)
	} else {
		SHLQ(Imm(2), passed)
	}
	SUBQ(passed, restA)
	MOVQ(k, passed)
	IMULQ(ldb, passed)
	SUBQ(passed, restB)
	segments := Load(Param("segments"), GP64())

	Label(segment)
	Load(Param("k"), k)
	Label(groups)
	CMPQ(k, Imm(unroll))
	JLT(LabelRef(singles))
	for step := 0; step < unroll; step++ {
		body(step)
		a.step()
		ADDQ(ldb, b)
	}
	a.group(unroll)
	SUBQ(Imm(unroll), k)
	JMP(LabelRef(groups))
	Label(singles)
	TESTQ(k, k)
	JZ(LabelRef(done))
	body(0)
	a.step()
	ADDQ(ldb, b)
	a.group(1)
	DECQ(k)
	JMP(LabelRef(singles))
	Label(done)
	a.add(restA)
	ADDQ(restB, b)
	DECQ(segments)
	JNZ(LabelRef(segment))
}

const signature = "func(segments, k int, a *float32, lda, stepA int, b *float32, ldb, stepB int, c *float32, ldc int, n int, set int, bias *float32)"

// avx512 emits a kernel with mr x vectors accumulators of 16 lanes: for the largest tile
// these take 28 of the 32 registers; two more are for B, and two for broadcasts of A.
func avx512(mr, vectors int, trans bool) {
	TEXT(name("avx512", mr, vectors, trans), NOSPLIT, signature)
	Doc(fmt.Sprintf("C[%d x n] += A B, or = bias + A B, with AVX-512F, %d < n <= %d.", mr, 16*(vectors-1), 16*vectors))
	z := [...]VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31}
	acc := func(i, v int) VecPhysical { return z[i*vectors+v] }

	// The mask of the last vector: the lower n - 16*(vectors-1) bits.
	count := Load(Param("n"), GP64())
	if vectors == 2 {
		SUBQ(Imm(16), count)
	}
	MOVQ(count, RCX)
	mask := GP32()
	MOVL(U32(1), mask)
	SHLL(CL, mask)
	DECL(mask)
	KMOVW(mask, K1)

	a := loadA(mr, trans)
	b := Load(Param("b"), GP64())
	ldb := Load(Param("ldb"), GP64())
	SHLQ(Imm(2), ldb)

	// forC visits the tile, row by row.
	forC := func(visit func(i, v int, m Mem)) {
		c := Load(Param("c"), GP64())
		ldc := Load(Param("ldc"), GP64())
		SHLQ(Imm(2), ldc)
		for i := 0; i < mr; i++ {
			for v := 0; v < vectors; v++ {
				visit(i, v, Mem{Base: c, Disp: 64 * v})
			}
			if i+1 < mr {
				ADDQ(ldc, c)
			}
		}
	}
	begin(func(bias Register) {
		for v := 0; v < vectors; v++ {
			m := Mem{Base: bias, Disp: 64 * v}
			if v == vectors-1 {
				VMOVUPS_Z(m, K1, acc(0, v))
			} else {
				VMOVUPS(m, acc(0, v))
			}
		}
		for i := 1; i < mr; i++ {
			for v := 0; v < vectors; v++ {
				VMOVAPS(acc(0, v), acc(i, v))
			}
		}
	}, func() {
		for i := 0; i < mr; i++ {
			for v := 0; v < vectors; v++ {
				VPXORD(acc(i, v), acc(i, v), acc(i, v))
			}
		}
		// C is only needed at the end: prefetch its cache lines now.
		forC(func(_, _ int, m Mem) { PREFETCHT0(m) })
	})

	loop(a, b, ldb, func(step int) {
		for v := 0; v < vectors; v++ {
			m := Mem{Base: b, Disp: 64 * v}
			if v == vectors-1 {
				VMOVUPS_Z(m, K1, z[28+v])
			} else {
				VMOVUPS(m, z[28+v])
			}
		}
		for i := 0; i < mr; i++ {
			t := z[30+i%2]
			VBROADCASTSS(a.at(i, step), t)
			for v := 0; v < vectors; v++ {
				VFMADD231PS(z[28+v], t, acc(i, v))
			}
		}
	})
	// A masked store delays every load that overlaps its whole vector, so all loads come
	// first.
	finish(func() {
		forC(func(i, v int, m Mem) {
			if v == vectors-1 {
				VMOVUPS_Z(m, K1, Z31)
				VADDPS(Z31, acc(i, v), acc(i, v))
				return
			}
			VADDPS(m, acc(i, v), acc(i, v))
		})
	}, func() {
		forC(func(i, v int, m Mem) {
			if v == vectors-1 {
				VMOVUPS(acc(i, v), K1, m)
				return
			}
			VMOVUPS(acc(i, v), m)
		})
	})
}

// begin emits the two ways to start the sums.
func begin(fromBias func(bias Register), fromZero func()) {
	bias := Load(Param("bias"), GP64())
	TESTQ(bias, bias)
	JNZ(LabelRef("biased"))
	fromZero()
	JMP(LabelRef("begun"))
	Label("biased")
	fromBias(bias)
	Label("begun")
}

// finish emits the end: it adds C, unless the product overwrites it, and stores the tile.
func finish(add, store func()) {
	set := Load(Param("set"), GP64())
	TESTQ(set, set)
	JNZ(LabelRef("store"))
	add()
	Label("store")
	store()
	VZEROUPPER()
	RET()
}

// avx2 emits a kernel with mr x vectors accumulators of 8 lanes: for the largest tile these
// take 12 of the 16 registers; two more are for B, one is for a broadcast of A and one for
// the mask. Masked loads are slow on some processors, so full vectors have kernels without
// a mask.
func avx2(mr, vectors int, trans, masked bool) {
	if masked {
		TEXT(name("avx2", mr, vectors, trans), NOSPLIT, signature)
		Doc(fmt.Sprintf("C[%d x n] += A B, or = bias + A B, with AVX2 and FMA, %d < n <= %d.", mr, 8*(vectors-1), 8*vectors))
	} else {
		TEXT(name("avx2", mr, vectors, trans)+"full", NOSPLIT, signature)
		Doc(fmt.Sprintf("C[%d x n] += A B, or = bias + A B, with AVX2 and FMA, n = %d.", mr, 8*vectors))
	}
	y := [...]VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}
	acc := func(i, v int) VecPhysical { return y[i*vectors+v] }
	mask := Y15

	if masked {
		// The mask of the last vector: 8 words from a table of 8 ones and 8 zeros.
		count := Load(Param("n"), GP64())
		if vectors == 2 {
			SUBQ(Imm(8), count)
		}
		table := GP64()
		LEAQ(maskTable(), table)
		NEGQ(count)
		VMOVDQU(Mem{Base: table, Index: count, Scale: 4, Disp: 32}, mask)
	}

	a := loadA(mr, trans)
	b := Load(Param("b"), GP64())
	ldb := Load(Param("ldb"), GP64())
	SHLQ(Imm(2), ldb)
	begin(func(bias Register) {
		for v := 0; v < vectors; v++ {
			m := Mem{Base: bias, Disp: 32 * v}
			if masked && v == vectors-1 {
				VMASKMOVPS(m, mask, acc(0, v))
			} else {
				VMOVUPS(m, acc(0, v))
			}
		}
		for i := 1; i < mr; i++ {
			for v := 0; v < vectors; v++ {
				VMOVAPS(acc(0, v), acc(i, v))
			}
		}
	}, func() {
		for i := 0; i < mr; i++ {
			for v := 0; v < vectors; v++ {
				VXORPS(acc(i, v), acc(i, v), acc(i, v))
			}
		}
	})
	loop(a, b, ldb, func(step int) {
		for v := 0; v < vectors; v++ {
			m := Mem{Base: b, Disp: 32 * v}
			if masked && v == vectors-1 {
				VMASKMOVPS(m, mask, y[12+v])
			} else {
				VMOVUPS(m, y[12+v])
			}
		}
		for i := 0; i < mr; i++ {
			VBROADCASTSS(a.at(i, step), Y14)
			for v := 0; v < vectors; v++ {
				VFMADD231PS(y[12+v], Y14, acc(i, v))
			}
		}
	})
	forC := func(visit func(i, v int, m Mem)) {
		c := Load(Param("c"), GP64())
		ldc := Load(Param("ldc"), GP64())
		SHLQ(Imm(2), ldc)
		for i := 0; i < mr; i++ {
			for v := 0; v < vectors; v++ {
				visit(i, v, Mem{Base: c, Disp: 32 * v})
			}
			if i+1 < mr {
				ADDQ(ldc, c)
			}
		}
	}
	finish(func() {
		forC(func(i, v int, m Mem) {
			if masked && v == vectors-1 {
				VMASKMOVPS(m, mask, Y14)
				VADDPS(Y14, acc(i, v), acc(i, v))
				return
			}
			VADDPS(m, acc(i, v), acc(i, v))
		})
	}, func() {
		forC(func(i, v int, m Mem) {
			if masked && v == vectors-1 {
				VMASKMOVPS(acc(i, v), mask, m)
				return
			}
			VMOVUPS(acc(i, v), m)
		})
	})
}

var table Mem

// maskTable is 8 words of ones, then 8 of zeros.
func maskTable() Mem {
	if table.Base != nil {
		return table
	}
	table = GLOBL("lanes", RODATA|NOPTR)
	for i := 0; i < 16; i++ {
		v := uint32(0)
		if i < 8 {
			v = 0xFFFFFFFF
		}
		DATA(4*i, U32(v))
	}
	return table
}

// peak emits a loop of independent multiply-adds on registers alone: the processor's peak
// rate, which the kernels are compared with.
func peak(set string, registers []VecPhysical) {
	TEXT(set+"Peak", NOSPLIT, "func(rounds int)")
	Doc(fmt.Sprintf("Does rounds x %d vector multiply-adds.", len(registers)))
	n := Load(Param("rounds"), GP64())
	for _, r := range registers {
		VXORPS(r.AsY(), r.AsY(), r.AsY())
	}
	Label("next")
	for _, r := range registers {
		VFMADD231PS(r, r, r)
	}
	DECQ(n)
	JNZ(LabelRef("next"))
	VZEROUPPER()
	RET()
}
