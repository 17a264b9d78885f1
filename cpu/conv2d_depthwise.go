package cpu

import (
	"trainer/cpu/internal/vector"
	"trainer/nn/device"
)

// depthwise is a convolution in which every channel has a filter of its own:
//
//	Forward         y[n,i,j,c] = bias[c] + sum_{a,b} x[n, i s + a d - p, j s + b d - p, c] w[c,a,b]
//	BackwardData    dx[n,u,v,c] = sum over the a, b and i, j with i s + a d - p = u and j s + b d - p = v of dy[n,i,j,c] w[c,a,b]
//	BackwardFilter  dw[c,a,b] = sum_{n,i,j} dy[n,i,j,c] x[n, i s + a d - p, j s + b d - p, c]
//
// A matrix product would have one column. It is bound by memory instead, and runs along the channels, which lie side by side:
// the filters are transposed to [kH,kW,c] once per call, and package vector computes rows of pixels that see the same taps.
//
// Forward and BackwardData are the same sum: along either dimension the taps that a pixel sees, and the pixels that they
// meet, are arithmetic sequences (see taps).
type depthwise struct {
	d    *Device
	spec device.Conv2DSpec
	c    int

	forward, backward depthwisePass
	filter            depthwiseFilter
	weights           []float32 // [kH,kW,c]
	zeros             []float32 // [c]
}

// isDepthwise reports whether every channel has one filter of its own.
func isDepthwise(s device.Conv2DSpec) bool {
	return s.Groups > 1 && s.Groups == s.InC && s.InC == s.OutC
}

func newDepthwise(d *Device, s device.Conv2DSpec, relu bool) *depthwise {
	p := &depthwise{d: d, spec: s, c: s.OutC, weights: aligned[float32](s.KH * s.KW * s.OutC), zeros: aligned[float32](s.OutC)}
	rows, columns := forwardTaps(s.OutH(), s.KH, s.StrideH, s.PadH, s.DilationH, s.H), forwardTaps(s.OutW(), s.KW, s.StrideW, s.PadW, s.DilationW, s.W)
	p.forward.init(p, rows, columns, s.W, relu)
	if !s.NoBackward && !s.NoBackwardData {
		p.backward.init(p, backwardTaps(s.H, s.KH, s.StrideH, s.PadH, s.DilationH, s.OutH()),
			backwardTaps(s.W, s.KW, s.StrideW, s.PadW, s.DilationW, s.OutW()), s.OutW(), false)
	}
	if !s.NoBackward {
		p.filter.init(p, rows, columns)
	}
	return p
}

// len returns the floats that the plan owns.
func (p *depthwise) len() int {
	return len(p.weights) + len(p.zeros) + len(p.filter.partial) + 2*len(p.filter.partialBias)
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

// taps are those that one pixel sees along one dimension: count of them, the first being tap, where it meets pixel src.
type taps struct{ tap, src, count int }

// line is one dimension of a pass.
type line struct {
	at []taps // of each pixel of the result
	// From one tap that a pixel sees to the next, the tap and the pixel that it meets move by
	tapStep, srcStep int
	// and pixels of the result that are stride apart see the same taps, move pixels further.
	stride, move int
}

// forwardTaps returns the taps of n pixels: tap b of pixel j meets j*stride + b*dilation - pad, if it is one of the size pixels.
func forwardTaps(n, k, stride, pad, dilation, size int) line {
	l := line{tapStep: 1, srcStep: dilation, stride: 1, move: stride}
	for j := range n {
		var t taps
		for b := range k {
			if src := j*stride + b*dilation - pad; src >= 0 && src < size {
				if t.count == 0 {
					t.tap, t.src = b, src
				}
				t.count++
			}
		}
		l.at = append(l.at, t)
	}
	return l
}

// backwardTaps returns the taps of n pixels: tap b of pixel v meets (v + pad - b*dilation)/stride, where that is a whole number
// and one of the size pixels. Taps of one pixel are stride/gcd(stride, dilation) apart.
func backwardTaps(n, k, stride, pad, dilation, size int) line {
	step := stride / gcd(stride, dilation)
	l := line{tapStep: step, srcStep: -step * dilation / stride, stride: stride, move: 1}
	for v := range n {
		var t taps
		for b := range k {
			if at := v + pad - b*dilation; at >= 0 && at%stride == 0 && at/stride < size {
				if t.count == 0 {
					t.tap, t.src = b, at/stride
				}
				t.count++
			}
		}
		l.at = append(l.at, t)
	}
	return l
}

func gcd(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// pixelRun is pixels of a row, line.stride apart, that see the same taps; the first is pixel from.
type pixelRun struct {
	from, pixels int
	taps
}

// runs returns the runs of a row.
func (l line) runs() []pixelRun {
	var all []pixelRun
	for first := range min(l.stride, len(l.at)) {
		for j := first; j < len(l.at); j += l.stride {
			t := l.at[j]
			if j > first {
				last := &all[len(all)-1]
				if t.count == last.count && (t.count == 0 || t.tap == last.tap && t.src == last.src+last.pixels*l.move) {
					last.pixels++
					continue
				}
			}
			all = append(all, pixelRun{j, 1, t})
		}
	}
	return all
}

// depthwisePass computes images from images, a task a few rows.
type depthwisePass struct {
	*depthwise
	rows, columns line
	runs          []pixelRun
	srcW, srcH    int
	relu          bool
	tasksPerImage int
	geometry      []vector.Correlation // one per worker

	out, bias, in []float32
}

// depthwiseTask is about the elements of a result that a task computes.
const depthwiseTask = 32768

func (p *depthwisePass) init(d *depthwise, rows, columns line, srcW int, relu bool) {
	*p = depthwisePass{depthwise: d, rows: rows, columns: columns, runs: columns.runs(), srcW: srcW, relu: relu}
	p.srcH = d.spec.H
	if &d.backward == p {
		p.srcH = d.spec.OutH()
	}
	perTask := max(1, depthwiseTask/(len(columns.at)*d.c))
	p.tasksPerImage = divideUp(len(rows.at), perTask)
	p.geometry = make([]vector.Correlation, d.d.pool.Workers())
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
	height, width := len(p.rows.at), len(p.columns.at)*p.c
	in := p.in[image*p.srcH*p.srcW*p.c:][:p.srcH*p.srcW*p.c]
	for i := height * part / p.tasksPerImage; i < height*(part+1)/p.tasksPerImage; i++ {
		out := p.out[(image*height+i)*width:][:width]
		p.row(out, in, p.rows.at[i], &p.geometry[worker])
		if p.relu {
			p.d.vector.ReLU.Forward(out, out, 0)
		}
	}
}

// row computes one row, whose pixels see these rows of taps.
func (p *depthwisePass) row(out, in []float32, rows taps, g *vector.Correlation) {
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
			X: (rows.src*p.srcW + r.src) * c, XStep: p.columns.move * c,
			XRow: p.rows.srcStep * p.srcW * c, XTap: p.columns.srcStep * c,
			W: (rows.tap*kW + r.tap) * c, WRow: p.rows.tapStep * kW * c, WTap: p.columns.tapStep * c,
			YAhead: depthwisePixels * p.columns.stride * c,
			XAhead: max((rows.count-1)*p.rows.srcStep, 0)*p.srcW*c + depthwisePixels*p.columns.move*c,
		}
		p.d.vector.Correlate(out, p.bias, in, p.weights, g)
	}
}

// depthwiseFilter computes the gradients of the filters and of the bias. A task adds up some rows of output, a part that
// the shape alone decides; the parts are then added in order.
type depthwiseFilter struct {
	*depthwise
	rows, columns line
	runs          []pixelRun
	parts         int
	partial       []float32 // [parts,kH,kW,c]
	partialBias   []float64 // [parts,c]
	geometry      []vector.Correlation

	dw, dbias, dy, x []float32
	n                int
}

// depthwisePixels is how many pixels are added to a vector of sums before the next channels' turn comes: their operands
// stay in the first-level cache meanwhile.
const depthwisePixels = 16

func (p *depthwiseFilter) init(d *depthwise, rows, columns line) {
	*p = depthwiseFilter{depthwise: d, rows: rows, columns: columns, runs: columns.runs()}
	p.parts = max(1, min(filterTasks, d.spec.N*len(rows.at)*len(columns.at)/filterRows))
	p.partial = aligned[float32](p.parts * d.spec.KH * d.spec.KW * d.c)
	p.partialBias = make([]float64, p.parts*d.c)
	p.geometry = make([]vector.Correlation, d.d.pool.Workers())
}

// run adds up n images.
func (p *depthwiseFilter) run(dw, dbias, dy, x []float32, n int) {
	p.dw, p.dbias, p.dy, p.x, p.n = dw, dbias, dy, x, n
	p.d.pool.Run(p.parts, p)
	p.merge()
}

// Do adds up one part of the rows.
func (p *depthwiseFilter) Do(part, worker int) {
	s, c, height, width := p.spec, p.c, len(p.rows.at), len(p.columns.at)*p.c
	length := s.KH * s.KW * c
	partial, bias := p.partial[part*length:][:length], p.partialBias[part*c:][:c]
	clear(partial)
	clear(bias)
	for row := p.n * height * part / p.parts; row < p.n*height*(part+1)/p.parts; row++ {
		dy := p.dy[row*width:][:width]
		if p.dbias != nil {
			p.d.vector.AddColumns(bias, dy)
		}
		if rows := p.rows.at[row%height]; p.dw != nil && rows.count > 0 {
			x := p.x[row/height*s.H*s.W*c:][:s.H*s.W*c]
			p.row(partial, dy, x, rows, &p.geometry[worker])
		}
	}
}

// row adds up one row of output.
func (p *depthwiseFilter) row(partial, dy, x []float32, rows taps, g *vector.Correlation) {
	s, c := p.spec, p.c
	for _, r := range p.runs {
		for from := 0; from < r.pixels && r.count > 0; from += depthwisePixels {
			*g = vector.Correlation{
				Pixels: min(depthwisePixels, r.pixels-from), Channels: c, Rows: rows.count, Columns: r.count,
				Y: (r.from + from) * c, YStep: c,
				X: (rows.src*s.W + r.src + from*p.columns.move) * c, XStep: p.columns.move * c,
				XRow: p.rows.srcStep * s.W * c, XTap: p.columns.srcStep * c,
				W: (rows.tap*s.KW + r.tap) * c, WRow: s.KW * c, WTap: c,
				YAhead: depthwisePixels * c, XAhead: (rows.count-1)*s.DilationH*s.W*c + depthwisePixels*p.columns.move*c,
			}
			p.d.vector.CorrelateFilter(partial, dy, x, g)
		}
	}
}

// merge adds the parts, in order, and transposes the filters back.
func (p *depthwiseFilter) merge() {
	c, taps := p.c, p.spec.KH*p.spec.KW
	length := taps * c
	if p.dw != nil {
		for part := 1; part < p.parts; part++ {
			p.d.vector.AddRows(p.partial[:length], p.partial[part*length:][:length])
		}
		for t := range taps {
			for k := range c {
				p.dw[k*taps+t] = p.partial[t*c+k]
			}
		}
	}
	for k := range p.dbias {
		sum := 0.0
		for part := range p.parts {
			sum += p.partialBias[part*c+k]
		}
		p.dbias[k] = float32(sum)
	}
}
