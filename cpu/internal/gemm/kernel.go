// Package gemm holds the micro-kernels of the packed matrix product and the loops around
// them, after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM
// TOMS 34(3), 2008.
package gemm

import "time"

// micro adds a product to a tile of C, which it keeps in registers:
//
//	C[i][j] += sum_k A[i][k] * B[k][j],   0 <= i < mr, 0 <= j < n
//
// For the kernels by rows, A[i][k] is a[i*lda+k], for those by columns a[k*lda+i]. B[k][j] is
// b[k*ldb+j], and C[i][j] is c[i*ldc+j]. The sum continues over all segments: after each, a
// advances by stepA elements and b by stepB. If set is not 0, the sum overwrites C, and C is
// not read; if bias is not nil, its n elements are added to each row. No element outside the
// operands is read or written.
type micro func(segments, k int, a *float32, lda, stepA int, b *float32, ldb, stepB int, c *float32, ldc int, n, set int, bias *float32)

// Indices into a Kernel's tables, by the number of columns.
const (
	oneVector = iota
	twoVectors
	full
)

// maxMR is the largest number of rows of any kernel's tile.
const maxMR = 14

// Kernel is a set of micro-kernels for one instruction set.
type Kernel struct {
	Name   string // "avx512", "avx2" or "generic"
	MR, NR int    // rows and columns of the full tile; NR is two vectors
	// byRows and byColumns hold, for each number of rows, the kernels for one vector of
	// columns, for two vectors, and for two full vectors.
	byRows, byColumns [maxMR + 1][3]micro
	peakFLOPs         int // floating-point operations in one round of peak
	peak              func(rounds int)
}

// Split returns the number of panels that m rows are divided into, and the number of rows of
// the largest panel. It divides as evenly as possible, because a panel of 2 rows costs nearly
// as much as one of 14.
func (kn *Kernel) Split(m int) (panels, rows int) {
	panels = (m + kn.MR - 1) / kn.MR
	return panels, (m + panels - 1) / panels
}

// Panels returns the number of panels of NR columns that n columns are packed into.
func (kn *Kernel) Panels(n int) int { return (n + kn.NR - 1) / kn.NR }

// Update says what a product does to its tile of C.
type Update struct {
	set  int
	bias *float32
}

// The updates without a bias.
var (
	Add = Update{}       // C += A B
	Set = Update{set: 1} // C = A B; C is not read
)

// From returns the update C = bias + A B, which adds the bias to each row, or Set if bias is
// nil. The bias has at least as many elements as the tile has columns.
func From(bias []float32) Update {
	if bias == nil {
		return Set
	}
	return Update{set: 1, bias: &bias[0]}
}

// column returns the update for the columns from j on.
func (u Update) column(j int) Update {
	if u.bias != nil {
		u.bias = add(u.bias, j)
	}
	return u
}

// Tile computes op(A) B for at most MR x NR elements of C. If trans is true, A is stored
// by columns.
func (kn *Kernel) Tile(m, n, k int, a []float32, lda int, trans bool, b []float32, ldb int, c []float32, ldc int, u Update) {
	kn.micro(m, n, trans)(1, k, &a[0], lda, 0, &b[0], ldb, 0, &c[0], ldc, n, u.set, u.bias)
}

// KSegments splits the sum over k in TileSegments into N segments of length K. From one
// segment to the next, a and b advance by StepA and StepB elements.
type KSegments struct {
	N, K         int
	StepA, StepB int
}

// TileSegments is Tile with the sum over k in segments.
func (kn *Kernel) TileSegments(m, n int, t KSegments, a []float32, lda int, trans bool, b []float32, ldb int, c []float32, ldc int, u Update) {
	kn.micro(m, n, trans)(t.N, t.K, &a[0], lda, t.StepA, &b[0], ldb, t.StepB, &c[0], ldc, n, u.set, u.bias)
}

func (kn *Kernel) micro(m, n int, trans bool) micro {
	width := oneVector
	switch {
	case n == kn.NR:
		width = full
	case n > kn.NR/2:
		width = twoVectors
	}
	if trans {
		return kn.byColumns[m][width]
	}
	return kn.byRows[m][width]
}

// Multiply computes C = A B, m x n with any n and m <= MR, where B was packed by Pack.
func (kn *Kernel) Multiply(m, n, k int, a []float32, lda int, trans bool, packed []float32, c []float32, ldc int, u Update) {
	for j := 0; j < n; j += kn.NR {
		kn.Tile(m, min(kn.NR, n-j), k, a, lda, trans, packed[j*k:], kn.NR, c[j:], ldc, u.column(j))
	}
}

// PackedLen returns the number of elements that Pack writes for a k x n matrix.
func (kn *Kernel) PackedLen(k, n int) int { return k * kn.Panels(n) * kn.NR }

// Pack copies panel j of B, k x n, to its place in packed: panels of NR columns, each k rows
// of NR contiguous elements, which a kernel reads from end to end. B[r][s] is b[r*ldb+s], or
// b[s*ldb+r] if trans is true.
func (kn *Kernel) Pack(packed []float32, j, k, n int, b []float32, ldb int, trans bool) {
	nr := kn.NR
	dst := packed[j*nr*k : (j+1)*nr*k]
	from := j * nr
	width := min(nr, n-from)
	if !trans {
		for r := 0; r < k; r++ {
			copy(dst[r*nr:r*nr+width], b[r*ldb+from:])
		}
		return
	}
	for s := 0; s < width; s++ {
		column := b[(from+s)*ldb:][:k]
		for r, v := range column {
			dst[r*nr+s] = v
		}
	}
}

// Peak measures the multiply-add rate of one thread for about d, in floating-point operations
// per second.
func (kn *Kernel) Peak(d time.Duration) float64 {
	segments := 1000
	for {
		start := time.Now()
		kn.peak(segments)
		took := time.Since(start)
		if took >= d {
			return float64(segments) * float64(kn.peakFLOPs) / took.Seconds()
		}
		segments *= 2
	}
}
