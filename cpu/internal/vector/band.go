package vector

import "unsafe"

// Band describes the operands of several rows of a depthwise convolution with 3 x 3 taps, stride 1 and no dilation.
//
//	Correlate3x3        y[i,j,c] = bias[c] + sum_{a,b} x[i+a-1,j+b-1,c] w[a,b,c]
//	CorrelateFilter3x3  w[a,b,c] += sum_{i,j} y[i,j,c] x[i+a-1,j+b-1,c]
//
// over rows i, pixels j, taps (a, b) and channels c, where y[i,j,c] is y[Y + i YRow + j Step + c], x[i,j,c] is
// x[X + i XRow + j Step + c], and w[a,b,c] is w[W + a WRow + b WTap + c]. All numbers are in elements; a step may be
// negative.
type Band struct {
	Rows, Pixels, Channels int // at least 1
	Step                   int
	Y, YRow                int
	X, XRow                int
	W, WRow, WTap          int
	// Whether x has a row above the first and below the last, and a column before the first and after the last. The sums
	// have fewer terms if it has not.
	Above, Below, Before, After bool
	// Whether y of Correlate3x3 is too large for the caches, so that its stores may bypass them.
	Stream bool
}

// check panics unless all operands are inside their slices.
func (g *Band) check(y, x, w []float32) {
	_ = y[g.Y+(g.Rows-1)*g.YRow+(g.Pixels-1)*g.Step+g.Channels-1]
	first, last := g.X, g.X+(g.Rows-1)*g.XRow+(g.Pixels-1)*g.Step+g.Channels-1
	for _, there := range []struct {
		is          bool
		step, after int
	}{{g.Above, -g.XRow, 0}, {g.Below, 0, g.XRow}, {g.Before, -g.Step, 0}, {g.After, 0, g.Step}} {
		if there.is {
			first, last = first+there.step, last+there.after
		}
	}
	_, _ = x[first], x[last]
	low, high := reach(g.W, g.Channels, [2]int{3, g.WRow}, [2]int{3, g.WTap})
	_, _ = w[low], w[high]
}

// span returns the pixels of y, [from, to), that have a pixel of x under column b of the filter.
func (g *Band) span(b int) (from, to int) {
	from, to = 0, g.Pixels
	if b == 0 && !g.Before {
		from++
	}
	if b == 2 && !g.After {
		to--
	}
	return from, max(from, to)
}

// eachRow visits the rows of y with each tap that sees a row of x: by the indices of the first pixel of y in [from, to),
// the pixel of x under the tap, and the tap.
func (g *Band) eachRow(visit func(y, x, w, pixels int)) {
	for i := range g.Rows {
		for b := range 3 {
			from, to := g.span(b)
			for a := range 3 {
				row := i + a - 1
				if row < 0 && !g.Above || row >= g.Rows && !g.Below {
					continue
				}
				visit(g.Y+i*g.YRow+from*g.Step, g.X+row*g.XRow+(from+b-1)*g.Step, g.W+a*g.WRow+b*g.WTap, to-from)
			}
		}
	}
}

// correlate3x3 is the definition of Correlate3x3.
func correlate3x3(y, bias, x, w []float32, g *Band) {
	g.check(y, x, w)
	c := g.Channels
	for i := range g.Rows {
		for j := range g.Pixels {
			copy(y[g.Y+i*g.YRow+j*g.Step:][:c], bias[:c])
		}
	}
	g.eachRow(func(yi, xi, wi, pixels int) {
		tap := w[wi:][:c]
		for j := range pixels {
			out := y[yi+j*g.Step:][:c]
			for k, v := range x[xi+j*g.Step:][:c] {
				out[k] += v * tap[k]
			}
		}
	})
}

// correlateFilter3x3 is the definition of CorrelateFilter3x3. A row of products is added up before it is added to w.
func correlateFilter3x3(w, y, x []float32, g *Band) {
	g.check(y, x, w)
	g.eachRow(func(yi, xi, wi, pixels int) {
		addPixels(w[wi:][:g.Channels], y[yi:], x[xi:], pixels, g.Step, g.Step)
	})
}

// tileColumns is the number of columns that a kernel for tiles computes.
const tileColumns = 4

// streamed reports whether the kernels whose stores bypass the caches can compute y: it is aligned to vectors of the
// length lanes, and its rows are at least as long as a tile.
func (g *Band) streamed(y []float32, lanes int) bool {
	at := uintptr(unsafe.Pointer(&y[g.Y])) / 4
	return g.Stream && g.Pixels >= tileColumns && (at|uintptr(g.YRow)|uintptr(g.Step))%uintptr(lanes) == 0
}

// ofBool returns 1 for true.
func ofBool(b bool) int {
	if b {
		return 1
	}
	return 0
}
