package cpu

import "trainer/cpu/internal/gemm"

// A sum of k terms in one float32 accumulator has a rounding error that grows with sqrt(k), because each addition rounds
// the whole sum so far, and with k in the worst case (Higham, "The Accuracy of Floating Point Summation", 1993). In blocks
// of length b, whose sums are then added, it grows with sqrt(b + k/b). So long sums are taken in blocks. Sums of up to
// longestSum terms are not: loading and storing a result once per block costs time.
const (
	longestSum = 9 * 512 // 3 x 3 taps of 512 channels
	blockSum   = 512
)

// sumLength returns the length of the blocks of a sum of k terms.
func sumLength(k int) int {
	if k <= longestSum {
		return k
	}
	return blockSum
}

// sumBlock is a block of the direct convolution's sum, which begins at element a of the first patch and at element b of a
// panel of filters.
type sumBlock struct {
	gemm.KSegments
	a, b int
}

// sumBlocks returns the blocks of a sum over rows of run elements each, which are stepA apart in the image: whole rows, or
// parts of rows that are longer than a block. Each element of a sum meets columns filters.
func sumBlocks(rows, run, stepA, columns int) []sumBlock {
	length := sumLength(rows * run)
	var blocks []sumBlock
	if run <= length {
		for row, n := 0, length/run; row < rows; row += n {
			s := gemm.KSegments{N: min(n, rows-row), K: run, StepA: stepA, StepB: run * columns}
			blocks = append(blocks, sumBlock{s, row * stepA, row * run * columns})
		}
		return blocks
	}
	for row := range rows {
		for k := 0; k < run; k += length {
			s := gemm.KSegments{N: 1, K: min(length, run-k)}
			blocks = append(blocks, sumBlock{s, row*stepA + k, (row*run + k) * columns})
		}
	}
	return blocks
}

// accumulators is the number of accumulators per column in package vector's AddRows.
const accumulators = 4

// addManyRows adds every row of len(sum) elements of x to sum. If rows, the number of all rows that are added to sum in
// one call or several, is large, they are taken in blocks; block has room for the sums of one.
func (d *Device) addManyRows(sum, x, block []float32, rows int) {
	if rows <= longestSum*accumulators {
		d.vector.AddRows(sum, x)
		return
	}
	block = block[:len(sum)]
	for len(x) > 0 {
		n := min(blockSum*accumulators*len(sum), len(x))
		clear(block)
		d.vector.AddRows(block, x[:n])
		d.vector.AddRows(sum, block)
		x = x[n:]
	}
}
