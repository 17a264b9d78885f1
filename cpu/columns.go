package cpu

// columns says how an array [rows, c] is walked when there is one number a column to
// be added up or applied. A block of few columns is too short a loop, so several rows
// are taken as one: the column's numbers are repeated reps times, width = reps*c of
// them, and a loop runs over width elements, or fewer in the last rows.
//
// Both row counts are multiples of reps, so that every piece begins at column 0.
type columns struct {
	c, reps, width int
	rowsPerChunk   int // of an elementwise task
	rowsPerSum     int // of a task that leaves one partial sum a column
}

const (
	// shortestWidth is where repeating columns ends.
	shortestWidth = 256
	// A task of a sum takes at least so many elements and rows: enough that the partial
	// sums, of 16 bytes for each 4-byte element of a row, are few beside the array.
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

// columnsPerMerge is how many columns a task of a merge handles.
const columnsPerMerge = 64

// merges returns the number of tasks that merge partial sums.
func (w columns) merges() int { return divideUp(w.c, columnsPerMerge) }

// merge adds up columns [from, to) of partial, which holds width numbers every stride,
// count times: task by task, then repetition by repetition.
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
