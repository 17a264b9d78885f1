package cpu

import "trainer/cpu/internal/gemm"

// directFilter computes the filters' gradient without a matrix of patches. For each row a
// of the filter
//
//	dW[a, (b,c), o] = sum_i sum_j x[i*stride + a, (j*stride + b)*inC + c] dy[i, j, o]
//
// the pixels of a row of output are the steps of the micro-kernel's sum and the rows are
// its turns. A task owns one row of the filter and a part of the images, chosen by the
// shape alone; the parts' sums are then added in order.
type directFilter struct {
	*convFilter
	parts int

	partial  []float32 // [parts][kH*kW*inC][out]
	partBias []float32 // [parts][out]
	padded   [][]float32
	panels   [][]float32 // a worker's dy of one image, by panels of columns
	sum      directFilterSum
}

type directFilterSum struct{ *directFilter }

func (p *directFilter) init(filter *convFilter, images int) {
	p.convFilter = filter
	w, kn := &p.win, p.d.kernel
	p.parts = max(1, min((filterTasks+w.kH-1)/w.kH, images))
	p.partial = aligned[float32](p.parts * p.k * p.out)
	p.partBias = aligned[float32](p.parts * p.out)
	p.padded = make([][]float32, p.d.pool.Workers())
	p.panels = make([][]float32, p.d.pool.Workers())
	for i := range p.padded {
		if w.padH > 0 || w.padW > 0 {
			p.padded[i] = aligned[float32](w.bandRows(w.outH) * w.paddedRow())
		}
		p.panels[i] = aligned[float32](kn.PackedLen(w.outH*w.outW, p.out))
	}
	p.sum = directFilterSum{p}
}

// len returns the floats that the plan owns.
func (p *directFilter) len() int {
	n := len(p.partial) + len(p.partBias)
	for i := range p.padded {
		n += len(p.padded[i]) + len(p.panels[i])
	}
	return n
}

func (p *directFilter) run() {
	p.d.pool.Run(p.parts*p.win.kH, p)
	p.d.pool.Run(chunks(p.out*p.k), &p.sum)
}

// Do adds up one part of the images for one row of the filter.
func (p *directFilter) Do(task, worker int) {
	w, kn := &p.win, p.d.kernel
	a, part := task%w.kH, task/w.kH
	dw := p.partial[(part*p.k+a*w.runLen)*p.out:][:w.runLen*p.out]
	clear(dw)
	bias := p.partBias[part*p.out:][:p.out]
	if a == 0 {
		clear(bias)
	}
	pixels := w.outH * w.outW
	images := p.rows / pixels
	panels, height := kn.Split(w.runLen)
	turns := gemm.Turns{N: w.outH, K: w.outW, StepA: w.strideH * w.paddedRow(), StepB: w.outW * kn.NR}
	for n := images * part / p.parts; n < images*(part+1)/p.parts; n++ {
		dy := p.dy[n*pixels*p.out:][:pixels*p.out]
		if a == 0 && p.dbias != nil {
			addRows(bias, dy)
		}
		if p.dw == nil {
			continue
		}
		x := w.band(p.padded[worker], p.src, n, 0, w.outH)[a*w.paddedRow():]
		for j := range kn.Panels(p.out) {
			kn.Pack(p.panels[worker], j, pixels, p.out, dy, p.out, false)
			packed, o := p.panels[worker][j*kn.NR*pixels:], j*kn.NR
			for q := range panels {
				k := q * height
				m := min(height, w.runLen-k)
				kn.TileTurns(m, min(kn.NR, p.out-o), turns, x[k:], w.strideW*w.srcC, true, packed, kn.NR, dw[k*p.out+o:], p.out)
			}
		}
	}
}

// addRows adds every row of src to sum.
func addRows(sum, src []float32) {
	for ; len(src) >= len(sum); src = src[len(sum):] {
		for i, v := range src[:len(sum)] {
			sum[i] += v
		}
	}
}

// Do adds the parts of one chunk of dW, in order, turning [k, o] into [o, k], and with the
// first chunk dbias.
func (t *directFilterSum) Do(i, _ int) {
	p := t.directFilter
	if p.dw != nil {
		from, to := span(i, p.out*p.k)
		for at := from; at < to; at++ {
			o, k := at/p.k, at%p.k
			sum := p.partial[k*p.out+o]
			for q := 1; q < p.parts; q++ {
				sum += p.partial[(q*p.k+k)*p.out+o]
			}
			p.dw[at] = sum
		}
	}
	if i == 0 && p.dbias != nil {
		sumParts(p.dbias, p.partBias, p.parts, p.out)
	}
}
