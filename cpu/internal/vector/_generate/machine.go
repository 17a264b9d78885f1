package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// machine emits the instructions of one instruction set. The body of a kernel is written
// once in terms of it, and emitted twice: for whole vectors, and for the remaining
// elements.
type machine struct {
	name  string
	lanes int // float32s in a vector
	wide  bool

	rest   restOf   // how the body that is being emitted loads and stores
	mask   Register // of restMasked: a mask register, or with AVX2 a vector
	labels int
}

// restOf says which lanes of a vector a body works on.
type restOf int

const (
	wholeVector restOf = iota
	restMasked         // the lanes in the mask
	restSingle         // one lane: AVX2 has no masks for bytes
)

func avx512() *machine { return &machine{name: "avx512", lanes: 16, wide: true} }
func avx2() *machine   { return &machine{name: "avx2", lanes: 8} }

// Predicates of comparisons. A comparison with NaN, which is unordered, has the result
// that the comment gives.
const (
	equal          = 0x00
	ordered        = 0x07
	notLessOrEqual = 0x16 // true if unordered
	greater        = 0x1E // false if unordered
)

// text begins a kernel.
func (m *machine) text(name, signature, doc string) {
	TEXT(m.name+name, NOSPLIT, "func("+signature+")")
	Doc(fmt.Sprintf("%s%s: %s", m.name, name, doc))
	m.labels = 0
}

func (m *machine) end() {
	VZEROUPPER()
	RET()
}

// label returns a label that this kernel has not used yet.
func (m *machine) label(name string) string {
	m.labels++
	return fmt.Sprintf("%s%d", name, m.labels)
}

func (m *machine) vector() VecVirtual {
	if m.wide {
		return ZMM()
	}
	return YMM()
}

// broadcast returns a vector of a parameter: a float32, or the lower word of an integer.
func (m *machine) broadcast(param string) VecVirtual {
	p, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	v := m.vector()
	VBROADCASTSS(p.Addr, v)
	return v
}

// hold returns a register that holds a constant.
func (m *machine) hold(c Mem) VecVirtual {
	v := m.vector()
	VMOVUPS(c, v)
	return v
}

func (m *machine) zero() VecVirtual {
	v := m.vector()
	VXORPS(v, v, v)
	return v
}

// The operations return a new register. b may be a memory operand.

func (m *machine) add(a, b Op) VecVirtual { v := m.vector(); VADDPS(b, a, v); return v }
func (m *machine) sub(a, b Op) VecVirtual { v := m.vector(); VSUBPS(b, a, v); return v }
func (m *machine) mul(a, b Op) VecVirtual { v := m.vector(); VMULPS(b, a, v); return v }
func (m *machine) div(a, b Op) VecVirtual { v := m.vector(); VDIVPS(b, a, v); return v }
func (m *machine) and(a, b Op) VecVirtual { v := m.vector(); VANDPS(b, a, v); return v }
func (m *machine) or(a, b Op) VecVirtual  { v := m.vector(); VORPS(b, a, v); return v }
func (m *machine) copy(a Op) VecVirtual   { v := m.vector(); VMOVAPS(a, v); return v }
func (m *machine) sqrt(a Op) VecVirtual   { v := m.vector(); VSQRTPS(a, v); return v }

// atLeast returns max(v, limit), and NaN where v is NaN: if one of the operands is NaN,
// the instruction returns the second.
func (m *machine) atLeast(v, limit Op) VecVirtual { r := m.vector(); VMAXPS(v, limit, r); return r }

// atMost returns min(v, limit), and NaN where v is NaN.
func (m *machine) atMost(v, limit Op) VecVirtual { r := m.vector(); VMINPS(v, limit, r); return r }

// mulAdd returns a*b + c.
func (m *machine) mulAdd(a, b, c Op) VecVirtual {
	v := m.vector()
	if _, ok := c.(Mem); ok {
		VMOVAPS(a, v)
		VFMADD213PS(c, b, v)
		return v
	}
	VMOVAPS(c, v)
	VFMADD231PS(b, a, v)
	return v
}

// polynomial returns c[0] + x(c[1] + x(c[2] + ...)).
func (m *machine) polynomial(x Op, c ...float64) VecVirtual {
	p := m.hold(constant(c[len(c)-1]))
	for i := len(c) - 2; i >= 0; i-- {
		VFMADD213PS(constant(c[i]), x, p)
	}
	return p
}

// compare returns the lanes in which a is in this relation to b: a mask register, or with
// AVX2 a vector.
func (m *machine) compare(predicate uint64, a, b Op) Register {
	if m.wide {
		k := K()
		VCMPPS(Imm(predicate), b, a, k)
		return k
	}
	v := YMM()
	VCMPPS(Imm(predicate), b, a, v)
	return v
}

// compareToo returns the lanes in which condition holds and a is in this relation to b.
func (m *machine) compareToo(condition Register, predicate uint64, a, b Op) Register {
	if m.wide {
		k := K()
		VCMPPS(Imm(predicate), b, a, condition, k)
		return k
	}
	v := m.compare(predicate, a, b).(VecVirtual)
	VANDPS(condition, v, v)
	return v
}

// sameWord returns the lanes in which the integers are equal.
func (m *machine) sameWord(a, b Op) Register {
	if m.wide {
		k := K()
		VPCMPEQD(b, a, k)
		return k
	}
	v := YMM()
	VPCMPEQD(b, a, v)
	return v
}

// negative returns the lanes in which v has its sign bit set, for use in choose.
func (m *machine) negative(v VecVirtual) Register {
	if m.wide {
		k := K()
		VPMOVD2M(v, k)
		return k
	}
	return v
}

// choose returns yes where condition holds, and no elsewhere.
func (m *machine) choose(condition Register, yes Op, no Op) VecVirtual {
	v := m.vector()
	if m.wide {
		VBLENDMPS(yes, no, condition, v)
		return v
	}
	VBLENDVPS(condition, yes, no, v)
	return v
}

// where returns v where condition holds, and 0 elsewhere. Do not use it with the result of
// negative.
func (m *machine) where(condition Register, v Op) VecVirtual {
	r := m.vector()
	if m.wide {
		VMOVAPS_Z(v, condition, r)
		return r
	}
	VANDPS(v, condition, r)
	return r
}

// relu returns max(x, 0), with NaN for NaN and +0 for -0.
func (m *machine) relu(x, zero VecVirtual) VecVirtual {
	return m.where(m.compare(notLessOrEqual, x, zero), x)
}

// load returns float32s.
func (m *machine) load(at Mem) VecVirtual {
	v := m.vector()
	m.loadTo(v, at)
	return v
}

// loadTo loads float32s into v.
func (m *machine) loadTo(v VecVirtual, at Mem) {
	switch {
	case m.rest == wholeVector:
		VMOVUPS(at, v)
	case m.rest == restSingle:
		VMOVSS(at, v.AsX())
	case m.wide:
		VMOVUPS_Z(at, m.mask, v)
	default:
		VMASKMOVPS(at, m.mask, v)
	}
}

// store writes float32s.
func (m *machine) store(v VecVirtual, at Mem) {
	switch {
	case m.rest == wholeVector:
		VMOVUPS(v, at)
	case m.rest == restSingle:
		VMOVSS(v.AsX(), at)
	case m.wide:
		VMOVUPS(v, m.mask, at)
	default:
		VMASKMOVPS(v, m.mask, at)
	}
}

// loadBytes returns bytes as 32-bit integers.
func (m *machine) loadBytes(at Mem) VecVirtual {
	v := m.vector()
	switch {
	case m.rest == wholeVector:
		VPMOVZXBD(at, v)
	case m.rest == restMasked:
		VPMOVZXBD_Z(at, m.mask, v)
	default:
		b := GP32()
		MOVBLZX(at, b)
		VMOVD(b, v.AsX())
	}
	return v
}

// storeBytes writes 32-bit integers, which are below 256, as bytes.
func (m *machine) storeBytes(v VecVirtual, at Mem) {
	switch {
	case m.wide && m.rest == wholeVector:
		VPMOVDB(v, at)
	case m.wide:
		VPMOVDB(v, m.mask, at)
	case m.rest == restSingle:
		b := GP32()
		VMOVD(v.AsX(), b)
		MOVB(b.As8(), at)
	default:
		packed, upper := YMM(), XMM()
		VPACKUSDW(v, v, packed)
		VPACKUSWB(packed, packed, packed)
		VEXTRACTI128(Imm(1), packed, upper)
		VPUNPCKLDQ(upper, packed.AsX(), upper)
		VMOVQ(upper, at)
	}
}

// setMask sets the mask to the lowest count lanes, 0 < count < lanes.
func (m *machine) setMask(count Register) {
	if m.wide {
		MOVQ(count, RCX)
		bits := GP32()
		MOVL(U32(1), bits)
		SHLL(CL, bits)
		DECL(bits)
		k := K()
		KMOVW(bits, k)
		m.mask = k
		return
	}
	at, v := GP64(), YMM()
	LEAQ(laneTable(), at)
	negative := GP64()
	MOVQ(count, negative)
	NEGQ(negative)
	VMOVDQU(Mem{Base: at, Index: negative, Scale: 4, Disp: 32}, v)
	m.mask = v
}

// walk emits body for every vector of n elements, where i is the index of the vector's
// first element: first for the whole vectors, then for the rest. If bytes are among the
// operands, AVX2 processes the rest one by one.
func (m *machine) walk(n Register, bytes bool, body func(i Register)) {
	i, last := GP64(), GP64()
	next, rest, done := m.label("next"), m.label("rest"), m.label("done")
	XORQ(i, i)
	MOVQ(n, last)
	SUBQ(Imm(uint64(m.lanes)), last)
	JLT(LabelRef(rest))
	Label(next)
	body(i)
	ADDQ(Imm(uint64(m.lanes)), i)
	CMPQ(i, last)
	JLE(LabelRef(next))
	Label(rest)
	MOVQ(n, last)
	SUBQ(i, last)
	JZ(LabelRef(done))
	if bytes && !m.wide {
		m.rest = restSingle
		single := m.label("single")
		Label(single)
		body(i)
		INCQ(i)
		CMPQ(i, n)
		JLT(LabelRef(single))
	} else {
		m.rest = restMasked
		m.setMask(last)
		body(i)
	}
	m.rest, m.mask = wholeVector, nil
	Label(done)
}

// element returns the address of the vector of float32s from element i on.
func element(base, i Register) Mem { return Mem{Base: base, Index: i, Scale: 4} }

// octet returns the address of the bytes from element i on.
func octet(base, i Register) Mem { return Mem{Base: base, Index: i, Scale: 1} }

func pointer(param string) Register { return Load(Param(param), GP64()) }

var tables = map[string]Mem{}

// words returns 16 words of read-only memory.
func words(name string, at func(i int) uint32) Mem {
	if t, ok := tables[name]; ok {
		return t
	}
	t := GLOBL(name, RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(at(i)))
	}
	tables[name] = t
	return t
}

// word returns the address of a vector that repeats a 32-bit number.
func word(v uint32) Mem {
	return words(fmt.Sprintf("word%08x", v), func(int) uint32 { return v })
}

// constant returns the address of a vector that repeats a float32.
func constant(v float64) Mem { return word(math.Float32bits(float32(v))) }

// laneTable is 8 words of ones, then 8 of zeros.
func laneTable() Mem {
	return words("lanes", func(i int) uint32 {
		if i < 8 {
			return math.MaxUint32
		}
		return 0
	})
}
