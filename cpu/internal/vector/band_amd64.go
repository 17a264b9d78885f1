//go:build amd64 && !noasm

package vector

type (
	bandKernel = func(y, bias, above, x, below, w *float32,
		n, c, step, xRow, yRow, wRow, wTap, left, right, xAhead, yAhead int)
	bandFilterKernel = func(dw, y, above, x, below *float32,
		n, c, step, xRow, yRow, wRow, wTap, left, right, xAhead, yAhead int)
)

// bandPart holds the places at which the operands of one call of a kernel begin.
type bandPart struct {
	y, x         int
	above, below *float32 // rows of x, or nil
	// The distances from x and y to the memory that the next rows access first, which is prefetched.
	xAhead, yAhead int
}

// part returns the operands of rows rows from row on.
func (g *Band) part(row, rows int, x []float32) bandPart {
	p := bandPart{y: g.Y + row*g.YRow, x: g.X + row*g.XRow, xAhead: (rows + 1) * g.XRow, yAhead: rows * g.YRow}
	if row > 0 || g.Above {
		p.above = &x[p.x-g.XRow]
	}
	if row+rows < g.Rows || g.Below {
		p.below = &x[p.x+rows*g.XRow]
	}
	return p
}

// rowsOfKernel returns the index of the kernel for the next of left rows, and its rows: the first kernel is for the most
// rows, and each of the following for half as many, down to one.
func rowsOfKernel(kernels, left int) (index, rows int) {
	for rows = 1 << (kernels - 1); rows > left; rows /= 2 {
		index++
	}
	return index, rows
}

// correlate3x3Of joins kernels for 2^k rows, down to one.
func correlate3x3Of(kernels ...bandKernel) func(y, bias, x, w []float32, g *Band) {
	return func(y, bias, x, w []float32, g *Band) {
		g.check(y, x, w)
		_ = bias[g.Channels-1]
		for row := 0; row < g.Rows; {
			i, rows := rowsOfKernel(len(kernels), g.Rows-row)
			p := g.part(row, rows, x)
			const b = bytesPerFloat
			kernels[i](&y[p.y], &bias[0], p.above, &x[p.x], p.below, &w[g.W], g.Pixels, g.Channels, b*g.Step, b*g.XRow, b*g.YRow, b*g.WRow, b*g.WTap,
				ofBool(g.Before), ofBool(g.After), b*p.xAhead, b*p.yAhead)
			row += rows
		}
	}
}

// correlateFilter3x3Of joins kernels for 2^k rows, down to one.
func correlateFilter3x3Of(kernels ...bandFilterKernel) func(w, y, x []float32, g *Band) {
	return func(w, y, x []float32, g *Band) {
		g.check(y, x, w)
		for row := 0; row < g.Rows; {
			i, rows := rowsOfKernel(len(kernels), g.Rows-row)
			p := g.part(row, rows, x)
			const b = bytesPerFloat
			kernels[i](&w[g.W], &y[p.y], p.above, &x[p.x], p.below, g.Pixels, g.Channels, b*g.Step, b*g.XRow, b*g.YRow, b*g.WRow, b*g.WTap,
				ofBool(g.Before), ofBool(g.After), b*p.xAhead, b*p.yAhead)
			row += rows
		}
	}
}
