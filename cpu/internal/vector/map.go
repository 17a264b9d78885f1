package vector

import "math"

// MapOne is y = f(a), MapTwo y = f(a, b), over slices of a's length. y may be a or b.
type (
	MapOne func(y, a []float32, alpha, beta float32)
	MapTwo func(y, a, b []float32, alpha, beta float32)
)

// Map holds the functions of one operand and of two that need no exponential or
// logarithm.
type Map struct {
	Linear     MapOne // alpha*a + beta
	Square     MapOne // alpha*a^2 + beta
	Abs        MapOne // alpha*|a| + beta
	Sign       MapOne // alpha*sign(a) + beta, where sign(0) is 0
	Sqrt       MapOne // sqrt(alpha*a + beta)
	Rsqrt      MapOne // 1/sqrt(alpha*a + beta)
	Reciprocal MapOne // 1/(alpha*a + beta)

	Quotient MapTwo // alpha*a / (b + beta)
	Larger   MapTwo // max(alpha*a, beta*b), NaN if either is NaN
	Smaller  MapTwo // min(alpha*a, beta*b), NaN if either is NaN
	Greater  MapTwo // alpha where a > b, otherwise beta
	Select   MapTwo // a where b is 0, otherwise the old y
}

// linear computes y = alpha*a + beta.
func linear(y, a []float32, alpha, beta float32) {
	y = y[:len(a)]
	for i, v := range a {
		y[i] = alpha*v + beta
	}
}

// product computes y = alpha*a*b.
func product(y, a, b []float32, alpha float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		y[i] = alpha * v * b[i]
	}
}

// dot returns the sum of a*b. With four sums side by side, an addition need not wait for
// the previous one.
func dot(a, b []float32) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	for ; len(a) >= 4; a, b = a[4:], b[4:] {
		s0 += float64(a[0]) * float64(b[0])
		s1 += float64(a[1]) * float64(b[1])
		s2 += float64(a[2]) * float64(b[2])
		s3 += float64(a[3]) * float64(b[3])
	}
	for i, v := range a {
		s0 += float64(v) * float64(b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

func square(y, a []float32, alpha, beta float32) {
	y = y[:len(a)]
	for i, v := range a {
		y[i] = alpha*(v*v) + beta
	}
}

func absolute(y, a []float32, alpha, beta float32) {
	y = y[:len(a)]
	for i, v := range a {
		y[i] = alpha*math.Float32frombits(math.Float32bits(v)&^(1<<31)) + beta
	}
}

func sign(y, a []float32, alpha, beta float32) {
	y = y[:len(a)]
	for i, v := range a {
		s := v // 0 or NaN
		if v > 0 {
			s = 1
		} else if v < 0 {
			s = -1
		}
		y[i] = alpha*s + beta
	}
}

func squareRoot(y, a []float32, alpha, beta float32) {
	y = y[:len(a)]
	for i, v := range a {
		y[i] = sqrt(alpha*v + beta)
	}
}

func reciprocalRoot(y, a []float32, alpha, beta float32) {
	y = y[:len(a)]
	for i, v := range a {
		y[i] = 1 / sqrt(alpha*v+beta)
	}
}

func reciprocal(y, a []float32, alpha, beta float32) {
	y = y[:len(a)]
	for i, v := range a {
		y[i] = 1 / (alpha*v + beta)
	}
}

func quotient(y, a, b []float32, alpha, beta float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		y[i] = alpha * v / (b[i] + beta)
	}
}

func largerOf(y, a, b []float32, alpha, beta float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		u, w := alpha*v, beta*b[i]
		if u > w || u != u {
			w = u
		}
		y[i] = w
	}
}

func smallerOf(y, a, b []float32, alpha, beta float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		u, w := alpha*v, beta*b[i]
		if u < w || u != u {
			w = u
		}
		y[i] = w
	}
}

func greater(y, a, b []float32, alpha, beta float32) {
	y, b = y[:len(a)], b[:len(a)]
	yes, no := math.Float32bits(alpha), math.Float32bits(beta)
	for i, v := range a {
		bits := no
		if v > b[i] {
			bits = yes
		}
		y[i] = math.Float32frombits(bits)
	}
}

func selected(y, a, b []float32, _, _ float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		bits := math.Float32bits(y[i])
		if b[i] == 0 {
			bits = math.Float32bits(v)
		}
		y[i] = math.Float32frombits(bits)
	}
}
