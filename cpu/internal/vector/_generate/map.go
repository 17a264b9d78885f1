package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// mapOne emits y = f(a), where alpha and beta are constants of f.
func mapOne(m *machine, name, formula string, prepare func(alpha, beta VecVirtual) func(a VecVirtual) VecVirtual) {
	m.text(name, "y, a *float32, n int, alpha, beta float32", formula)
	y, a, n := pointer("y"), pointer("a"), pointer("n")
	f := prepare(m.broadcast("alpha"), m.broadcast("beta"))
	m.walk(n, false, func(i Register) { m.store(f(m.load(element(a, i))), element(y, i)) })
	m.end()
}

// linearly emits y = alpha*f(a) + beta, or y = g of that.
func linearly(m *machine, name, formula string, f, g func(v VecVirtual) VecVirtual) {
	mapOne(m, name, formula, func(alpha, beta VecVirtual) func(a VecVirtual) VecVirtual {
		return func(a VecVirtual) VecVirtual {
			if f != nil {
				a = f(a)
			}
			v := m.mulAdd(a, alpha, beta)
			if g != nil {
				v = g(v)
			}
			return v
		}
	})
}

// mapTwo emits y = f(a, b), where old is the previous value of y.
func mapTwo(m *machine, name, formula string, f func(a, b VecVirtual, old func() VecVirtual, alpha, beta VecVirtual) VecVirtual) {
	m.text(name, "y, a, b *float32, n int, alpha, beta float32", formula)
	y, a, b, n := pointer("y"), pointer("a"), pointer("b"), pointer("n")
	alpha, beta := m.broadcast("alpha"), m.broadcast("beta")
	m.walk(n, false, func(i Register) {
		old := func() VecVirtual { return m.load(element(y, i)) }
		m.store(f(m.load(element(a, i)), m.load(element(b, i)), old, alpha, beta), element(y, i))
	})
	m.end()
}

// mapsOfOne emits the functions of one operand.
func mapsOfOne(m *machine) {
	linearly(m, "Linear", "y = alpha*a + beta.", nil, nil)
	linearly(m, "Square", "y = alpha*a^2 + beta.", func(v VecVirtual) VecVirtual { return m.mul(v, v) }, nil)
	linearly(m, "Abs", "y = alpha*|a| + beta.", func(v VecVirtual) VecVirtual { return m.and(v, m.hold(word(0x7FFFFFFF))) }, nil)
	linearly(m, "Sign", "y = alpha*sign(a) + beta.", func(v VecVirtual) VecVirtual {
		zero := m.zero()
		below := m.choose(m.compare(greater, zero, v), m.hold(constant(-1)), v) // otherwise 0 or NaN
		return m.choose(m.compare(greater, v, zero), m.hold(constant(1)), below)
	}, nil)
	sqrt := func(v VecVirtual) VecVirtual { return m.sqrt(v) }
	inverse := func(v VecVirtual) VecVirtual { return m.div(m.hold(constant(1)), v) }
	linearly(m, "Sqrt", "y = sqrt(alpha*a + beta).", nil, sqrt)
	linearly(m, "Rsqrt", "y = 1/sqrt(alpha*a + beta).", nil, func(v VecVirtual) VecVirtual { return inverse(sqrt(v)) })
	linearly(m, "Reciprocal", "y = 1/(alpha*a + beta).", nil, inverse)
}

// mapsOfTwo emits the functions of two operands.
func mapsOfTwo(m *machine) {
	mapTwo(m, "Quotient", "y = alpha*a / (b + beta).", func(a, b VecVirtual, _ func() VecVirtual, alpha, beta VecVirtual) VecVirtual {
		return m.div(m.mul(a, alpha), m.add(b, beta))
	})
	// extreme returns u where it is beyond w or NaN, otherwise w.
	extreme := func(u, w VecVirtual, beyond Register) VecVirtual {
		return m.choose(m.compare(ordered, u, u), m.choose(beyond, u, w), u)
	}
	mapTwo(m, "Larger", "y = max(alpha*a, beta*b).", func(a, b VecVirtual, _ func() VecVirtual, alpha, beta VecVirtual) VecVirtual {
		u, w := m.mul(a, alpha), m.mul(b, beta)
		return extreme(u, w, m.compare(greater, u, w))
	})
	mapTwo(m, "Smaller", "y = min(alpha*a, beta*b).", func(a, b VecVirtual, _ func() VecVirtual, alpha, beta VecVirtual) VecVirtual {
		u, w := m.mul(a, alpha), m.mul(b, beta)
		return extreme(u, w, m.compare(greater, w, u))
	})
	mapTwo(m, "Greater", "y = alpha where a > b, else beta.", func(a, b VecVirtual, _ func() VecVirtual, alpha, beta VecVirtual) VecVirtual {
		return m.choose(m.compare(greater, a, b), alpha, beta)
	})
	mapTwo(m, "Select", "y = a where b is 0, else y.", func(a, b VecVirtual, old func() VecVirtual, _, _ VecVirtual) VecVirtual {
		return m.choose(m.compare(equal, b, m.zero()), a, old())
	})
}

// maps emits these functions, the product, which has no beta, and the sum of products.
func maps(m *machine) {
	mapsOfOne(m)
	mapsOfTwo(m)
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
