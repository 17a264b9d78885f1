package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The functions of package vmath, with the same coefficients, but with fused multiply-adds.
// The formulas are documented there, and so are the errors, which hold here too.

const (
	log2e     = 1.44269504088896340736
	ln2Hi     = 0.693359375
	ln2Lo     = -2.12194440054690583e-4
	roundBias = 1.5 * (1 << 23)
	expMin    = -88

	signBits      = 0x80000000
	magnitudeBits = 0x7FFFFFFF

	// Of package vector.
	geluTanhScale = 2 * 0.79788456080286535588
	geluTanhCubic = 0.044715
	geluTanhLimit = 16
)

// reduce returns p = 2^k and e^r - 1, where x = k ln 2 + r. It overwrites x.
func (m *machine) reduce(x VecVirtual) (p, expm1 VecVirtual) {
	p = m.hold(constant(roundBias))
	VFMADD231PS(constant(log2e), x, p)
	n := m.sub(p, constant(roundBias))
	VFNMADD231PS(constant(ln2Hi), n, x)
	VFNMADD231PS(constant(ln2Lo), n, x)
	expm1 = m.polynomial(x, 0.4999999341, 0.1666652011, 0.04166839421, 0.008368780409, 0.001381446695)
	square := m.mul(x, x)
	VFMADD213PS(x, square, expm1)
	VPADDD(word(127), p, p)
	VPSLLD(Imm(23), p, p)
	return p, expm1
}

// exponential is a machine with the constant that expNegative keeps in a register.
type exponential struct {
	*machine
	least VecVirtual
}

func (m *machine) exponential() exponential { return exponential{m, m.hold(constant(expMin))} }

// expNegative returns e^x for x <= 0.
func (m exponential) expNegative(x Op) VecVirtual {
	p, e := m.reduce(m.atLeast(x, m.least))
	VFMADD213PS(p, p, e)
	return e
}

// expm1Negative returns e^x - 1 for x <= 0.
func (m exponential) expm1Negative(x Op) VecVirtual {
	p, e := m.reduce(m.atLeast(x, m.least))
	VFMADD213PS(m.sub(p, constant(1)), p, e)
	return e
}

// log1p returns log(1+t) for 0 <= t <= 1.
func (m *machine) log1p(t VecVirtual) VecVirtual {
	s := m.div(t, m.add(t, constant(2)))
	z := m.mul(s, s)
	q := m.polynomial(z, 0.3333333366, 0.1999985317, 0.1429617900, 0.1085328790, 0.1161216461)
	s = m.add(s, s)
	VFMADD213PS(s, m.mul(s, z), q)
	return q
}

// normal returns Phi(x) and, if wanted, the density.
func (m exponential) normal(x VecVirtual, density bool) (cdf, pdf VecVirtual) {
	square := m.mul(m.mul(x, constant(-0.5)), x)
	e := m.expNegative(square)
	one := m.hold(constant(1))
	t := m.and(x, word(magnitudeBits))
	VFMADD213PS(one, m.hold(constant(0.27)), t)
	VDIVPS(t, one, t)
	q := m.polynomial(t, 0.1077195376, 0.1075607571, 0.1016904821, 0.07249361353, 0.1068355579,
		-0.06784337929, 0.168641012, -0.1259528772, 0.02885530773)
	VMULPS(t, q, q)
	lower := m.mul(q, e)
	upper := m.sub(one, lower)
	cdf = m.choose(m.negative(x), lower, upper)
	if density {
		pdf = m.mul(e, constant(0.39894228040143267794))
	}
	return cdf, pdf
}

// sigmoid returns 1/(1+e^-x) and its slope, each only if wanted.
func (m exponential) sigmoid(x VecVirtual, value, slope bool) (s, ds VecVirtual) {
	e := m.expNegative(m.or(x, word(signBits)))
	one := m.hold(constant(1))
	inverse := m.div(one, m.add(e, one))
	low := m.mul(e, inverse)
	if value {
		s = m.choose(m.negative(x), low, inverse)
	}
	if slope {
		ds = m.mul(low, inverse)
	}
	return s, ds
}

// tanh returns the hyperbolic tangent.
func (m *machine) tanh(x, ten VecVirtual) VecVirtual {
	a := m.atMost(m.and(x, word(magnitudeBits)), ten)
	VADDPS(a, a, a)
	p, e := m.reduce(a)
	VFMADD213PS(m.sub(p, constant(1)), p, e)
	y := m.div(e, m.add(e, constant(2)))
	return m.or(y, m.and(x, word(signBits)))
}

// geluTanhArgument returns 2u = 2 sqrt(2/pi) x (1 + 0.044715 x^2).
func (m *machine) geluTanhArgument(x, square VecVirtual) VecVirtual {
	u := m.mulAdd(square, m.hold(constant(geluTanhCubic)), constant(1))
	return m.mul(m.mul(x, constant(geluTanhScale)), u)
}

// exponentials emits the sum of exp(x - shift), with and without storing the exponentials.
func exponentials(m *machine, keep bool) {
	name, signature, doc := "SumOfExponentials", "x *float32, n int, shift float32", "returns the sum of exp(x - shift)."
	if keep {
		name, signature, doc = "Exponentials", "y, x *float32, n int, shift float32", "y = exp(x - shift), and returns the sum."
	}
	m.returns(name, signature, doc)
	x, n := pointer("x"), pointer("n")
	var y Register
	if keep {
		y = pointer("y")
	}
	shift, f := m.broadcast("shift"), m.exponential()
	low, high := m.zero(), m.zero()
	m.walk(n, false, func(i Register) {
		e := f.expNegative(m.sub(m.load(element(x, i)), shift))
		if keep {
			m.store(e, element(y, i))
		}
		if m.rest == restMasked {
			e = m.where(m.mask, e)
		}
		m.addDoubles(low, high, e)
	})
	m.returnSum(low, high)
}
