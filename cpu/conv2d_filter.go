package cpu

import (
	"trainer/cpu/internal/gemm"
	"trainer/nn/device"
)

// convFilter computes dW[o, k] = sum_p dY[p, o] X[p, k] and dbias[o] = sum_p dY[p, o].
//
// A task owns a group, a range of k and a part of the pixels, chosen by the shape alone.
// It gathers the patches of some pixels into panels in the cache, and adds their product
// with dY, which it reads in place, by columns. At the end the sums of the parts are
// added in order.
type convFilter struct {
	d      *Device
	win    window
	groups int
	out    int // output channels of one group
	k      int
	ldy    int // output channels of all groups

	ranges int // ranges of k, each span long
	span   int
	parts  int // parts of the pixels

	partial  []float32 // [parts][groups*out][k]
	partBias []float32 // [parts][groups*out]
	ones     []float32
	scratch  [][]float32

	unpool *convPool // the max pooling that dy has to be sent back through, or nil

	dw, dbias, dy, src []float32
	images, rows       int
	filterTask         convFilterTask
	sumTask            convFilterSum
	winograd           *winogradFilter // or nil
	direct             *directFilter   // nil if the patches must be gathered
}

type (
	convFilterTask struct{ *convFilter }
	convFilterSum  struct{ *convFilter }
)

const (
	// filterRows is the number of pixels that are gathered at a time.
	filterRows = 128
	// filterTasks is the smallest number of tasks to divide the work into, if the shape
	// allows, so that several workers share it evenly.
	filterTasks = 16
)

func (p *convFilter) init(d *Device, win window, s device.Conv2DSpec) {
	kn := d.kernel
	p.d, p.win, p.groups, p.out, p.k, p.ldy = d, win, s.Groups, s.OutC/s.Groups, win.length(), s.OutC
	if tiles, ok := tilesOf(kn, &p.win, p.out, s.N); ok {
		p.winograd = &winogradFilter{}
		p.winograd.init(p, tiles, s.N)
		return
	}
	if win.direct() {
		p.direct = &directFilter{}
		p.direct.init(p, s.N)
		return
	}
	// Ranges of k are whole panels, about 512 wide, so that patches and dY fit the
	// second-level cache.
	panels := kn.Panels(p.k)
	perRange := max(1, min(panels, 512/kn.NR))
	p.ranges = (panels + perRange - 1) / perRange
	p.span = (panels + p.ranges - 1) / p.ranges * kn.NR
	p.ranges = (p.k + p.span - 1) / p.span
	p.parts = (filterTasks + p.ranges*p.groups - 1) / (p.ranges * p.groups)
	p.parts = max(1, min(p.parts, s.N*win.outH*win.outW/filterRows))
	p.partial = aligned[float32](p.parts * s.OutC * p.k)
	p.partBias = aligned[float32](p.parts * s.OutC)
	p.ones = aligned[float32](filterRows)
	for i := range p.ones {
		p.ones[i] = 1
	}
	p.scratch = make([][]float32, d.pool.Workers())
	for i := range p.scratch {
		p.scratch[i] = aligned[float32](filterRows*p.span + p.span)
	}
	p.filterTask, p.sumTask = convFilterTask{p}, convFilterSum{p}
}

// len returns the number of floats that the plan owns.
func (p *convFilter) len() int {
	if p.winograd != nil {
		return len(p.winograd.bias.sums)
	}
	if p.direct != nil {
		return p.direct.len()
	}
	n := len(p.partial) + len(p.partBias) + len(p.ones)
	for _, s := range p.scratch {
		n += len(s)
	}
	return n
}

func (p *convFilter) run(dw, dbias, dy, src []float32, n int) {
	p.dw, p.dbias, p.dy, p.src = dw, dbias, dy, src
	p.images, p.rows = n, n*p.win.outH*p.win.outW
	if p.winograd != nil {
		p.winograd.run()
		return
	}
	if p.direct != nil {
		p.direct.run()
		return
	}
	p.d.pool.Run(p.parts*p.groups*p.ranges, &p.filterTask)
	p.d.pool.Run(chunks(p.ldy*p.k), &p.sumTask)
}

// Do sums over one part of the pixels, for one group and one range of k.
func (t *convFilterTask) Do(i, worker int) {
	p := t.convFilter
	r, g, part := i%p.ranges, i/p.ranges%p.groups, i/p.ranges/p.groups
	k0 := r * p.span
	k1 := min(k0+p.span, p.k)
	o0 := part*p.ldy + g*p.out // row of partial
	for o := o0; o < o0+p.out; o++ {
		clear(p.partial[o*p.k+k0 : o*p.k+k1])
	}
	bias := p.partBias[o0 : o0+p.out]
	if r == 0 {
		clear(bias)
	}
	// Parts begin at multiples of filterRows, whatever the batch size.
	blocks := (p.rows + filterRows - 1) / filterRows
	for b := blocks * part / p.parts; b < blocks*(part+1)/p.parts; b++ {
		from := b * filterRows
		rows := min(filterRows, p.rows-from)
		dy := p.dy[from*p.ldy+g*p.out:]
		if r == 0 && p.dbias != nil {
			p.addBias(bias, dy, rows)
		}
		if p.dw != nil {
			p.addProduct(p.partial[o0*p.k:], dy, from, rows, k0, k1, g, p.scratch[worker])
		}
	}
}

// addBias adds the column sums of dy, computed as the product with a vector of ones.
func (p *convFilter) addBias(bias, dy []float32, rows int) {
	kn := p.d.kernel
	for o := 0; o < p.out; o += kn.MR {
		m := min(kn.MR, p.out-o)
		kn.Tile(m, 1, rows, dy[o:], p.ldy, true, p.ones, 1, bias[o:], 1, gemm.Add)
	}
}

// addProduct adds dY^T X for the pixels [from, from+rows) and the columns [k0, k1) of X.
func (p *convFilter) addProduct(dw, dy []float32, from, rows, k0, k1, g int, scratch []float32) {
	kn := p.d.kernel
	nr := kn.NR
	width := k1 - k0
	row, patches := scratch[:width], scratch[p.span:]
	for r := range rows {
		p.win.gather(row, p.src, from+r, k0, k1, g*p.win.channels)
		for j := 0; j < width; j += nr {
			copy(patches[j*rows+r*nr:][:nr], row[j:])
		}
	}
	panels, height := kn.Split(p.out)
	for j := 0; j < width; j += nr {
		for q := range panels {
			o := q * height
			m := min(height, p.out-o)
			kn.Tile(m, min(nr, width-j), rows, dy[o:], p.ldy, true, patches[j*rows:], nr, dw[o*p.k+k0+j:], p.k, gemm.Add)
		}
	}
}

// Do adds the parts of one chunk of dW, in order, and with the first chunk those of
// dbias.
func (t *convFilterSum) Do(i, _ int) {
	p := t.convFilter
	if p.dw != nil {
		from, to := span(i, p.ldy*p.k)
		p.sumParts(p.dw[from:to], p.partial[from:], p.parts, p.ldy*p.k)
	}
	if i == 0 && p.dbias != nil {
		p.sumParts(p.dbias, p.partBias, p.parts, p.ldy)
	}
}

// sumParts adds parts vectors, stride apart.
func (p *convFilter) sumParts(dst, src []float32, parts, stride int) {
	copy(dst, src[:len(dst)])
	for q := 1; q < parts; q++ {
		p.d.vector.AddRows(dst, src[q*stride:][:len(dst)])
	}
}
