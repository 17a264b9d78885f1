package cpu

import "trainer/cpu/internal/gemm"

// direct computes the product of convProduct without any im2col matrix. The patches of an
// output row begin stride*inC elements apart in the input, so the micro-kernel takes the
// output pixels as the rows of A, and the filter's rows as the segments of its sum:
//
//	C[j, o] = sum_a sum_(b,c) x[i*stride + a, (j*stride + b)*inC + c] W[o, a, b, c]
//
// The sum stays in registers unless it is long: then it is taken in blocks (see blockSum).
//
// A task is a band of rows of one image, padded into the worker's scratch memory unless
// the convolution has no padding. (After Georganas et al., "Anatomy of High-Performance
// Deep Learning Convolutions on SIMD Architectures", SC 2018, here adapted to NHWC.)
type direct struct {
	*convProduct
	bandRows int // output rows per task
	bands    int // tasks per image
	blocks   []sumBlock
}

// bandBytes limits the size of the input rows of one task to a part of the second-level
// cache.
const bandBytes = 256 << 10

func (p *direct) init(product *convProduct) {
	p.convProduct = product
	w := &p.win
	p.bandRows = w.outH
	for p.bandRows > 1 && 4*w.bandRows(p.bandRows)*w.paddedRow() > bandBytes {
		p.bandRows = (p.bandRows + 1) / 2
	}
	if p.pool != nil {
		p.bandRows += p.bandRows % 2
		p.d.reserve(0, p.lenBand())
	}
	if p.unpool != nil { // each image is unpooled once, for all its rows
		p.bandRows = w.outH
		p.d.reserve(0, p.unpool.imageLen())
	}
	p.bands = (w.outH + p.bandRows - 1) / p.bandRows
	p.blocks = sumBlocks(w.kH, w.runLen, w.paddedRow(), p.d.kernel.NR)
}

// scratchLen returns the number of floats of scratch memory that a worker needs.
func (p *direct) scratchLen() int {
	if p.win.unpadded() {
		return 0
	}
	return p.win.bandRows(p.bandRows) * p.win.paddedRow()
}

// lenBand returns the number of floats of a band before pooling.
func (p *direct) lenBand() int { return p.bandRows * p.win.outW * p.out }

// Do computes one band of one image, all columns. The outer loop goes over the panels of
// the filters: a panel stays in the second-level cache while the inner loop goes over the
// pixels of the band.
func (p *direct) Do(task, worker int) {
	w, kn := &p.win, p.d.kernel
	n, i0 := task/p.bands, task%p.bands*p.bandRows
	i1 := min(i0+p.bandRows, w.outH)
	c := p.d.own[worker]
	if p.pool == nil {
		c = p.c[(n*w.outH+i0)*w.outW*p.out:]
	}
	c = c[:(i1-i0)*w.outW*p.out]
	images := newImageReader(p.src, w.perImage, p.unpool, p.d.own[worker])
	x := w.band(p.scratch[worker], images.image(n), i0, i1)
	panels, width := kn.Split(w.outW)
	for o := 0; o < p.out; o += kn.NR {
		cols, filters, update := min(kn.NR, p.out-o), p.packed[o*p.k:], p.updateOf(o)
		for i := range i1 - i0 {
			row := x[i*w.strideH*w.paddedRow():]
			for q := range panels {
				j := q * width
				m := min(width, w.outW-j)
				u := update
				for _, b := range p.blocks {
					kn.TileSegments(m, cols, b.KSegments, row[j*w.strideW*w.srcC+b.a:], w.strideW*w.srcC, false, filters[b.b:], kn.NR, c[(i*w.outW+j)*p.out+o:], p.out, u)
					u = gemm.Add
				}
			}
		}
	}
	if p.pool != nil {
		p.pool.rows(p.c, c, n, i0)
		return
	}
	if p.relu {
		p.d.vector.ReLU.Forward(c, c, 0)
	}
}
