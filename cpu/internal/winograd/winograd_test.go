package winograd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"trainer/cpu/internal/guard"
	"trainer/cpu/internal/simd"
)

// eachKernel runs a test for every instruction set of this machine.
func eachKernel(t *testing.T, test func(t *testing.T, k *Kernels)) {
	for _, set := range simd.Available() {
		t.Run(string(set), func(t *testing.T) { test(t, For(set)) })
	}
}

// matrix holds the rows of a matrix.
type matrix [][]float64

// The matrices as the package's comment defines them, derived from the points one by one.
var finite = []float64{0, 0.75, -0.75, 1.5, -1.5}

// polynomial returns the coefficients of the product of (z - q) over all points q except
// one.
func polynomial(leaveOut int) []float64 {
	p := []float64{1}
	for i, q := range finite {
		if i == leaveOut {
			continue
		}
		next := make([]float64, len(p)+1)
		for j, c := range p {
			next[j+1] += c
			next[j] -= q * c
		}
		p = next
	}
	return p
}

func inputMatrix() matrix {
	b := make(matrix, Size)
	for i := range b {
		b[i] = make([]float64, Size)
		copy(b[i], polynomial(i)) // for i = 5, infinity, nothing is left out
	}
	return b
}

func filterMatrix(r int) matrix {
	g := make(matrix, Size)
	for i := range g {
		g[i] = make([]float64, r)
		if i == Size-1 {
			g[i][r-1] = 1
			continue
		}
		distances := 1.0
		for j, q := range finite {
			if j != i {
				distances *= finite[i] - q
			}
		}
		for j := range g[i] {
			g[i][j] = math.Pow(finite[i], float64(j)) / distances
		}
	}
	return g
}

func outputMatrix(m int) matrix {
	a := make(matrix, m)
	for j := range a {
		a[j] = make([]float64, Size)
		for i, p := range finite {
			a[j][i] = math.Pow(p, float64(j))
		}
	}
	a[m-1][Size-1] = 1
	return a
}

// both returns m x m^T, and the same with absolute values, to which rounding errors are
// proportional.
func both(m matrix, x func(i, j int) float64) (value, size matrix) {
	n := len(m[0])
	value, size = make(matrix, len(m)), make(matrix, len(m))
	for i := range m {
		value[i], size[i] = make([]float64, len(m)), make([]float64, len(m))
		for j := range m {
			for a := range n {
				for b := range n {
					term := m[i][a] * x(a, b) * m[j][b]
					value[i][j] += term
					size[i][j] += math.Abs(term)
				}
			}
		}
	}
	return value, size
}

// transformUlps bounds the error of two passes with at most four roundings each, and of the
// rounded elements of the matrices, in units of 2^-24 of the sum of the absolute values of
// the terms.
const transformUlps = 16

func wrong(got float32, want, size float64) bool {
	return !(math.Abs(float64(got)-want) <= transformUlps*size/(1<<24))
}

func random(rng *rand.Rand, s []float32) {
	for i := range s {
		s[i] = float32(rng.Float64()*2 - 1)
	}
}

// TestTransforms checks every transform against the matrices, with operands that begin or
// end at pages that fault, and checks that it writes nothing except its results.
func TestTransforms(t *testing.T) {
	const room = 4 * Values * 80
	regions := [2]*guard.Region{guard.New(t, room), guard.New(t, room)}
	eachKernel(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(1, 2))
		scratch := NewScratch(func(n int) []float32 { return make([]float32, n+16) })
		scratch = alignedTo64(scratch)
		for n := 1; n <= 37; n++ {
			for _, end := range []bool{false, true} {
				c := operands{t: t, rng: rng, regions: regions, n: n, end: end}
				c.toTile("input", Size, inputMatrix(), func(v []float32, step int, x Grid) { k.InputTransform(v, step, x, n, scratch) })
				for r := 2; r < Size; r++ {
					c.toTile(fmt.Sprint("filterTransform", r), r, filterMatrix(r), func(v []float32, step int, x Grid) { k.FilterTransform(r, v, step, x, n, scratch) })
					c.fromTile(r, k, scratch)
				}
			}
		}
	})
}

// operands holds the data of one case.
type operands struct {
	t       *testing.T
	rng     *rand.Rand
	regions [2]*guard.Region
	n       int
	end     bool
}

func (c operands) place(region, length int) []float32 {
	c.regions[region].Fill()
	if c.end {
		return guard.AtEnd[float32](c.regions[region], length)
	}
	return guard.AtStart[float32](c.regions[region], length)
}

// grid places size x size pixels, row by row or, at random, in reverse.
func (c operands) grid(region, size int) Grid {
	column := c.n + c.rng.IntN(3)
	row := size*column + c.rng.IntN(3)
	g := Grid{Data: c.place(region, (size-1)*(row+column)+c.n), Row: row, Column: column}
	if c.rng.IntN(2) == 0 {
		g.At, g.Row, g.Column = (size-1)*(row+column), -row, -column
	}
	return g
}

func (g Grid) at(i, j, c int) *float32 { return &g.Data[g.At+i*g.Row+j*g.Column+c] }

func (c operands) toTile(name string, size int, m matrix, run func(v []float32, step int, x Grid)) {
	c.t.Helper()
	x := c.grid(0, size)
	random(c.rng, x.Data)
	step := c.n + c.rng.IntN(3)
	v := c.place(1, (Values-1)*step+c.n)
	before := append([]float32(nil), v...)
	run(v, step, x)
	for ch := range c.n {
		want, bound := both(m, func(i, j int) float64 { return float64(*x.at(i, j, ch)) })
		for i := range Values {
			if got := v[i*step+ch]; wrong(got, want[i/Size][i%Size], bound[i/Size][i%Size]) {
				c.t.Fatalf("%s of %d channels: value %d of channel %d is %v, want %v", name, c.n, i, ch, got, want[i/Size][i%Size])
			}
		}
	}
	for i := range v {
		if i%step >= c.n && math.Float32bits(v[i]) != math.Float32bits(before[i]) {
			c.t.Fatalf("%s of %d channels wrote between the values", name, c.n)
		}
	}
	c.untouched(name, x.Data, v)
}

func (c operands) untouched(name string, first, second []float32) {
	c.t.Helper()
	if !guard.Untouched(c.regions[0], first, c.end) || !guard.Untouched(c.regions[1], second, c.end) {
		c.t.Fatalf("%s of %d channels wrote beside an operand", name, c.n)
	}
}

func (c operands) fromTile(m int, k *Kernels, scratch []float32) {
	c.t.Helper()
	y := c.grid(0, m)
	step := c.n + c.rng.IntN(3)
	v := c.place(1, (Values-1)*step+c.n)
	random(c.rng, v)
	bias := make([]float32, c.n)
	random(c.rng, bias)
	floor := float32(math.Inf(-1))
	if c.rng.IntN(2) == 0 {
		floor = 0
	}
	written := map[*float32]bool{}
	before := append([]float32(nil), y.Data...)
	k.OutputTransform(m, y, v, step, c.n, bias, floor, scratch)
	for ch := range c.n {
		want, bound := both(outputMatrix(m), func(i, j int) float64 { return float64(v[(Size*i+j)*step+ch]) })
		for i := range m {
			for j := range m {
				sum := max(want[i][j]+float64(bias[ch]), float64(floor))
				at := y.at(i, j, ch)
				written[at] = true
				if wrong(*at, sum, bound[i][j]+math.Abs(float64(bias[ch]))) {
					c.t.Fatalf("outputTransform%d of %d channels: pixel %d, %d of channel %d is %v, want %v", m, c.n, i, j, ch, *at, sum)
				}
			}
		}
	}
	for i := range y.Data {
		if !written[&y.Data[i]] && math.Float32bits(y.Data[i]) != math.Float32bits(before[i]) {
			c.t.Fatalf("outputTransform%d of %d channels wrote between the pixels", m, c.n)
		}
	}
	c.untouched(fmt.Sprint("outputTransform", m), y.Data, v)
}

// TestNaN checks that NaN stays NaN, even through the floor.
func TestNaN(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernels) {
		const n = 19
		scratch := alignedTo64(NewScratch(func(n int) []float32 { return make([]float32, n+16) }))
		v := make([]float32, Values*n)
		v[0] = float32(math.NaN())
		y := make([]float32, 16*n)
		k.OutputTransform(4, Grid{Data: y, Row: 4 * n, Column: n}, v, n, n, make([]float32, n), 0, scratch)
		if !math.IsNaN(float64(y[0])) || y[1] != 0 {
			t.Errorf("the first channels are %v and %v, want NaN and 0", y[0], y[1])
		}
	})
}

// TestError measures the error of whole products over random operands, as stated in the
// package comment: in units of 2^-24 of the sum of the absolute values of the products.
func TestError(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernels) {
		for _, r := range []int{2, 3, 4, 5} {
			for _, low := range []float64{-1, 0} {
				rms, most := productError(k, r, 32, low)
				t.Logf("%d x %d taps, operands from %v to 1: root mean square %.2f, largest %.1f", r, r, low, rms, most)
				if rms > 2 || most > 16 {
					t.Errorf("%d x %d taps: the error is %.2f, the largest %.1f", r, r, rms, most)
				}
			}
		}
	})
}

// productError returns the errors of tiles of products over c channels.
func productError(k *Kernels, r, c int, low float64) (rms, most float64) {
	const trials = 200
	m := Size + 1 - r
	rng := rand.New(rand.NewPCG(3, uint64(r)))
	scratch := alignedTo64(NewScratch(func(n int) []float32 { return make([]float32, n+16) }))
	x, w, y := make([]float32, Values*c), make([]float32, r*r*c), make([]float32, m*m)
	v, u, sum := make([]float32, Values*c), make([]float32, Values*c), make([]float32, Values)
	var squares float64
	for range trials {
		for _, s := range [][]float32{x, w} {
			for i := range s {
				s[i] = float32(low + rng.Float64()*(1-low))
			}
		}
		k.InputTransform(v, c, Grid{Data: x, Row: Size * c, Column: c}, c, scratch)
		k.FilterTransform(r, u, c, Grid{Data: w, Row: r * c, Column: c}, c, scratch)
		for i := range sum {
			sum[i] = 0
			for ch := range c {
				sum[i] += v[i*c+ch] * u[i*c+ch]
			}
		}
		k.OutputTransform(m, Grid{Data: y, Row: m, Column: 1}, sum, 1, 1, []float32{0}, float32(math.Inf(-1)), scratch)
		for i := range y {
			want, size := direct(x, w, r, c, i/m, i%m)
			e := math.Abs(float64(y[i])-want) / size * (1 << 24)
			squares, most = squares+e*e, max(most, e)
		}
	}
	return math.Sqrt(squares / float64(trials*m*m)), most
}

// direct is the definition of one pixel.
func direct(x, w []float32, r, c, i, j int) (sum, size float64) {
	for a := range r {
		for b := range r {
			for ch := range c {
				term := float64(x[((i+a)*Size+j+b)*c+ch]) * float64(w[(a*r+b)*c+ch])
				sum, size = sum+term, size+math.Abs(term)
			}
		}
	}
	return sum, size
}

func TestChecks(t *testing.T) {
	k := For(simd.Generic)
	scratch := make([]float32, scratchLen)
	v := make([]float32, Values*4)
	for name, run := range map[string]func(){
		"pixels behind the end": func() {
			k.InputTransform(v, 4, Grid{Data: make([]float32, Values*4-1), Row: 24, Column: 4}, 4, scratch)
		},
		"pixels before the beginning": func() {
			k.InputTransform(v, 4, Grid{Data: make([]float32, Values*4), At: Values*4 - 4, Row: -25, Column: -4}, 4, scratch)
		},
		"values behind the end": func() {
			k.FilterTransform(3, v[:Values*4-1], 4, Grid{Data: make([]float32, 36), Row: 12, Column: 4}, 4, scratch)
		},
		"no channels": func() { k.FilterTransform(3, v, 4, Grid{Data: make([]float32, 36), Row: 12, Column: 4}, 0, scratch) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			run()
		}()
	}
}

// FuzzTransforms compares every transform with the matrices on sizes and values from the
// fuzzer.
func FuzzTransforms(f *testing.F) {
	f.Add(uint64(1), byte(17), true)
	const most = 40
	regions := [2]*guard.Region{guard.New(f, 4*Values*2*most), guard.New(f, 4*Values*2*most)}
	f.Fuzz(func(t *testing.T, seed uint64, n byte, end bool) {
		scratch := alignedTo64(NewScratch(func(n int) []float32 { return make([]float32, n+16) }))
		c := operands{t: t, rng: rand.New(rand.NewPCG(seed, 5)), regions: regions, n: 1 + int(n)%most, end: end}
		for _, set := range simd.Available() {
			k := For(set)
			c.toTile("input", Size, inputMatrix(), func(v []float32, step int, x Grid) { k.InputTransform(v, step, x, c.n, scratch) })
			for r := 2; r < Size; r++ {
				c.toTile(fmt.Sprint("filterTransform", r), r, filterMatrix(r), func(v []float32, step int, x Grid) { k.FilterTransform(r, v, step, x, c.n, scratch) })
				c.fromTile(r, k, scratch)
			}
		}
	})
}
