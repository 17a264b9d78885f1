package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// take replaces best and its position at by v and its position k where v is larger, or
// where v is NaN and best is not. So the first NaN is the maximum, and of equal elements
// the first.
func (m *machine) take(best, at *VecVirtual, v VecVirtual, k Op) {
	larger := m.compareToo(m.compare(ordered, *best, *best), notLessOrEqual, v, *best)
	*best, *at = m.choose(larger, v, *best), m.choose(larger, k, *at)
}

// rectify is ReLU of the maximum; the position becomes nowhere if the maximum isn't
// positive.
func (m *machine) rectify(best, at *VecVirtual, zero VecVirtual, nowhere Op) {
	*at = m.choose(m.compare(greater, *best, zero), *at, nowhere)
	*best = m.relu(*best, zero)
}

// maxPool2x2 emits the maxima of a row of 2x2 windows, side by side.
func maxPool2x2(m *machine, relu bool) {
	name, doc := "MaxPool2x2", "the maxima of a row of 2x2 windows of c channels, and their positions."
	if relu {
		name, doc = "MaxPool2x2ReLU", "MaxPool2x2 with ReLU after it; 4 is the position of what isn't positive."
	}
	m.text(name, "y *float32, arg *byte, upper, lower *float32, c, windows int", doc)
	y, arg, upper, lower, c, windows := pointer("y"), pointer("arg"), pointer("upper"), pointer("lower"), pointer("c"), pointer("windows")
	upperRight, lowerRight := GP64(), GP64()
	zero := m.zero()
	window := m.label("window")
	Label(window)
	LEAQ(element(upper, c), upperRight)
	LEAQ(element(lower, c), lowerRight)
	m.walk(c, true, func(i Register) {
		best, at := m.load(element(upper, i)), m.zero()
		for k, p := range []Register{upperRight, lower, lowerRight} {
			m.take(&best, &at, m.load(element(p, i)), m.hold(word(uint32(k+1))))
		}
		if relu {
			m.rectify(&best, &at, zero, m.hold(word(4)))
		}
		m.store(best, element(y, i))
		m.storeBytes(at, octet(arg, i))
	})
	LEAQ(element(upperRight, c), upper)
	LEAQ(element(lowerRight, c), lower)
	LEAQ(element(y, c), y)
	ADDQ(c, arg)
	DECQ(windows)
	JNZ(LabelRef(window))
	m.end()
}

// maxPool emits the maxima of one window of any size.
func maxPool(m *machine) {
	m.text("MaxPool", "y *float32, arg *byte, x *float32, c, rows, columns, stride int, first, step uint32",
		"the maxima of a window of rows x columns pixels of c channels, rows stride elements apart, and their positions: first, and from row to row step more.")
	y, arg, x, c := pointer("y"), pointer("arg"), pointer("x"), pointer("c")
	rows, columns, row, pixel := GP64(), GP64(), GP64(), GP64()
	one := m.hold(word(1))
	m.walk(c, true, func(i Register) {
		start, step := m.broadcast("first"), m.broadcast("step")
		LEAQ(element(x, i), row)
		best, at := m.load(Mem{Base: row}), m.copy(start)
		Load(Param("rows"), rows)
		nextRow, nextPixel := m.label("row"), m.label("pixel")
		Label(nextRow)
		k := m.copy(start)
		MOVQ(row, pixel)
		Load(Param("columns"), columns)
		Label(nextPixel)
		b, a := best, at
		m.take(&b, &a, m.load(Mem{Base: pixel}), k)
		VMOVAPS(b, best)
		VMOVAPS(a, at)
		VPADDD(one, k, k)
		LEAQ(element(pixel, c), pixel)
		DECQ(columns)
		JNZ(LabelRef(nextPixel))
		VPADDD(step, start, start)
		stride := pointer("stride")
		LEAQ(element(row, stride), row)
		DECQ(rows)
		JNZ(LabelRef(nextRow))
		m.store(best, element(y, i))
		m.storeBytes(at, octet(arg, i))
	})
	m.end()
}

// poolReLU emits ReLU of stored maxima.
func poolReLU(m *machine) {
	m.text("PoolReLU", "y *float32, arg *byte, n int, nowhere uint32", "y = max(y, 0); arg = nowhere where it isn't positive.")
	y, arg, n := pointer("y"), pointer("arg"), pointer("n")
	nowhere, zero := m.broadcast("nowhere"), m.zero()
	m.walk(n, true, func(i Register) {
		best, at := m.load(element(y, i)), m.loadBytes(octet(arg, i))
		m.rectify(&best, &at, zero, nowhere)
		m.store(best, element(y, i))
		m.storeBytes(at, octet(arg, i))
	})
	m.end()
}

// gather2x2 emits the backward pass of maxPool2x2.
func gather2x2(m *machine) {
	m.text("Gather2x2", "upper, lower, dy *float32, arg *byte, c, windows int",
		"the gradients of a row of 2x2 windows of c channels: dy at the maximum's position, 0 elsewhere.")
	upper, lower, dy, arg, c, windows := pointer("upper"), pointer("lower"), pointer("dy"), pointer("arg"), pointer("c"), pointer("windows")
	upperRight, lowerRight := GP64(), GP64()
	window := m.label("window")
	Label(window)
	LEAQ(element(upper, c), upperRight)
	LEAQ(element(lower, c), lowerRight)
	m.walk(c, true, func(i Register) {
		v, at := m.load(element(dy, i)), m.loadBytes(octet(arg, i))
		for k, p := range []Register{upper, upperRight, lower, lowerRight} {
			m.store(m.where(m.sameWord(at, word(uint32(k))), v), element(p, i))
		}
	})
	LEAQ(element(upperRight, c), upper)
	LEAQ(element(lowerRight, c), lower)
	LEAQ(element(dy, c), dy)
	ADDQ(c, arg)
	DECQ(windows)
	JNZ(LabelRef(window))
	m.end()
}

// gather emits the backward pass for one position in the windows; with add, it adds to
// dx.
func gather(m *machine, add bool) {
	name, doc := "Gather", "dx = dy where arg is at, else 0."
	if add {
		name, doc = "GatherAdd", "dx += dy where arg is at."
	}
	m.text(name, "dx, dy *float32, arg *byte, n int, at uint32", doc)
	dx, dy, arg, n := pointer("dx"), pointer("dy"), pointer("arg"), pointer("n")
	here := m.broadcast("at")
	m.walk(n, true, func(i Register) {
		v, at := m.load(element(dy, i)), m.loadBytes(octet(arg, i))
		hit := m.sameWord(at, here)
		if add {
			old := m.load(element(dx, i))
			v = m.choose(hit, m.add(old, v), old)
		} else {
			v = m.where(hit, v)
		}
		m.store(v, element(dx, i))
	})
	m.end()
}
