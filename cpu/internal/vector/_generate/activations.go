package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// activations returns all of them. An entry here is all that the CPU needs of an activation. Its formulas must not
// cancel, or overflow before the result does; vmath has the functions for that, and so has machine.
func activations() []activation {
	return []activation{
		{
			name: "relu",
			goForward: `b := math.Float32bits(v)
				if isNegative(b) {
					b = 0
				}
				y[i] = math.Float32frombits(b)`,
			goBackward: `b := math.Float32bits(dy[i])
				if !isPositive(math.Float32bits(v)) {
					b = 0
				}
				dx[i] = math.Float32frombits(b)`,
			forward: func(m *machine) func(x VecVirtual) VecVirtual {
				zero := m.zero()
				return func(x VecVirtual) VecVirtual { return m.relu(x, zero) }
			},
			backward: func(m *machine) func(dy, x VecVirtual) VecVirtual {
				zero := m.zero()
				return func(dy, x VecVirtual) VecVirtual { return m.where(m.compare(greater, x, zero), dy) }
			},
		},
		{
			name: "leaky-relu",
			goForward: `b, low := math.Float32bits(v), math.Float32bits(alpha*v)
				if isNegative(b) {
					b = low
				}
				y[i] = math.Float32frombits(b)`,
			goBackward: `b, low := math.Float32bits(dy[i]), math.Float32bits(alpha*dy[i])
				if !isPositive(math.Float32bits(v)) {
					b = low
				}
				dx[i] = math.Float32frombits(b)`,
			forward: func(m *machine) func(x VecVirtual) VecVirtual {
				alpha := m.broadcast("alpha")
				return func(x VecVirtual) VecVirtual { return m.choose(m.negative(x), m.mul(x, alpha), x) }
			},
			backward: func(m *machine) func(dy, x VecVirtual) VecVirtual {
				zero, alpha := m.zero(), m.broadcast("alpha")
				return func(dy, x VecVirtual) VecVirtual {
					return m.choose(m.compare(greater, x, zero), dy, m.mul(dy, alpha))
				}
			},
		},
		{
			name: "gelu",
			goForward: `cdf, _ := vmath.Normal(v)
				y[i] = v * cdf`,
			goBackward: `cdf, pdf := vmath.Normal(v)
				dx[i] = dy[i] * (cdf + v*pdf)`,
			forward: func(m *machine) func(x VecVirtual) VecVirtual {
				f := m.exponential()
				return func(x VecVirtual) VecVirtual {
					cdf, _ := f.normal(x, false)
					return m.mul(cdf, x)
				}
			},
			backward: func(m *machine) func(dy, x VecVirtual) VecVirtual {
				f := m.exponential()
				return func(dy, x VecVirtual) VecVirtual {
					cdf, pdf := f.normal(x, true)
					VFMADD231PS(x, pdf, cdf)
					return m.mul(cdf, dy)
				}
			},
		},
		{
			// x/2 (1 + tanh u) as x sigmoid(2u), which is the same and doesn't cancel:
			//
			//	2u = 2 sqrt(2/pi) (x + 0.044715 x^3)
			//
			// In the slope, s + x s' d(2u)/dx, x^3 must not overflow; beyond the limit it is 0 or 1.
			name: "gelu-tanh",
			goForward: `s, _ := sigmoid(geluTanhScale * v * (1 + geluTanhCubic*v*v))
				y[i] = v * s`,
			goBackward: `if v > geluTanhLimit {
					v = geluTanhLimit
				}
				if v < -geluTanhLimit {
					v = -geluTanhLimit
				}
				square := v * v
				s, slope := sigmoid(geluTanhScale * v * (1 + geluTanhCubic*square))
				dx[i] = dy[i] * (s + v*slope*(geluTanhScale*(1+3*geluTanhCubic*square)))`,
			forward: func(m *machine) func(x VecVirtual) VecVirtual {
				f := m.exponential()
				return func(x VecVirtual) VecVirtual {
					s, _ := f.sigmoid(m.geluTanhArgument(x, m.mul(x, x)), true, false)
					return m.mul(x, s)
				}
			},
			backward: func(m *machine) func(dy, x VecVirtual) VecVirtual {
				f := m.exponential()
				return func(dy, x VecVirtual) VecVirtual {
					x = m.atMost(x, m.hold(constant(geluTanhLimit)))
					x = m.atLeast(x, m.hold(constant(-geluTanhLimit)))
					square := m.mul(x, x)
					s, slope := f.sigmoid(m.geluTanhArgument(x, square), true, true)
					inner := m.mulAdd(square, m.hold(constant(3*geluTanhCubic*geluTanhScale)), constant(geluTanhScale))
					VFMADD231PS(m.mul(x, slope), inner, s)
					return m.mul(dy, s)
				}
			},
		},
		{
			name:      "sigmoid",
			goForward: `y[i], _ = sigmoid(v)`,
			goBackward: `_, slope := sigmoid(v)
				dx[i] = dy[i] * slope`,
			forward: func(m *machine) func(x VecVirtual) VecVirtual {
				f := m.exponential()
				return func(x VecVirtual) VecVirtual {
					s, _ := f.sigmoid(x, true, false)
					return s
				}
			},
			backward: func(m *machine) func(dy, x VecVirtual) VecVirtual {
				f := m.exponential()
				return func(dy, x VecVirtual) VecVirtual {
					_, slope := f.sigmoid(x, false, true)
					return m.mul(dy, slope)
				}
			},
		},
		{
			// The slope 1 - tanh(x)^2 as 4 s(1-s), s being sigmoid(2x), which doesn't cancel.
			name:      "tanh",
			goForward: `y[i] = vmath.Tanh(v)`,
			goBackward: `_, slope := sigmoid(2 * v)
				dx[i] = dy[i] * (4 * slope)`,
			forward: func(m *machine) func(x VecVirtual) VecVirtual {
				ten := m.hold(constant(10))
				return func(x VecVirtual) VecVirtual { return m.tanh(x, ten) }
			},
			backward: func(m *machine) func(dy, x VecVirtual) VecVirtual {
				f := m.exponential()
				return func(dy, x VecVirtual) VecVirtual {
					_, slope := f.sigmoid(m.add(x, x), false, true)
					return m.mul(dy, m.mul(slope, constant(4)))
				}
			},
		},
		{
			name: "silu",
			goForward: `s, _ := sigmoid(v)
				y[i] = v * s`,
			goBackward: `s, slope := sigmoid(v)
				dx[i] = dy[i] * (s + v*slope)`,
			forward: func(m *machine) func(x VecVirtual) VecVirtual {
				f := m.exponential()
				return func(x VecVirtual) VecVirtual {
					s, _ := f.sigmoid(x, true, false)
					return m.mul(x, s)
				}
			},
			backward: func(m *machine) func(dy, x VecVirtual) VecVirtual {
				f := m.exponential()
				return func(dy, x VecVirtual) VecVirtual {
					s, slope := f.sigmoid(x, true, true)
					VFMADD231PS(x, slope, s)
					return m.mul(dy, s)
				}
			},
		},
		{
			// x is limited to -3 from below too, so that minus infinity gives 0. NaN stays NaN.
			name: "hard-swish",
			goForward: `if v < -3 {
					v = -3
				}
				r := v + 3
				if r > 6 {
					r = 6
				}
				y[i] = v * (r * (1.0 / 6))`,
			goBackward: `slope := v*(1.0/3) + 0.5
				if v >= 3 {
					slope = 1
				}
				if v <= -3 {
					slope = 0
				}
				dx[i] = dy[i] * slope`,
			forward: func(m *machine) func(x VecVirtual) VecVirtual {
				least, three, six := m.hold(constant(-3)), m.hold(constant(3)), m.hold(constant(6))
				return func(x VecVirtual) VecVirtual {
					x = m.atLeast(x, least)
					r := m.atMost(m.add(x, three), six)
					return m.mul(x, m.mul(r, constant(1.0/6)))
				}
			},
			backward: func(m *machine) func(dy, x VecVirtual) VecVirtual {
				least, three, one := m.hold(constant(-3)), m.hold(constant(3)), m.hold(constant(1))
				return func(dy, x VecVirtual) VecVirtual {
					slope := m.mulAdd(x, m.hold(constant(1.0/3)), constant(0.5))
					slope = m.choose(m.compare(notLessOrEqual, three, x), slope, one)
					return m.mul(dy, m.where(m.compare(notLessOrEqual, x, least), slope))
				}
			},
		},
		{
			name: "elu",
			goForward: `b := math.Float32bits(v)
				low := math.Float32bits(alpha * vmath.Expm1Negative(math.Float32frombits(b|signBit)))
				if isNegative(b) {
					b = low
				}
				y[i] = math.Float32frombits(b)`,
			goBackward: `b, d := math.Float32bits(v), dy[i]
				high, low := math.Float32bits(d), math.Float32bits(d*(alpha*vmath.ExpNegative(math.Float32frombits(b|signBit))))
				if !isPositive(b) {
					high = low
				}
				dx[i] = math.Float32frombits(high)`,
			forward: func(m *machine) func(x VecVirtual) VecVirtual {
				f, alpha := m.exponential(), m.broadcast("alpha")
				return func(x VecVirtual) VecVirtual {
					low := m.mul(f.expm1Negative(m.or(x, word(signBits))), alpha)
					return m.choose(m.negative(x), low, x)
				}
			},
			backward: func(m *machine) func(dy, x VecVirtual) VecVirtual {
				f, alpha, zero := m.exponential(), m.broadcast("alpha"), m.zero()
				return func(dy, x VecVirtual) VecVirtual {
					slope := m.mul(f.expNegative(m.or(x, word(signBits))), alpha)
					return m.choose(m.compare(greater, x, zero), dy, m.mul(dy, slope))
				}
			},
		},
		{
			name: "softplus",
			goForward: `b := math.Float32bits(v)
				low := vmath.Log1p(vmath.ExpNegative(math.Float32frombits(b | signBit)))
				if isNegative(b) {
					b = 0
				}
				y[i] = math.Float32frombits(b) + low`,
			goBackward: `s, _ := sigmoid(v)
				dx[i] = dy[i] * s`,
			forward: func(m *machine) func(x VecVirtual) VecVirtual {
				f, zero := m.exponential(), m.zero()
				return func(x VecVirtual) VecVirtual {
					low := m.log1p(f.expNegative(m.or(x, word(signBits))))
					return m.add(m.relu(x, zero), low)
				}
			},
			backward: func(m *machine) func(dy, x VecVirtual) VecVirtual {
				f := m.exponential()
				return func(dy, x VecVirtual) VecVirtual {
					s, _ := f.sigmoid(x, true, false)
					return m.mul(dy, s)
				}
			},
		},
		{
			// nn/mish.go has the formulas.
			name: "mish",
			goForward: `w := vmath.ExpNegative(math.Float32frombits(math.Float32bits(v) | signBit))
				n, rest := 2*w+1, 2*w*w
				if v < 0 {
					n, rest = 2*w+w*w, 2
				}
				y[i] = v * (n / (n + rest))`,
			goBackward: `w := vmath.ExpNegative(math.Float32frombits(math.Float32bits(v) | signBit))
				n, rest, a := 2*w+1, 2*w*w, w*w
				if v < 0 {
					n, rest, a = 2*w+w*w, 2, w
				}
				inverse := 1 / (n + rest)
				dx[i] = dy[i] * (n*inverse + v*(4*a*(1+w)*inverse*inverse))`,
			forward: func(m *machine) func(x VecVirtual) VecVirtual {
				f := m.exponential()
				return func(x VecVirtual) VecVirtual {
					n, d, _, _ := f.mish(x)
					return m.mul(x, m.div(n, d))
				}
			},
			backward: func(m *machine) func(dy, x VecVirtual) VecVirtual {
				f, one := m.exponential(), m.hold(constant(1))
				return func(dy, x VecVirtual) VecVirtual {
					n, d, a, w := f.mish(x)
					inverse := m.div(one, d)
					second := m.mul(m.mul(m.mul(a, constant(4)), m.add(w, one)), m.mul(inverse, inverse))
					slope := m.mul(n, inverse)
					VFMADD231PS(x, second, slope)
					return m.mul(dy, slope)
				}
			},
		},
	}
}

// mish returns the terms of nn/mish.go.
func (m exponential) mish(x VecVirtual) (n, d, a, w VecVirtual) {
	w = m.expNegative(m.or(x, word(signBits)))
	square, twice := m.mul(w, w), m.add(w, w)
	negative := m.negative(x)
	n = m.add(twice, m.choose(negative, square, m.hold(constant(1))))
	d = m.add(n, m.choose(negative, m.hold(constant(2)), m.add(square, square)))
	return n, d, m.choose(negative, w, square), w
}
