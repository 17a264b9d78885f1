package kernels_test

import (
	"math"
	"testing"

	"trainer/kernels"
)

// function is one of the functions of map.cu.
type function struct {
	name        string
	alpha, beta float32
	two         bool
	value       func(y, a, b, alpha, beta float64) float64
	ulps        float64
}

// For a in [-1, 1), the constants keep every argument away from places where the function is steep, so magnitudes
// are at most a few times the value.
func functions() []function {
	sign := func(a float64) float64 {
		switch {
		case a > 0:
			return 1
		case a < 0:
			return -1
		}
		return 0
	}
	one := func(f func(a, alpha, beta float64) float64) func(y, a, b, alpha, beta float64) float64 {
		return func(_, a, _, alpha, beta float64) float64 { return f(a, alpha, beta) }
	}
	return []function{
		{"affine", 0.5, -2, false, one(func(a, alpha, beta float64) float64 { return alpha*a + beta }), 4},
		{"square", 3, 0.25, false, one(func(a, alpha, beta float64) float64 { return alpha*a*a + beta }), 4},
		{"abs", -1, 4, false, one(func(a, alpha, beta float64) float64 { return alpha*math.Abs(a) + beta }), 4},
		{"sign", 2, 0.5, false, one(func(a, alpha, beta float64) float64 { return alpha*sign(a) + beta }), 4},
		{"sqrt", 0.5, 1, false, one(func(a, alpha, beta float64) float64 { return math.Sqrt(alpha*a + beta) }), 4},
		{"rsqrt", 0.5, 1, false, one(func(a, alpha, beta float64) float64 { return 1 / math.Sqrt(alpha*a+beta) }), 8},
		{"reciprocal", 1, 3, false, one(func(a, alpha, beta float64) float64 { return 1 / (alpha*a + beta) }), 8},
		{"exp", -4, 1, false, one(func(a, alpha, beta float64) float64 { return math.Exp(alpha*a + beta) }), 12},
		{"log", 1, 4, false, one(func(a, alpha, beta float64) float64 { return math.Log(alpha*a + beta) }), 8},
		{"add", 0.25, 4, true, func(_, a, b, alpha, beta float64) float64 { return alpha*a + beta*(b+0) }, 4},
		{"mul", -0.5, 0, true, func(_, a, b, alpha, _ float64) float64 { return alpha * a * b }, 4},
		{"div", 2, 3, true, func(_, a, b, alpha, beta float64) float64 { return alpha * a / (b + beta) }, 8},
		{"max", 1, 0.5, true, func(_, a, b, alpha, beta float64) float64 { return max(alpha*a, beta*b) }, 1},
		{"min", -1, 2, true, func(_, a, b, alpha, beta float64) float64 { return min(alpha*a, beta*b) }, 1},
		{"greater", 3, -0.25, true, func(_, a, b, alpha, beta float64) float64 {
			if a > b {
				return alpha
			}
			return beta
		}, 0},
		{"select", 0, 0, true, func(y, a, b, _, _ float64) float64 {
			if b == 0 {
				return a
			}
			return y
		}, 0},
	}
}

// broadcast says how b is broadcast: its strides along [batch, rows, c].
type broadcast struct {
	batch, rows, c                 int
	full                           bool
	strideBatch, strideRow, stride int
}

func (b broadcast) at(i int) int {
	return i/(b.rows*b.c)*b.strideBatch + i/b.c%b.rows*b.strideRow + i%b.c*b.stride
}

func (b broadcast) elements() int { return b.at(b.batch*b.rows*b.c-1) + 1 }

func broadcasts() []broadcast {
	var all []broadcast
	for _, shape := range [][3]int{{1, 1, 1}, {3, 5, 16}, {2, 3, 33}} {
		batch, rows, c := shape[0], shape[1], shape[2]
		all = append(all,
			broadcast{batch, rows, c, true, rows * c, c, 1},  // b has a's shape
			broadcast{batch, rows, c, false, rows * c, c, 1}, // the same, but described by strides
			broadcast{batch, rows, c, false, 0, 0, 1},        // one per column
			broadcast{batch, rows, c, false, c, 0, 1},        // one per image and column
			broadcast{batch, rows, c, false, rows, 1, 0},     // one per row
			broadcast{batch, rows, c, false, 1, 0, 0},        // one per image
			broadcast{batch, rows, c, false, 0, 0, 0},        // one
		)
	}
	return all
}

func TestMap(t *testing.T) {
	for _, f := range functions() {
		for _, s := range storages() {
			for _, b := range broadcasts() {
				if !f.two && !b.full {
					continue
				}
				for _, shift := range []int{0, formatOf(s).bytes()} {
					t.Run(name(f.name, s, b, shift), func(t *testing.T) { f.test(t, s, b, shift) })
				}
			}
		}
	}
}

func (f function) test(t *testing.T, s kernels.Storage, b broadcast, shift int) {
	n, src := b.batch*b.rows*b.c, newSource("map/"+f.name)
	y, x, w := src.values(n, s), src.values(n, s), src.values(b.elements(), s)
	if f.name == "select" {
		for i := range w {
			w[i] = float64(i % 2)
		}
	}
	const more = 2 // storage and float32 for b
	types := []kernels.Storage{s, kernels.Float32}
	if s == kernels.Float32 || !f.two {
		types = types[:1]
	}
	code, grid := kernels.MapCode(f.name), kernels.VectorPerThread(n, s)
	results := run(t, func(h *host) []pointer {
		var all []pointer
		for _, of := range types {
			a, second := h.uploadAt(shift, encode(s, x)), h.upload(encode(of, w))
			for _, accumulate := range []bool{false, true} {
				out := h.upload(encode(s, y))
				all = append(all, out)
				args := []any{out, a, null, n, code, f.alpha, f.beta, accumulate, b.full, of == kernels.Float32, b.rows, b.c, b.strideBatch, b.strideRow, b.stride}
				if f.two {
					args[2] = second
				}
				h.launch(kernels.Map.In(s), grid, args...)
			}
		}
		return all
	})
	for i, got := range results {
		if i%more == 1 && f.name == "select" {
			continue // this is not accumulated
		}
		want := newSums(n, f.ulps)
		for k := range n {
			v := f.value(y[k], x[k], w[b.at(k)], float64(f.alpha), float64(f.beta))
			terms := math.Abs(v) + math.Abs(float64(f.beta))
			if i%more == 1 {
				v, terms = v+y[k], terms+math.Abs(y[k])
			}
			want.set(k, v, terms)
		}
		if f.ulps == 0 && i%more == 1 {
			want.ulps = 1
		}
		want.check(t, f.name, s, got)
	}
}
