package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"trainer/cpu/internal/simd"
)

// product is the definition, in float64; it also returns the sum of the absolute values of
// the terms, to which rounding errors are proportional.
func product(i, j, k int, a []float32, lda int, trans bool, b []float32, ldb int) (sum, size float64) {
	for r := 0; r < k; r++ {
		at := i*lda + r
		if trans {
			at = r*lda + i
		}
		term := float64(a[at]) * float64(b[r*ldb+j])
		sum += term
		size += math.Abs(term)
	}
	return sum, size
}

func random(rng *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(rng.Float64()*2 - 1)
	}
	return s
}

// available returns the kernels that can run here, best first.
func available() (kernels []*Kernel) {
	for _, set := range simd.Available() {
		kernels = append(kernels, For(set))
	}
	return kernels
}

// eachKernel runs a test for every instruction set of this machine.
func eachKernel(t *testing.T, test func(t *testing.T, kn *Kernel)) {
	for _, kn := range available() {
		t.Run(kn.Name, func(t *testing.T) { test(t, kn) })
	}
}

// TestTile checks every kernel against the definition, and that it writes nothing outside
// its tile. Operands are no longer than necessary.
func TestTile(t *testing.T) {
	eachKernel(t, func(t *testing.T, kn *Kernel) {
		rng := rand.New(rand.NewPCG(1, 2))
		for m := 1; m <= kn.MR; m++ {
			for n := 1; n <= kn.NR; n++ {
				for _, trans := range []bool{false, true} {
					for _, k := range []int{1, 2, 3, 4, 5, 8, 31} {
						checkTile(t, kn, rng, m, n, k, trans)
					}
				}
			}
		}
	})
}

func checkTile(t *testing.T, kn *Kernel, rng *rand.Rand, m, n, k int, trans bool) {
	t.Helper()
	lda, ldb, ldc := k+rng.IntN(3), n+rng.IntN(3), n+1+rng.IntN(3)
	lenA := (m-1)*lda + k
	if trans {
		lda = m + rng.IntN(3)
		lenA = (k-1)*lda + m
	}
	a, b := random(rng, lenA), random(rng, (k-1)*ldb+n)
	c := random(rng, m*ldc)
	before := append([]float32(nil), c...)
	update, bias := randomUpdate(rng, n)
	kn.Tile(m, n, k, a, lda, trans, b, ldb, c, ldc, update)
	for i := 0; i < m; i++ {
		for j := 0; j < ldc; j++ {
			at := i*ldc + j
			if j >= n {
				if c[at] != before[at] {
					t.Fatalf("%dx%dx%d trans=%v: wrote C[%d][%d], outside the tile", m, n, k, trans, i, j)
				}
				continue
			}
			sum, size := product(i, j, k, a, lda, trans, b, ldb)
			first := float64(bias[j])
			if update == Add {
				first = float64(before[at])
			}
			sum, size = sum+first, size+math.Abs(first)
			if diff := math.Abs(float64(c[at]) - sum); diff > bound(k)*size {
				t.Fatalf("%dx%dx%d trans=%v: C[%d][%d] = %v, want %v +- %.1e", m, n, k, trans, i, j, c[at], sum, bound(k)*size)
			}
		}
	}
}

// randomUpdate returns one of the updates, and its bias, which is all zeros if the update
// has none.
func randomUpdate(rng *rand.Rand, n int) (Update, []float32) {
	bias := random(rng, n)
	switch rng.IntN(3) {
	case 0:
		return From(bias), bias
	case 1:
		return Add, make([]float32, n)
	}
	return Set, make([]float32, n)
}

// bound returns the bound on the relative error of a sum of k+1 terms, after Higham,
// "Accuracy and Stability of Numerical Algorithms", section 3.1: gamma_n = n u / (1 - n u),
// u = 2^-24.
func bound(k int) float64 {
	nu := float64(k+1) / (1 << 24)
	return nu / (1 - nu)
}

// TestTileSegments checks a sum in segments, with steps that overlap and that leave gaps.
func TestTileSegments(t *testing.T) {
	eachKernel(t, func(t *testing.T, kn *Kernel) {
		rng := rand.New(rand.NewPCG(5, 6))
		for range 2000 {
			m, n := 1+rng.IntN(kn.MR), 1+rng.IntN(kn.NR)
			segments := KSegments{N: 1 + rng.IntN(4), K: 1 + rng.IntN(9), StepA: rng.IntN(60), StepB: rng.IntN(200)}
			trans := rng.IntN(2) == 0
			lda, lenA := segments.K, m*segments.K
			if trans {
				lda, lenA = m, m*segments.K
			}
			a := random(rng, lenA+(segments.N-1)*segments.StepA)
			b := random(rng, segments.K*n+(segments.N-1)*segments.StepB)
			c := make([]float32, m*n)
			kn.TileSegments(m, n, segments, a, lda, trans, b, n, c, n, []Update{Add, Set}[rng.IntN(2)])
			for i := range m {
				for j := range n {
					var want, size float64
					for segment := range segments.N {
						s, z := product(i, j, segments.K, a[segment*segments.StepA:], lda, trans, b[segment*segments.StepB:], n)
						want, size = want+s, size+z
					}
					if got := float64(c[i*n+j]); math.Abs(got-want) > bound(segments.N*segments.K)*size {
						t.Fatalf("%dx%d %+v trans=%v: C[%d][%d] = %v, want %v", m, n, segments, trans, i, j, got, want)
					}
				}
			}
		}
	})
}

func TestMultiplyPacked(t *testing.T) {
	eachKernel(t, func(t *testing.T, kn *Kernel) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, n := range []int{1, 10, kn.NR, kn.NR + 1, 3*kn.NR - 1, 100} {
			for _, trans := range []bool{false, true} {
				const k = 37
				m := kn.MR
				b := random(rng, k*n)
				ldb := n
				if trans {
					ldb = k
				}
				packed := make([]float32, kn.PackedLen(k, n))
				for j := range kn.Panels(n) {
					kn.Pack(packed, j, k, n, b, ldb, trans)
				}
				a := random(rng, m*k)
				c := make([]float32, m*n)
				kn.Multiply(m, n, k, a, k, false, packed, c, n, Add)
				for i := range m {
					for j := range n {
						var want, size float64
						for r := range k {
							v := b[min(r*ldb+j, len(b)-1)]
							if trans {
								v = b[j*ldb+r]
							}
							want += float64(a[i*k+r]) * float64(v)
							size += math.Abs(float64(a[i*k+r]) * float64(v))
						}
						if got := float64(c[i*n+j]); math.Abs(got-want) > bound(k)*size {
							t.Fatalf("n=%d trans=%v: C[%d][%d] = %v, want %v", n, trans, i, j, got, want)
						}
					}
				}
			}
		}
	})
}

// FuzzTile compares every kernel with the definition on sizes and values from the fuzzer.
func FuzzTile(f *testing.F) {
	f.Add(uint64(1), byte(14), byte(32), byte(9), true)
	f.Fuzz(func(t *testing.T, seed uint64, m, n, k byte, trans bool) {
		for _, kn := range available() {
			rng := rand.New(rand.NewPCG(seed, 7))
			checkTile(t, kn, rng, 1+int(m)%kn.MR, 1+int(n)%kn.NR, 1+int(k), trans)
		}
	})
}

func TestSplitIsEven(t *testing.T) {
	kn := &Kernel{MR: 14}
	for m := 1; m < 200; m++ {
		panels, rows := kn.Split(m)
		if rows > kn.MR || rows*panels < m || rows*(panels-1) >= m {
			t.Fatalf("Split(%d) = %d panels of %d", m, panels, rows)
		}
	}
}

func BenchmarkTile(b *testing.B) {
	for _, kn := range available() {
		peak := kn.Peak(100 * time.Millisecond)
		for _, trans := range []bool{false, true} {
			for _, k := range []int{128, 192, 256, 384, 576} {
				b.Run(fmt.Sprintf("%s/trans=%v/k=%d", kn.Name, trans, k), func(b *testing.B) {
					n := 256
					rng := rand.New(rand.NewPCG(1, 1))
					a, packed, c := random(rng, kn.MR*k), random(rng, kn.PackedLen(k, n)), make([]float32, kn.MR*n)
					lda := k
					if trans {
						lda = kn.MR
					}
					for b.Loop() {
						kn.Multiply(kn.MR, n, k, a, lda, trans, packed, c, n, Add)
					}
					flops := 2 * float64(kn.MR) * float64(n) * float64(k) * float64(b.N) / b.Elapsed().Seconds()
					b.ReportMetric(flops/1e9, "GFLOP/s")
					b.ReportMetric(100*flops/peak, "%peak")
				})
			}
		}
	}
}
