package vector

// Correlation describes the operands of one row of a depthwise convolution. All numbers are in elements; a step may be
// negative.
//
//	Correlate        y[j,c] = bias[c] + sum_{a,b} x[j,a,b,c] w[a,b,c]
//	CorrelateFilter  w[a,b,c] += sum_j y[j,c] x[j,a,b,c]
//
// over pixels j, taps (a, b) and channels c, where y[j,c] is y[Y + j YStep + c], x[j,a,b,c] is x[X + j XStep + a XRow + b
// XTap + c], and w[a,b,c] is w[W + a WRow + b WTap + c].
type Correlation struct {
	Pixels, Channels int // at least 1
	Rows, Columns    int // of taps, at least 1
	Y, YStep         int
	X, XStep         int
	XRow, XTap       int
	W, WRow, WTap    int
	// YAhead and XAhead are the distances from y and x to the memory that the next row accesses first, which is prefetched.
	// It may be beyond the end of the slices.
	YAhead, XAhead int
}

// reach returns the lowest and the highest index that a loop accesses which begins at start and has for each of the steps a
// count and a distance.
func reach(start, channels int, steps ...[2]int) (low, high int) {
	low, high = start, start+channels-1
	for _, s := range steps {
		if far := (s[0] - 1) * s[1]; far < 0 {
			low += far
		} else {
			high += far
		}
	}
	return low, high
}

// check panics unless all operands are inside their slices.
func (g *Correlation) check(y, x, w []float32) {
	for _, o := range []struct {
		s     []float32
		start int
		steps [3][2]int
	}{
		{y, g.Y, [3][2]int{{g.Pixels, g.YStep}, {1, 0}, {1, 0}}},
		{x, g.X, [3][2]int{{g.Pixels, g.XStep}, {g.Rows, g.XRow}, {g.Columns, g.XTap}}},
		{w, g.W, [3][2]int{{g.Rows, g.WRow}, {g.Columns, g.WTap}, {1, 0}}},
	} {
		low, high := reach(o.start, g.Channels, o.steps[0], o.steps[1], o.steps[2])
		_, _ = o.s[low], o.s[high]
	}
}

// correlate is the definition of Correlate.
func correlate(y, bias, x, w []float32, g *Correlation) {
	g.check(y, x, w)
	c := g.Channels
	for j := range g.Pixels {
		out := y[g.Y+j*g.YStep:][:c]
		copy(out, bias[:c])
		for a := range g.Rows {
			for b := range g.Columns {
				in, tap := x[g.X+j*g.XStep+a*g.XRow+b*g.XTap:][:c], w[g.W+a*g.WRow+b*g.WTap:][:c]
				for k, v := range in {
					out[k] += v * tap[k]
				}
			}
		}
	}
}

// correlateFilter is the definition of CorrelateFilter. The products of all pixels are added up before they are added to w.
func correlateFilter(w, y, x []float32, g *Correlation) {
	g.check(y, x, w)
	for a := range g.Rows {
		for b := range g.Columns {
			addPixels(w[g.W+a*g.WRow+b*g.WTap:][:g.Channels], y[g.Y:], x[g.X+a*g.XRow+b*g.XTap:], g.Pixels, g.YStep, g.XStep)
		}
	}
}

// addPixels adds the sum over pixels of y*x to w, a few channels at a time.
func addPixels(w, y, x []float32, pixels, yStep, xStep int) {
	const few = 16
	for from := 0; from < len(w); from += few {
		var sums [few]float32
		part := w[from:min(from+few, len(w))]
		for j := range pixels {
			in, d := x[j*xStep+from:][:len(part)], y[j*yStep+from:][:len(part)]
			for k, v := range in {
				sums[k] += v * d[k]
			}
		}
		for k := range part {
			part[k] += sums[k]
		}
	}
}
