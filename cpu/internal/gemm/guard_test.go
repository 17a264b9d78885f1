package gemm

import (
	"math"
	"math/rand/v2"
	"testing"

	"trainer/cpu/internal/guard"
)

// TestTileTouchesNothingOutside runs every kernel on operands that end, or begin, at pages
// that fault, and checks the result against the definition.
func TestTileTouchesNothingOutside(t *testing.T) {
	const bytes = 4 * 40 * 40
	regions := [4]*guard.Region{guard.New(t, bytes), guard.New(t, bytes), guard.New(t, bytes), guard.New(t, bytes)}
	eachKernel(t, func(t *testing.T, kn *Kernel) {
		rng := rand.New(rand.NewPCG(11, 12))
		for m := 1; m <= kn.MR; m++ {
			for n := 1; n <= kn.NR; n++ {
				for _, k := range []int{1, 2, 4, 7} {
					for _, trans := range []bool{false, true} {
						checkEdges(t, kn, rng, regions, m, n, k, trans, true)
						checkEdges(t, kn, rng, regions, m, n, k, trans, false)
					}
				}
			}
		}
	})
}

func checkEdges(t *testing.T, kn *Kernel, rng *rand.Rand, regions [4]*guard.Region, m, n, k int, trans, end bool) {
	t.Helper()
	place := guard.AtStart[float32]
	if end {
		place = guard.AtEnd[float32]
	}
	lda, lenA, ldb, ldc := k+rng.IntN(2), 0, n+rng.IntN(2), n+rng.IntN(2)
	lenA = (m-1)*lda + k
	if trans {
		lda = m + rng.IntN(2)
		lenA = (k-1)*lda + m
	}
	for _, r := range regions {
		r.Fill()
	}
	a, b, c := place(regions[0], lenA), place(regions[1], (k-1)*ldb+n), place(regions[2], (m-1)*ldc+n)
	for _, s := range [][]float32{a, b, c} {
		copy(s, random(rng, len(s)))
	}
	before := append([]float32(nil), c...)
	update := []Update{Add, Set}[rng.IntN(2)]
	if rng.IntN(3) == 0 {
		bias := place(regions[3], n)
		copy(bias, make([]float32, n))
		update = From(bias)
	}
	kn.Tile(m, n, k, a, lda, trans, b, ldb, c, ldc, update)
	for i := range c {
		row, j := i/ldc, i%ldc
		if j >= n {
			if c[i] != before[i] {
				t.Fatalf("%dx%dx%d trans=%v end=%v: wrote between the rows of C", m, n, k, trans, end)
			}
			continue
		}
		sum, size := product(row, j, k, a, lda, trans, b, ldb)
		if update == Add {
			sum, size = sum+float64(before[i]), size+math.Abs(float64(before[i]))
		}
		if math.Abs(float64(c[i])-sum) > bound(k)*size {
			t.Fatalf("%dx%dx%d trans=%v end=%v: C[%d][%d] = %v, want %v", m, n, k, trans, end, row, j, c[i], sum)
		}
	}
	if !guard.Untouched(regions[0], a, end) || !guard.Untouched(regions[1], b, end) || !guard.Untouched(regions[2], c, end) {
		t.Fatalf("%dx%dx%d trans=%v end=%v: wrote beside an operand", m, n, k, trans, end)
	}
}
