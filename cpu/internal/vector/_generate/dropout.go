package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// dropout emits y = x*scale where the element's random word is not below the threshold,
// and 0 elsewhere, for whole groups of two vectors of elements.
//
// The four words of a counter lie in the lower halves of 64-bit lanes, one register per
// word: the multiplication reads only these, so whatever accumulates in the upper halves
// does no harm. Blocks are assigned to lanes such that unpacking puts the words in order.
func dropout(m *machine) {
	m.text("Dropout", "y, x *float32, groups int, scale float32, threshold uint32, keys *uint32, block, step, stream, high uint32",
		"y = x*scale where the random word>>8 is at least the threshold, else 0; a group is two vectors.")
	y, x, groups, keys := pointer("y"), pointer("x"), pointer("groups"), pointer("keys")
	scale, threshold := m.broadcast("scale"), m.broadcast("threshold")
	step, stream, high := m.broadcast("step"), m.broadcast("stream"), m.broadcast("high")
	block := m.broadcast("block")
	blocks := m.lanes / 2 // per group
	VPADDD(words(fmt.Sprintf("blocks%d", blocks), func(i int) uint32 {
		// Lane 2l+h of 64 bits has block h*blocks/2 + l.
		lane := i / 2
		return uint32(lane%2*blocks/2 + lane/2)
	}), block, block)
	multiplier0, multiplier1 := m.hold(word(0xD2511F53)), m.hold(word(0xCD9E8D57))
	advance := word(uint32(blocks))

	next := m.label("next")
	Label(next)
	c := [4]VecVirtual{m.copy(block), m.copy(step), m.copy(stream), m.copy(high)}
	for round := range 10 {
		c = m.philoxRound(c, multiplier0, multiplier1, Mem{Base: keys, Disp: 8 * round})
	}
	low, high2 := m.pair(c[0], c[1]), m.pair(c[2], c[3])
	for i, unpack := range []func(...Op){VPUNPCKLQDQ, VPUNPCKHQDQ} {
		v := m.vector()
		unpack(high2, low, v)
		VPSRLD(Imm(8), v, v)
		at := 4 * m.lanes * i
		r := m.mul(scale, Mem{Base: x, Disp: at})
		m.store(m.unlessBelow(v, threshold, r), Mem{Base: y, Disp: at})
	}
	VPADDD(advance, block, block)
	ADDQ(Imm(uint64(8*m.lanes)), x)
	ADDQ(Imm(uint64(8*m.lanes)), y)
	DECQ(groups)
	JNZ(LabelRef(next))
	m.end()
}

// philoxRound emits one round of device.Philox4x32.
func (m *machine) philoxRound(c [4]VecVirtual, multiplier0, multiplier1 VecVirtual, key Mem) [4]VecVirtual {
	product0, product1, k0, k1 := m.vector(), m.vector(), m.vector(), m.vector()
	VPMULUDQ(c[0], multiplier0, product0)
	VPMULUDQ(c[2], multiplier1, product1)
	VPBROADCASTD(key, k0)
	VPBROADCASTD(key.Offset(4), k1)
	hi0, hi1 := m.vector(), m.vector()
	VPSRLQ(Imm(32), product0, hi0)
	VPSRLQ(Imm(32), product1, hi1)
	return [4]VecVirtual{m.xor3(hi1, c[1], k0), product1, m.xor3(hi0, c[3], k1), product0}
}

// xor3 returns a^b^c in a's register.
func (m *machine) xor3(a, b, c VecVirtual) VecVirtual {
	if m.wide {
		VPTERNLOGD(Imm(0x96), c, b, a)
		return a
	}
	VPXOR(b, a, a)
	VPXOR(c, a, a)
	return a
}

// pair returns the lower halves of even and odd, interleaved.
func (m *machine) pair(even, odd VecVirtual) VecVirtual {
	v := m.vector()
	VPSLLQ(Imm(32), odd, v)
	if m.wide {
		k, bits := K(), GP32()
		MOVL(U32(0x5555), bits)
		KMOVW(bits, k)
		VPBLENDMD(even, v, k, v)
		return v
	}
	VPBLENDD(Imm(0x55), even, v, v)
	return v
}

// unlessBelow returns v, or 0 where the integer word is below the threshold.
func (m *machine) unlessBelow(word, threshold, v VecVirtual) VecVirtual {
	r := m.vector()
	if m.wide {
		k := K()
		VPCMPD(Imm(5), threshold, word, k) // word >= threshold
		VMOVAPS_Z(v, k, r)
		return r
	}
	VPCMPGTD(word, threshold, r) // threshold > word
	VANDNPS(v, r, r)
	return r
}
