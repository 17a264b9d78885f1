package cpu

// columns says how to loop over an array [rows, c] when one number per column is to be
// accumulated or applied. A loop over few columns is too short, so several rows are taken
// as one: the numbers of the columns are repeated reps times, to width = reps*c of them,
// and a loop runs over width elements, or over fewer at the last rows.
//
// rowsPerChunk and rowsPerSum are multiples of reps, so that every piece begins at column
// 0.
type columns struct {
	c, reps, width int
	rowsPerChunk   int // of an elementwise task
	rowsPerSum     int // of a task that leaves one partial sum per column
}

const (
	// shortestWidth is the width at which the repeating of columns stops.
	shortestWidth = 256
	// A summing task takes at least this many elements and rows, so that the partial sums
	// (16 bytes per 4-byte element of a row) stay small compared with the array.
	elementsPerSum = 32768
	minRowsOfSum   = 128
)

func newColumns(c int) columns {
	reps := max(1, shortestWidth/c)
	whole := func(rows int) int { return divideUp(rows, reps) * reps }
	return columns{
		c: c, reps: reps, width: reps * c,
		rowsPerChunk: whole(max(1, chunk/c)),
		rowsPerSum:   whole(max(minRowsOfSum, elementsPerSum/c)),
	}
}

// chunkSpan returns the elements [from, to) of elementwise task i over rows rows.
func (w columns) chunkSpan(i, rows int) (from, to int) {
	return i * w.rowsPerChunk * w.c, min((i+1)*w.rowsPerChunk, rows) * w.c
}

// sumSpan returns the elements [from, to) of summing task i over rows rows.
func (w columns) sumSpan(i, rows int) (from, to int) {
	return i * w.rowsPerSum * w.c, min((i+1)*w.rowsPerSum, rows) * w.c
}

// chunks returns the number of elementwise tasks.
func (w columns) chunks(rows int) int { return divideUp(rows, w.rowsPerChunk) }

// sums returns the number of summing tasks.
func (w columns) sums(rows int) int { return divideUp(rows, w.rowsPerSum) }

// columnsPerMerge is the number of columns per task when partial sums are merged.
const columnsPerMerge = 64

// merges returns the number of tasks that merge partial sums.
func (w columns) merges() int { return divideUp(w.c, columnsPerMerge) }

// merge adds columns [from, to) of partial, which holds count groups of width numbers,
// stride apart: task by task, then repetition by repetition.
func (w columns) merge(dst, partial []float64, from, to, stride, count int) {
	dst = dst[from:to]
	clear(dst)
	for i := 0; i < count; i++ {
		for r := 0; r < w.reps; r++ {
			at := i*stride + r*w.c
			for j, v := range partial[at+from : at+to] {
				dst[j] += v
			}
		}
	}
}

// repeat sets element j of every repetition in dst, of width numbers, to v.
func (w columns) repeat(dst []float32, j int, v float32) {
	for ; j < len(dst); j += w.c {
		dst[j] = v
	}
}

// tile fills dst, of width numbers or fewer, with repetitions of row, of c numbers.
func (w columns) tile(dst, row []float32) {
	for len(dst) > 0 {
		dst = dst[copy(dst, row):]
	}
}
