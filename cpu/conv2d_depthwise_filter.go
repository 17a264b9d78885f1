package cpu

import "trainer/cpu/internal/vector"

// depthwiseFilter computes the gradients with respect to the filters and the bias. A task sums over a part of the output's
// rows, which the shape alone decides; the parts' sums are then added in order. The sum over one row, or a few rows, stays in
// registers and is then added to the part's sum, so that no accumulator takes more than a few hundred terms at a time.
type depthwiseFilter struct {
	*depthwise
	imageRows
	runs        []pixelRun
	bands       bool      // by the kernels for bands of rows
	bandRows    int       // rows that are added at a time
	parts       int       // of the rows of a batch
	partial     []float32 // [parts,kH,kW,c]
	partialBias []float64 // [parts,c]
	geometry    []vector.Correlation
	band        []vector.Band

	dw, dbias, dy, x []float32
	n                int
}

// depthwisePixels is the number of pixels that are added to a vector of sums before the loop continues with the next
// channels. It is so small that the pixels' operands stay in the first-level cache until then.
const depthwisePixels = 16

// init returns the length of the scratch memory that a worker needs if m > 1.
func (p *depthwiseFilter) init(d *depthwise) int {
	s := d.spec
	*p = depthwiseFilter{depthwise: d, imageRows: d.forward.imageRows, runs: d.forward.runs, bands: d.forward.bands}
	p.parts = max(1, min(filterTasks, s.N*s.OutH()*s.OutW()/filterRows))
	p.partial = aligned[float32](p.parts * s.KH * s.KW * d.c)
	p.partialBias = make([]float64, p.parts*d.c)
	p.geometry = make([]vector.Correlation, d.d.pool.Workers())
	p.band = make([]vector.Band, d.d.pool.Workers())
	p.bandRows = max(1, depthwiseTask/(s.OutW()*d.c))
	most := 0
	for i := 0; i < s.OutH(); i++ {
		low, high := p.rows.reads(i, min(i+p.bandRows, s.OutH()))
		most = max(most, high-low)
	}
	return most * s.W * d.c
}

// run sums over n images.
func (p *depthwiseFilter) run(dw, dbias, dy, x []float32, n int) {
	p.dw, p.dbias, p.dy, p.x, p.n = dw, dbias, dy, x, n
	p.d.pool.Run(p.parts, p)
	p.merge()
}

// Do sums over one part of the rows.
func (p *depthwiseFilter) Do(part, worker int) {
	c, height, width := p.c, len(p.rows.at), len(p.columns.at)*p.c
	length := p.spec.KH * p.spec.KW * c
	partial, bias := p.partial[part*length:][:length], p.partialBias[part*c:][:c]
	clear(partial)
	clear(bias)
	end := p.n * height * (part + 1) / p.parts
	for row := p.n * height * part / p.parts; row < end; {
		image, from := row/height, row%height
		to := min(from+p.bandRows, height, from+end-row)
		dy := p.dy[row*width:][:(to-from)*width]
		if p.dbias != nil {
			p.d.vector.AddColumns(bias, dy)
		}
		if p.dw != nil {
			p.add(partial, dy, image, from, to, worker)
		}
		row += to - from
	}
}

// add adds the products of rows [from, to) of an image.
func (p *depthwiseFilter) add(partial, dy []float32, image, from, to, worker int) {
	inC, low := p.spec.InC, 0
	x := p.x[image*p.srcH*p.srcW*inC:][:p.srcH*p.srcW*inC]
	if p.m > 1 {
		var high int
		low, high = p.rows.reads(from, to)
		repeated := p.scratch[worker][:(high-low)*p.srcW*p.c]
		repeatChannels(repeated, x[low*p.srcW*inC:high*p.srcW*inC], p.m)
		x = repeated
	}
	if p.bands {
		p.addBands(partial, dy, x, from, to, low, &p.band[worker])
		return
	}
	width := len(p.columns.at) * p.c
	for i := from; i < to; i++ {
		if rows := p.rows.at[i]; rows.count > 0 {
			p.addRow(partial, dy[(i-from)*width:][:width], x, rows, low, &p.geometry[worker])
		}
	}
}

// addBands adds rows [from, to), one block of channels after the other.
func (p *depthwiseFilter) addBands(partial, dy, x []float32, from, to, low int, g *vector.Band) {
	*g = p.bandOf(p.c, from, to, low, p.spec.PadH, p.spec.PadW)
	for c := 0; c < p.c; c += p.forward.blockChannels {
		g.Channels = min(p.forward.blockChannels, p.c-c)
		p.d.vector.CorrelateFilter3x3(partial[c:], dy[c:], x[c:], g)
	}
}

// addRow adds one row of output.
func (p *depthwiseFilter) addRow(partial, dy, x []float32, rows taps, low int, g *vector.Correlation) {
	s, c := p.spec, p.c
	for _, r := range p.runs {
		for from := 0; from < r.pixels && r.count > 0; from += depthwisePixels {
			*g = vector.Correlation{
				Pixels: min(depthwisePixels, r.pixels-from), Channels: c, Rows: rows.count, Columns: r.count,
				Y: (r.from + from) * c, YStep: c,
				X: ((rows.src-low)*s.W + r.src + from*p.columns.move) * c, XStep: p.columns.move * c,
				XRow: p.rows.srcStep * s.W * c, XTap: p.columns.srcStep * c,
				W: (rows.tap*s.KW + r.tap) * c, WRow: s.KW * c, WTap: c,
				YAhead: depthwisePixels * c, XAhead: (rows.count-1)*s.DilationH*s.W*c + depthwisePixels*p.columns.move*c,
			}
			p.d.vector.CorrelateFilter(partial, dy, x, g)
		}
	}
}

// merge adds the parts' sums in order, and transposes the gradient to the layout of the filters.
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
