package cpu

import "trainer/cpu/internal/gemm"

// convProduct computes C[p, o] = bias[o] + sum_k P[p, k] W[o, k] for the patches P of an
// image: the forward pass, and, with flipped filters, the backward pass for the data.
//
// A task is a tile of rows. For each block of k, each panel of the tile's rows is
// gathered from the image, a few kilobytes that stay in the first-level cache, and
// multiplied with the block's filters, which stay in the second-level cache.
type convProduct struct {
	d       *Device
	win     window
	groups  int
	out     int // columns of one group
	block   int // elements of k per block
	k       int // elements of k in all
	packed  []float32
	scratch [][]float32
	tile    int // rows per task

	// pool is the max pooling of the product, or nil; unpool is the max pooling that the
	// images to read have to be sent back through, or nil.
	pool, unpool *convPool

	c, src, weights, bias []float32
	images, rows          int
	flip, relu            bool
	packTask              convPack
	tileTask              convTiles
	winograd              *winogradProduct // or nil
	direct                *direct          // nil if the patches must be gathered
}

type (
	convPack  struct{ *convProduct }
	convTiles struct{ *convProduct }
)

func (p *convProduct) init(d *Device, win window, groups, out, images int) {
	kn := d.kernel
	p.d, p.win, p.groups, p.out, p.k = d, win, groups, out, win.length()
	if tiles, ok := tilesOf(d.kernel, &p.win, out, images); ok {
		p.winograd = &winogradProduct{}
		p.winograd.init(p, tiles)
		return
	}
	p.block = blockLength(p.k, win.runLen)
	p.tile = 8 * kn.MR
	scratch := kn.MR * p.block
	if win.direct() {
		p.direct = &direct{}
		p.direct.init(p)
		p.block = p.k
		scratch = p.direct.scratchLen()
	}
	p.packed = aligned[float32](groups * kn.PackedLen(p.k, out))
	p.scratch = make([][]float32, d.pool.Workers())
	for i := range p.scratch {
		p.scratch[i] = aligned[float32](scratch)
	}
	p.packTask, p.tileTask = convPack{p}, convTiles{p}
}

// blockLength divides k elements into blocks of at most about blockK, which end, if
// possible, at the end of a run that the gathering copies.
func blockLength(k, run int) int {
	const most = blockK * 3 / 2
	if k <= most {
		return k
	}
	if run <= most {
		return most / run * run
	}
	parts := (run + blockK - 1) / blockK
	return (run + parts - 1) / parts
}

// len returns the number of floats that the product owns.
func (p *convProduct) len() int {
	if p.winograd != nil {
		return 0
	}
	n := len(p.packed)
	for _, s := range p.scratch {
		n += len(s)
	}
	return n
}

// run computes n images. weights are [outC,kH,kW,inC/groups], which the backward pass
// reads transposed and flipped.
func (p *convProduct) run(c, src, weights, bias []float32, n int, flip, relu bool) {
	p.c, p.src, p.weights, p.bias, p.flip, p.relu = c, src, weights, bias, flip, relu
	p.images, p.rows = n, n*p.win.outH*p.win.outW
	if p.winograd != nil {
		p.winograd.run()
		return
	}
	p.d.pool.Run(p.groups*p.d.kernel.Panels(p.out), &p.packTask)
	if p.direct != nil {
		p.d.pool.Run(n*p.direct.bands, p.direct)
		return
	}
	p.d.pool.Run((p.rows+p.tile-1)/p.tile, &p.tileTask)
}

// Do packs one panel of the filters of one group, all blocks of k.
func (t *convPack) Do(i, _ int) {
	p, kn := t.convProduct, t.d.kernel
	panels := kn.Panels(p.out)
	g, panel := i/panels, i%panels
	for k0 := 0; k0 < p.k; k0 += p.block {
		n := min(p.block, p.k-k0)
		dst := p.panels(g, k0, n)
		if p.flip {
			p.packFlipped(dst[panel*kn.NR*n:][:kn.NR*n], g, panel*kn.NR, k0, n)
			continue
		}
		kn.Pack(dst, panel, n, p.out, p.weights[g*p.out*p.k+k0:], p.k, true)
	}
}

// panels returns the packed filters of group g, n of k from k0 on.
func (p *convProduct) panels(g, k0, n int) []float32 {
	width := p.d.kernel.Panels(p.out) * p.d.kernel.NR
	return p.packed[g*p.k*width+k0*width:][:n*width]
}

// packFlipped packs a panel of the backward pass: element k = (a, b, o) of column c is
// w[o, kH-1-a, kW-1-b, c], where o is an output channel of the group in the forward pass,
// and the columns, from column on, are its input channels.
func (p *convProduct) packFlipped(dst []float32, g, column, k0, n int) {
	nr := p.d.kernel.NR
	width := min(nr, p.out-column)
	taps := p.win.kH * p.win.kW
	for r := range n {
		tap, o := (k0+r)/p.win.channels, (k0+r)%p.win.channels
		from := ((g*p.win.channels+o)*taps+taps-1-tap)*p.out + column
		copy(dst[r*nr:r*nr+width], p.weights[from:])
	}
}

// updateOf returns the update of C, from column o on, for the first block of k.
func (p *convProduct) updateOf(o int) gemm.Update {
	if p.bias == nil {
		return gemm.Set
	}
	return gemm.From(p.bias[o:])
}

// Do computes one tile of rows, all columns.
func (t *convTiles) Do(i, worker int) {
	p, kn := t.convProduct, t.d.kernel
	from := i * p.tile
	rows := min(p.tile, p.rows-from)
	ldc := p.groups * p.out
	tile := p.c[from*ldc : (from+rows)*ldc]
	panels, height := kn.Split(rows)
	patch := p.scratch[worker]
	for g := range p.groups {
		for k0 := 0; k0 < p.k; k0 += p.block {
			n := min(p.block, p.k-k0)
			packed, update := p.panels(g, k0, n), gemm.Add
			if k0 == 0 {
				update = p.updateOf(g * p.out)
			}
			for q := range panels {
				r0 := from + q*height
				m := min(height, from+rows-r0)
				for r := range m {
					p.win.gather(patch[r*n:(r+1)*n], p.src, r0+r, k0, k0+n, g*p.win.channels)
				}
				kn.Multiply(m, p.out, n, patch, n, false, packed, p.c[r0*ldc+g*p.out:], ldc, update)
			}
		}
	}
	if p.relu {
		p.d.vector.ReLU.Forward(tile, tile, 0)
	}
}
