package cpu

import (
	"trainer/cpu/internal/vector"
	"trainer/nn/device"
)

// depthwise is a convolution in which each channel of x has m filters of its own: output channel o = c*m + r is computed
// from channel c by its filter r. With stride s, padding p and dilation d, and row = i s + a d - p, col = j s + b d - p,
//
//	Forward         y[n,i,j,o] = bias[o] + sum_{a,b} x[n,row,col,c] w[o,a,b]
//	BackwardData    dx[n,u,v,c] = sum_r sum dy[n,i,j,o] w[o,a,b]        over all a, b, i, j with row = u and col = v
//	BackwardFilter  dw[o,a,b] = sum_{n,i,j} dy[n,i,j,o] x[n,row,col,c]
//
// As a matrix product, each channel would have only m columns, and most lanes of a vector would be empty. Instead the loops
// run along the channels, which are adjacent in memory: the filters are transposed to [kH,kW,outC] once per call, and
// package vector computes runs of pixels that use the same taps. For the usual case, 3 x 3 taps with stride 1, it has kernels
// that compute several rows at once, so that each pixel is loaded about once (see vector.Band).
//
// If m > 1, a task of the forward and filter passes first repeats each channel of its rows of x m times, in the cache; a
// task of the data pass adds up m channels of dx at the end. So all loops work on outC channels.
type depthwise struct {
	d    *Device
	spec device.Conv2DSpec
	c    int // output channels
	m    int // filters per input channel

	forward, backward depthwisePass
	filter            depthwiseFilter
	weights           []float32   // [kH,kW,c]
	zeros             []float32   // [c]
	scratch           [][]float32 // per worker: rows of x or dx with c channels, if m > 1
}

// isDepthwise reports whether each channel of x has filters of its own.
func isDepthwise(s device.Conv2DSpec) bool { return s.Groups > 1 && s.Groups == s.InC }

func newDepthwise(d *Device, s device.Conv2DSpec, relu bool) *depthwise {
	p := &depthwise{d: d, spec: s, c: s.OutC, m: s.OutC / s.InC, weights: aligned[float32](s.KH * s.KW * s.OutC), zeros: aligned[float32](s.OutC)}
	rows, columns := forwardTaps(s.OutH(), s.KH, s.StrideH, s.PadH, s.DilationH, s.H), forwardTaps(s.OutW(), s.KW, s.StrideW, s.PadW, s.DilationW, s.W)
	need := p.forward.init(p, imageRows{rows, columns, s.H, s.W}, s.PadH, s.PadW, 1)
	p.forward.relu = relu
	if !s.NoBackward && !s.NoBackwardData {
		back := imageRows{
			backwardTaps(s.H, s.KH, s.StrideH, s.PadH, s.DilationH, s.OutH()),
			backwardTaps(s.W, s.KW, s.StrideW, s.PadW, s.DilationW, s.OutW()), s.OutH(), s.OutW(),
		}
		need = max(need, p.backward.init(p, back, s.KH-1-s.PadH, s.KW-1-s.PadW, -1))
	}
	if !s.NoBackward {
		need = max(need, p.filter.init(p))
	}
	if p.m > 1 {
		p.scratch = make([][]float32, d.pool.Workers())
		for i := range p.scratch {
			p.scratch[i] = aligned[float32](need)
		}
	}
	return p
}

// len returns the number of floats that the plan owns.
func (p *depthwise) len() int {
	n := len(p.weights) + len(p.zeros) + len(p.filter.partial) + 2*len(p.filter.partialBias)
	for _, s := range p.scratch {
		n += len(s)
	}
	return n
}

// transpose writes the filters [c,kH,kW] as [kH,kW,c].
func (p *depthwise) transpose(w []float32) {
	taps := p.spec.KH * p.spec.KW
	for k := range p.c {
		for t := range taps {
			p.weights[t*p.c+k] = w[k*taps+t]
		}
	}
}

// hasBands reports whether the kernels for bands of rows can compute a pass whose source has this padding, in pixels.
func (p *depthwise) hasBands(padH, padW int) bool {
	s := p.spec
	return s.KH == 3 && s.KW == 3 && s.StrideH == 1 && s.StrideW == 1 && s.DilationH == 1 && s.DilationW == 1 &&
		(padH == 0 || padH == 1) && (padW == 0 || padW == 1)
}

// repeatChannels writes each element of src m times.
func repeatChannels(dst, src []float32, m int) {
	if m == 2 {
		dst = dst[:2*len(src)]
		for i, v := range src {
			dst[2*i], dst[2*i+1] = v, v
		}
		return
	}
	for i, v := range src {
		for r := range dst[i*m : (i+1)*m] {
			dst[i*m+r] = v
		}
	}
}

// addChannels writes the sum of each m neighbours in src.
func addChannels(dst, src []float32, m int) {
	for i := range dst {
		sum := float32(0)
		for _, v := range src[i*m : (i+1)*m] {
			sum += v
		}
		dst[i] = sum
	}
}

// imageRows describes which rows of the source, an image of srcH x srcW pixels, each row of a result reads.
type imageRows struct {
	rows, columns line
	srcH, srcW    int
}

// depthwiseTask is about the number of elements of a result that a task computes.
const depthwiseTask = 128 << 10

// tasks returns the number of tasks for the rows of a result of c channels, and the largest number of source rows that a
// task reads.
func (g imageRows) tasks(c int) (tasks, mostRows int) {
	height := len(g.rows.at)
	tasks = divideUp(height, max(1, depthwiseTask/(len(g.columns.at)*c)))
	for i := range tasks {
		low, high := g.rows.reads(height*i/tasks, height*(i+1)/tasks)
		mostRows = max(mostRows, high-low)
	}
	return tasks, mostRows
}

// depthwisePass is the forward pass or the backward pass for the data; a task computes a few rows. Both are the same sum:
// along either dimension, the taps that contribute to a pixel and the source pixels that they are multiplied by are
// arithmetic sequences (see taps).
type depthwisePass struct {
	*depthwise
	imageRows
	runs          []pixelRun
	relu          bool
	tasksPerImage int
	geometry      []vector.Correlation // one per worker

	bands         bool // by the kernels for bands of rows
	padH, padW    int
	direction     int  // of the taps, for bands: 1 or -1
	blockChannels int  // channels of a band that are computed at a time
	large         bool // whether the result is larger than streamFloats
	band          []vector.Band

	out, bias, in []float32
}

// streamFloats is the number of elements of a result from which on its stores bypass the caches. The first images of such a
// result are no longer in the caches when the last ones are computed, and a cache line that is stored past them need not be
// read from memory before.
const streamFloats = 2 << 20

// bandBlock is the number of elements in a block of channels. It is so small that the rows that a band reads, writes and
// prefetches, 4 rows of y and 6 of x and as many of the next band, fill only a part of the second-level cache.
const bandBlock = 128 << 10

// blockOf returns the number of channels whose bands are computed at a time, for rows of width pixels.
func blockOf(width, c int) int { return min(c, max(16, bandBlock/(18*width)/16*16)) }

// init returns the length of the scratch memory that a worker needs if m > 1.
func (p *depthwisePass) init(d *depthwise, g imageRows, padH, padW, direction int) int {
	*p = depthwisePass{depthwise: d, imageRows: g, runs: g.columns.runs(), bands: d.hasBands(padH, padW), padH: padH, padW: padW, direction: direction}
	tasks, rows := g.tasks(d.c)
	p.tasksPerImage = tasks
	p.blockChannels = blockOf(g.srcW, d.c)
	p.large = d.spec.N*len(g.rows.at)*len(g.columns.at)*d.c >= streamFloats
	p.geometry = make([]vector.Correlation, d.d.pool.Workers())
	p.band = make([]vector.Band, d.d.pool.Workers())
	if direction < 0 {
		return divideUp(len(g.rows.at), tasks) * len(g.columns.at) * d.c
	}
	return rows * g.srcW * d.c
}

// run computes n images.
func (p *depthwisePass) run(out, bias, in, w []float32, n int) {
	if bias == nil {
		bias = p.zeros
	}
	p.out, p.bias, p.in = out, bias, in
	p.transpose(w)
	p.d.pool.Run(n*p.tasksPerImage, p)
}

// Do computes some rows of one image.
func (p *depthwisePass) Do(task, worker int) {
	image, part := task/p.tasksPerImage, task%p.tasksPerImage
	height, width := len(p.rows.at), len(p.columns.at)
	from, to := height*part/p.tasksPerImage, height*(part+1)/p.tasksPerImage
	if p.m == 1 {
		out, in := p.out[(image*height+from)*width*p.c:], p.in[image*p.srcH*p.srcW*p.c:]
		p.compute(out[:(to-from)*width*p.c], in[:p.srcH*p.srcW*p.c], from, to, 0, worker)
		return
	}
	inC := p.spec.InC
	if p.direction < 0 {
		made, in := p.scratch[worker][:(to-from)*width*p.c], p.in[image*p.srcH*p.srcW*p.c:]
		p.compute(made, in[:p.srcH*p.srcW*p.c], from, to, 0, worker)
		addChannels(p.out[(image*height+from)*width*inC:][:(to-from)*width*inC], made, p.m)
		return
	}
	low, high := p.rows.reads(from, to)
	in := p.scratch[worker][:(high-low)*p.srcW*p.c]
	repeatChannels(in, p.in[(image*p.srcH+low)*p.srcW*inC:][:(high-low)*p.srcW*inC], p.m)
	p.compute(p.out[(image*height+from)*width*p.c:][:(to-from)*width*p.c], in, from, to, low, worker)
}

// compute computes rows [from, to) from the source's rows, of which the first is row low.
func (p *depthwisePass) compute(out, in []float32, from, to, low, worker int) {
	width := len(p.columns.at) * p.c
	if p.bands {
		p.rowsByBands(out, in, from, to, low, &p.band[worker])
	} else {
		for i := from; i < to; i++ {
			p.row(out[(i-from)*width:][:width], in, p.rows.at[i], low, &p.geometry[worker])
		}
	}
	if p.relu {
		p.d.vector.ReLU.Forward(out, out, 0)
	}
}

// rowsByBands computes rows [from, to), one block of channels after the other.
func (p *depthwisePass) rowsByBands(out, in []float32, from, to, low int, g *vector.Band) {
	*g = p.bandOf(p.c, from, to, low, p.padH, p.padW)
	inPlace := p.m == 1 || p.direction > 0 // otherwise out is scratch
	g.Stream = p.large && inPlace && !p.relu
	if p.direction < 0 {
		g.W, g.WRow, g.WTap = 8*p.c, -3*p.c, -p.c
	}
	for c := 0; c < p.c; c += p.blockChannels {
		g.Channels = min(p.blockChannels, p.c-c)
		p.d.vector.Correlate3x3(out[c:], p.bias[c:], in[c:], p.weights[c:], g)
	}
}

// bandOf returns the band of rows [from, to) of a result. The source begins with its row low and is padded by padH and padW.
func (g imageRows) bandOf(c, from, to, low, padH, padW int) vector.Band {
	first := from + 1 - padH // the row under the centre of the filter
	return vector.Band{
		Rows: to - from, Pixels: len(g.columns.at), Channels: c, Step: c,
		YRow: len(g.columns.at) * c, X: ((first-low)*g.srcW + 1 - padW) * c, XRow: g.srcW * c, WRow: 3 * c, WTap: c,
		Above: first > 0, Below: first+to-from < g.srcH, Before: padW == 0, After: padW == 0,
	}
}

// row computes one row, whose pixels use these rows of taps.
func (p *depthwisePass) row(out, in []float32, rows taps, low int, g *vector.Correlation) {
	c, kW := p.c, p.spec.KW
	for _, r := range p.runs {
		if rows.count == 0 || r.count == 0 {
			for j := range r.pixels {
				copy(out[(r.from+j*p.columns.stride)*c:][:c], p.bias)
			}
			continue
		}
		*g = vector.Correlation{
			Pixels: r.pixels, Channels: c, Rows: rows.count, Columns: r.count,
			Y: r.from * c, YStep: p.columns.stride * c,
			X: ((rows.src-low)*p.srcW + r.src) * c, XStep: p.columns.move * c,
			XRow: p.rows.srcStep * p.srcW * c, XTap: p.columns.srcStep * c,
			W: (rows.tap*kW + r.tap) * c, WRow: p.rows.tapStep * kW * c, WTap: p.columns.tapStep * c,
			YAhead: depthwisePixels * p.columns.stride * c,
			XAhead: max((rows.count-1)*p.rows.srcStep, 0)*p.srcW*c + depthwisePixels*p.columns.move*c,
		}
		p.d.vector.Correlate(out, p.bias, in, p.weights, g)
	}
}
