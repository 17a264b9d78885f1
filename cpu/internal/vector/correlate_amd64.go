//go:build amd64 && !noasm

package vector

// bytesPerFloat is the size of an element.
const bytesPerFloat = 4

type (
	correlateKernel       = func(y, bias, x, w *float32, n, c, yStep, xStep, xTap, xSkip, wTap, wSkip, rows, columns, yAhead, xAhead int)
	correlateFilterKernel = func(dw, dy, x *float32, n, c, yStep, xStep, xTap, xRow, wTap, wRow, yAhead, xAhead int)
)

func correlateOf(f correlateKernel) func(y, bias, x, w []float32, g *Correlation) {
	return func(y, bias, x, w []float32, g *Correlation) {
		g.check(y, x, w)
		_ = bias[g.Channels-1]
		const b = bytesPerFloat
		f(&y[g.Y], &bias[0], &x[g.X], &w[g.W], g.Pixels, g.Channels, b*g.YStep, b*g.XStep, b*g.XTap, b*(g.XRow-g.Columns*g.XTap),
			b*g.WTap, b*(g.WRow-g.Columns*g.WTap), g.Rows, g.Columns, b*g.YAhead, b*g.XAhead)
	}
}

// correlateFilters are the kernels by rows and columns of taps.
type correlateFilters struct{ f3x3, f2x5, f1x5, f1x4, f1x3, f1x2, f1x1 correlateFilterKernel }

// filterOf computes any number of taps by kernels for a few: as many sums as hide the latency of the multiply-adds and
// fit the registers.
func (k correlateFilters) filterOf() func(w, y, x []float32, g *Correlation) {
	return func(w, y, x []float32, g *Correlation) {
		g.check(y, x, w)
		for column := 0; column < g.Columns; {
			rows, f, columns := 1, k.f1x1, 1
			several := f
			switch left := g.Columns - column; {
			case left == 3:
				rows, several, f, columns = 3, k.f3x3, k.f1x3, 3
			case left >= 5:
				rows, several, f, columns = 2, k.f2x5, k.f1x5, 5
			case left == 4:
				f, columns = k.f1x4, 4
			case left == 2:
				f, columns = k.f1x2, 2
			}
			for row := 0; row < g.Rows; {
				run, count := f, 1
				if rows > 1 && g.Rows-row >= rows {
					run, count = several, rows
				}
				const b = bytesPerFloat
				run(&w[g.W+row*g.WRow+column*g.WTap], &y[g.Y], &x[g.X+row*g.XRow+column*g.XTap], g.Pixels, g.Channels,
					b*g.YStep, b*g.XStep, b*g.XTap, b*g.XRow, b*g.WTap, b*g.WRow, b*g.YAhead, b*g.XAhead)
				row += count
			}
			column += columns
		}
	}
}
