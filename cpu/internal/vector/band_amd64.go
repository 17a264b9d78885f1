//go:build amd64 && !noasm

package vector

import "unsafe"

type (
	bandKernel = func(y, bias, above, x, below, w *float32,
		n, c, step, xRow, yRow, wRow, wTap, left, right, xAhead, yAhead, spread int)
	streamKernel = func(y, bias, above, x, below, w *float32,
		c, step, xRow, yRow, wRow, wTap, left, right, xAhead int)
	bandFilterKernel = func(dw, y, above, x, below *float32,
		n, c, step, xRow, yRow, wRow, wTap, left, right, xAhead, yAhead, spread int)
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
				ofBool(g.Before), ofBool(g.After), b*p.xAhead, b*p.yAhead, g.Pixels)
			row += rows
		}
	}
}

// orStream joins kernels for tiles of 2^k rows, down to one, whose stores bypass the caches. otherwise computes what they
// can't. The last tile of a row may overlap the one before, whose pixels it computes again.
func orStream(otherwise func(y, bias, x, w []float32, g *Band), lanes int, fence func(), kernels ...streamKernel) func(y, bias, x, w []float32, g *Band) {
	return func(y, bias, x, w []float32, g *Band) {
		if !g.streamed(y, lanes) {
			otherwise(y, bias, x, w, g)
			return
		}
		g.check(y, x, w)
		_ = bias[g.Channels-1]
		for row := 0; row < g.Rows; {
			i, rows := rowsOfKernel(len(kernels), g.Rows-row)
			p := g.part(row, rows, x)
			for next := 0; next < g.Pixels; next += tileColumns {
				from := min(next, g.Pixels-tileColumns)
				const b = bytesPerFloat
				at := from * g.Step
				kernels[i](&y[p.y+at], &bias[0], moved(p.above, at), &x[p.x+at], moved(p.below, at), &w[g.W],
					g.Channels, b*g.Step, b*g.XRow, b*g.YRow, b*g.WRow, b*g.WTap,
					ofBool(from > 0 || g.Before), ofBool(from+tileColumns < g.Pixels || g.After), b*p.xAhead)
			}
			row += rows
		}
		fence()
	}
}

// moved returns the pointer n elements after p, or nil for nil.
func moved(p *float32, n int) *float32 {
	if p == nil {
		return nil
	}
	return (*float32)(unsafe.Add(unsafe.Pointer(p), bytesPerFloat*n))
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
				ofBool(g.Before), ofBool(g.After), b*p.xAhead, b*p.yAhead, g.Pixels)
			row += rows
		}
	}
}
