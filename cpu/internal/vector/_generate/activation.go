package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	geluTanhScale = 2 * 0.79788456080286535588
	geluTanhCubic = 0.044715
	geluTanhLimit = 16
)

// forward emits y = f(x); prepare loads what f keeps in registers.
func forward(m *machine, name, formula string, prepare func() func(x VecVirtual) VecVirtual) {
	m.text(name+"Forward", "y, x *float32, n int, alpha float32", formula)
	y, x, n := pointer("y"), pointer("x"), pointer("n")
	f := prepare()
	m.walk(n, false, func(i Register) { m.store(f(m.load(element(x, i))), element(y, i)) })
	m.end()
}

// backward emits dx = g(dy, x).
func backward(m *machine, name, formula string, prepare func() func(dy, x VecVirtual) VecVirtual) {
	m.text(name+"Backward", "dx, dy, x *float32, n int, alpha float32", formula)
	dx, dy, x, n := pointer("dx"), pointer("dy"), pointer("x"), pointer("n")
	f := prepare()
	m.walk(n, false, func(i Register) {
		m.store(f(m.load(element(dy, i)), m.load(element(x, i))), element(dx, i))
	})
	m.end()
}

func activations(m *machine) {
	rectifiers(m)
	gelu(m)
	geluTanh(m)
	logistic(m)
	forward(m, "Tanh", "y = tanh(x).", func() func(x VecVirtual) VecVirtual {
		ten := m.hold(constant(10))
		return func(x VecVirtual) VecVirtual { return m.tanh(x, ten) }
	})
	backward(m, "Tanh", "dx = dy 4s(1-s), s = sigmoid(2x).", func() func(dy, x VecVirtual) VecVirtual {
		f := m.exponential()
		return func(dy, x VecVirtual) VecVirtual {
			_, slope := f.sigmoid(m.add(x, x), false, true)
			return m.mul(dy, m.mul(slope, constant(4)))
		}
	})
}

// relu returns max(x, 0), with NaN for NaN and +0 for -0.
func (m *machine) relu(x, zero VecVirtual) VecVirtual {
	return m.where(m.compare(notLessOrEqual, x, zero), x)
}

func rectifiers(m *machine) {
	forward(m, "ReLU", "y = max(x, 0).", func() func(x VecVirtual) VecVirtual {
		zero := m.zero()
		return func(x VecVirtual) VecVirtual { return m.relu(x, zero) }
	})
	backward(m, "ReLU", "dx = dy where x > 0, else 0.", func() func(dy, x VecVirtual) VecVirtual {
		zero := m.zero()
		return func(dy, x VecVirtual) VecVirtual { return m.where(m.compare(greater, x, zero), dy) }
	})
	forward(m, "LeakyReLU", "y = x where x > 0, else alpha*x.", func() func(x VecVirtual) VecVirtual {
		alpha := m.broadcast("alpha")
		return func(x VecVirtual) VecVirtual { return m.choose(m.negative(x), m.mul(x, alpha), x) }
	})
	backward(m, "LeakyReLU", "dx = dy where x > 0, else alpha*dy.", func() func(dy, x VecVirtual) VecVirtual {
		zero, alpha := m.zero(), m.broadcast("alpha")
		return func(dy, x VecVirtual) VecVirtual {
			return m.choose(m.compare(greater, x, zero), dy, m.mul(dy, alpha))
		}
	})
}

func gelu(m *machine) {
	forward(m, "GELU", "y = x Phi(x).", func() func(x VecVirtual) VecVirtual {
		f := m.exponential()
		return func(x VecVirtual) VecVirtual {
			cdf, _ := f.normal(x, false)
			return m.mul(cdf, x)
		}
	})
	backward(m, "GELU", "dx = dy (Phi(x) + x phi(x)).", func() func(dy, x VecVirtual) VecVirtual {
		f := m.exponential()
		return func(dy, x VecVirtual) VecVirtual {
			cdf, pdf := f.normal(x, true)
			VFMADD231PS(x, pdf, cdf)
			return m.mul(cdf, dy)
		}
	})
}

func geluTanh(m *machine) {
	// argument returns 2u = 2 sqrt(2/pi) x (1 + 0.044715 x^2).
	argument := func(x, square VecVirtual) VecVirtual {
		u := m.mulAdd(square, m.hold(constant(geluTanhCubic)), constant(1))
		return m.mul(m.mul(x, constant(geluTanhScale)), u)
	}
	forward(m, "GELUTanh", "y = x sigmoid(2u).", func() func(x VecVirtual) VecVirtual {
		f := m.exponential()
		return func(x VecVirtual) VecVirtual {
			s, _ := f.sigmoid(argument(x, m.mul(x, x)), true, false)
			return m.mul(x, s)
		}
	})
	backward(m, "GELUTanh", "dx = dy (s + x s' d(2u)/dx), s = sigmoid(2u).", func() func(dy, x VecVirtual) VecVirtual {
		f := m.exponential()
		return func(dy, x VecVirtual) VecVirtual {
			x = m.atMost(x, m.hold(constant(geluTanhLimit)))
			x = m.atLeast(x, m.hold(constant(-geluTanhLimit)))
			square := m.mul(x, x)
			s, slope := f.sigmoid(argument(x, square), true, true)
			inner := m.mulAdd(square, m.hold(constant(3*geluTanhCubic*geluTanhScale)), constant(geluTanhScale))
			VFMADD231PS(m.mul(x, slope), inner, s)
			return m.mul(dy, s)
		}
	})
}

// logistic emits the sigmoid and what is made of it.
func logistic(m *machine) {
	forward(m, "Sigmoid", "y = 1/(1 + exp(-x)).", func() func(x VecVirtual) VecVirtual {
		f := m.exponential()
		return func(x VecVirtual) VecVirtual {
			s, _ := f.sigmoid(x, true, false)
			return s
		}
	})
	backward(m, "Sigmoid", "dx = dy s(1-s).", func() func(dy, x VecVirtual) VecVirtual {
		f := m.exponential()
		return func(dy, x VecVirtual) VecVirtual {
			_, slope := f.sigmoid(x, false, true)
			return m.mul(dy, slope)
		}
	})
	forward(m, "SiLU", "y = x sigmoid(x).", func() func(x VecVirtual) VecVirtual {
		f := m.exponential()
		return func(x VecVirtual) VecVirtual {
			s, _ := f.sigmoid(x, true, false)
			return m.mul(x, s)
		}
	})
	backward(m, "SiLU", "dx = dy (s + x s(1-s)).", func() func(dy, x VecVirtual) VecVirtual {
		f := m.exponential()
		return func(dy, x VecVirtual) VecVirtual {
			s, slope := f.sigmoid(x, true, true)
			VFMADD231PS(x, slope, s)
			return m.mul(dy, s)
		}
	})
}
