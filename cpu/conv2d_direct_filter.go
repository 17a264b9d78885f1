package cpu

import "trainer/cpu/internal/gemm"

// directFilter computes the gradient of the filters without an im2col matrix. For each row
// a of the filter,
//
//	dW[a, (b,c), o] = sum_i sum_j x[i*stride + a, (j*stride + b)*inC + c] dy[i, j, o]
//
// the micro-kernel's sum runs over the pixels j of an output row, and its segments are the
// rows i. A task owns a part of the images, and all rows of the filter, or only one if the
// gradient of all rows would not fit the second-level cache. Both are chosen by the shape
// alone; at the end the sums of the parts are added in order.
type directFilter struct {
	*convFilter
	parts   int
	filterH int // filter rows per task: all, or 1
	rows    int // of dY, its pixels, in a part

	partial  []float32 // [parts][kH*kW*inC][out]
	partBias []float32 // [parts][out], and as much for blocks of long sums
	padded   [][]float32
	panels   [][]float32 // per worker: dy of one image, by panels of columns
	sum      directFilterSum
}

// gradientBytes limits the size of one task's gradient of the filters to a part of the
// second-level cache.
const gradientBytes = 512 << 10

// gradientBand is the number of elements of dy that are multiplied at a time, for all rows
// of the filter: they fill a part of the first-level cache.
const gradientBand = 4 << 10

type directFilterSum struct{ *directFilter }

func (p *directFilter) init(filter *convFilter, images int) {
	p.convFilter = filter
	w, kn := &p.win, p.d.kernel
	p.filterH = w.kH
	if 4*p.k*p.out > gradientBytes {
		p.filterH = 1
	}
	tasks := w.kH / p.filterH
	p.parts = max(1, min((filterTasks+tasks-1)/tasks, images))
	p.rows = divideUp(images, p.parts) * w.outH * w.outW
	p.partial = aligned[float32](p.parts * p.k * p.out)
	p.partBias = aligned[float32](2 * p.parts * p.out)
	p.padded = make([][]float32, p.d.pool.Workers())
	p.panels = make([][]float32, p.d.pool.Workers())
	for i := range p.padded {
		if !w.unpadded() {
			p.padded[i] = aligned[float32](w.bandRows(w.outH) * w.paddedRow())
		}
		if p.out > kn.NR {
			p.panels[i] = aligned[float32](kn.PackedLen(w.outH*w.outW, p.out))
		}
	}
	p.sum = directFilterSum{p}
	p.d.reserve(0, p.unpool.imageLen())
}

// len returns the number of floats that the plan owns.
func (p *directFilter) len() int {
	n := len(p.partial) + len(p.partBias)
	for i := range p.padded {
		n += len(p.padded[i]) + len(p.panels[i])
	}
	return n
}

func (p *directFilter) run() {
	p.d.pool.Run(p.parts*p.win.kH/p.filterH, p)
	p.d.pool.Run(divideUp(p.k, sumRows), &p.sum)
}

// Do sums over one part of the images, for one row of the filter or for all.
func (p *directFilter) Do(task, worker int) {
	w := &p.win
	rowTasks := w.kH / p.filterH
	a0, part := task%rowTasks*p.filterH, task/rowTasks
	dw := p.partial[part*p.k*p.out:][:p.k*p.out]
	clear(dw[a0*w.runLen*p.out : (a0+p.filterH)*w.runLen*p.out])
	bias, block := p.partBias[part*p.out:][:p.out], p.partBias[(p.parts+part)*p.out:][:p.out]
	if a0 == 0 {
		clear(bias)
	}
	pixels := w.outH * w.outW
	images := p.images
	gradients := newImageReader(p.dy, pixels*p.out, p.unpool, p.d.own[worker])
	for n := images * part / p.parts; n < images*(part+1)/p.parts; n++ {
		dy := gradients.image(n)
		if a0 == 0 && p.dbias != nil {
			p.d.addManyRows(bias, dy, block, p.rows)
		}
		if p.dw != nil {
			x := w.band(p.padded[worker], p.src[n*w.perImage:][:w.perImage], 0, w.outH)
			p.addImage(dw, dy, x, a0, p.panels[worker])
		}
	}
}

// addImage adds the product of one image, for the filter rows from a0 on; x is padded. If
// dy has more columns than one panel, it is first copied into contiguous panels.
func (p *directFilter) addImage(dw, dy, x []float32, a0 int, packed []float32) {
	w, kn := &p.win, p.d.kernel
	pixels := w.outH * w.outW
	panels, height := kn.Split(w.runLen)
	for o := 0; o < p.out; o += kn.NR {
		b, ldb := dy, p.out
		if p.out > kn.NR {
			kn.Pack(packed, o/kn.NR, pixels, p.out, dy, p.out, false)
			b, ldb = packed[o*pixels:], kn.NR
		}
		cols := min(kn.NR, p.out-o)
		// In bands of dy that stay in the first-level cache for all rows of the filter.
		band := max(1, min(w.outH, gradientBand/(w.outW*ldb)))
		for i := 0; i < w.outH; i += band {
			segments := gemm.KSegments{N: min(band, w.outH-i), K: w.outW, StepA: w.strideH * w.paddedRow(), StepB: w.outW * ldb}
			for a := a0; a < a0+p.filterH; a++ {
				row := x[(i*w.strideH+a)*w.paddedRow():]
				for q := range panels {
					k := q * height
					m := min(height, w.runLen-k)
					kn.TileSegments(m, cols, segments, row[k:], w.strideW*w.srcC, true, b[i*segments.StepB:], ldb, dw[(a*w.runLen+k)*p.out+o:], p.out, gemm.Add)
				}
			}
		}
	}
}

// sumRows is the number of rows of dW [k, o] per task of the last sum: in the [o, k] that
// it writes, they fill one cache line for each o.
const sumRows = 16

// Do adds the parts of some rows of dW, in order, to the first part, and transposes [k, o]
// to [o, k]; the task of the first rows also sums dbias.
func (t *directFilterSum) Do(i, _ int) {
	p := t.directFilter
	if p.dw != nil {
		from, to := i*sumRows, min((i+1)*sumRows, p.k)
		sum := p.partial[from*p.out : to*p.out]
		for q := 1; q < p.parts; q++ {
			p.d.vector.AddRows(sum, p.partial[(q*p.k+from)*p.out:][:len(sum)])
		}
		for o := range p.out {
			for j, at := 0, o; at < len(sum); j, at = j+1, at+p.out {
				p.dw[o*p.k+from+j] = sum[at]
			}
		}
	}
	if i == 0 && p.dbias != nil {
		p.sumParts(p.dbias, p.partBias, p.parts, p.out)
	}
}
