package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// maps emits functions of one and two elements.
func maps(m *machine) {
	m.text("Linear", "y, a *float32, n int, alpha, beta float32", "y = alpha*a + beta.")
	{
		y, a, n := pointer("y"), pointer("a"), pointer("n")
		alpha, beta := m.broadcast("alpha"), m.broadcast("beta")
		m.walk(n, false, func(i Register) {
			v := m.load(element(a, i))
			VFMADD213PS(beta, alpha, v)
			m.store(v, element(y, i))
		})
	}
	m.end()

	m.text("Product", "y, a, b *float32, n int, alpha float32", "y = alpha*a*b.")
	{
		y, a, b, n, alpha := pointer("y"), pointer("a"), pointer("b"), pointer("n"), m.broadcast("alpha")
		m.walk(n, false, func(i Register) {
			m.store(m.mul(m.mul(m.load(element(a, i)), alpha), m.load(element(b, i))), element(y, i))
		})
	}
	m.end()

	m.returns("Dot", "a, b *float32, n int", "returns the sum of a*b.")
	a, b, n := pointer("a"), pointer("b"), pointer("n")
	low, high := m.zero(), m.zero()
	m.walk(n, false, func(i Register) {
		u0, u1 := m.halves(m.load(element(a, i)))
		v0, v1 := m.halves(m.load(element(b, i)))
		VFMADD231PD(u0, v0, low)
		VFMADD231PD(u1, v1, high)
	})
	m.returnSum(low, high)
}
