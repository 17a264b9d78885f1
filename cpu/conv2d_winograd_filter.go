package cpu

import (
	"math"

	"trainer/cpu/internal/gemm"
	"trainer/cpu/internal/winograd"
)

// winogradFilter computes the gradient of the filters by Winograd's method: a tile of 6 x 6 pixels
// of x and one of m x m pixels of dy give r x r sums, one per tap. The sum over all tiles is taken
// before the last transform:
//
//	V[v][t, c]  = (B^T x B)[v]           t the tile
//	D[v][t, o]  = (G dy G^T)[v]
//	M[v][o, c]  = sum_t D[v][t, o] V[v][t, c]
//	dW[o, :, c] = A^T M A
//
// The tiles are processed in blocks. If M is small, each task owns a part of the blocks and an M
// of its own, which stays in the second-level cache with the transformed tiles; the parts are
// added in order at the end. If M is large, there is only one: all workers transform a block
// together, then each adds the products of some values of it. Sizes and parts are chosen by the
// shape alone, so that the sums are the same with any number of workers.
type winogradFilter struct {
	*convFilter
	winogradTiles
	all   int // tiles of a full batch
	block int // tiles per block
	parts int // 1 if there is one M for all

	// The columns of the products are the input channels, or with byOut the output channels,
	// whichever leaves fewer lanes empty; the other channels are the rows.
	byOut      bool
	rows, cols int

	stepRows, stepCols, stepM int // elements from one value to the next
	lenRows, lenCols, lenM    int
	lenPixels                 int

	dyWindow window // of dy, for its tiles

	calls    int // tiles of the current call
	current  winogradBlockOfTiles
	partTask winogradParts
	transfer winogradTransform
	multiply winogradMultiply
	finish   winogradFinish
	bias     convBias
}

type (
	winogradParts     struct{ *winogradFilter }
	winogradTransform struct{ *winogradFilter }
	winogradMultiply  struct{ *winogradFilter }
	winogradFinish    struct{ *winogradFilter }
)

// winogradBlockOfTiles holds a block's transformed tiles.
type winogradBlockOfTiles struct {
	rows, cols   []float32 // the products' operands, by value
	sums         []float32 // M
	first, tiles int
	update       gemm.Update // how the next product changes M
}

const (
	// winogradOwnSums is the largest M, in floats, of which each task has its own.
	winogradOwnSums = 160 << 10
	// winogradOwnTiles is the size of a task's block of transformed tiles: together with M they
	// fit the second-level cache.
	winogradOwnTiles = 160 << 10
	// winogradSharedTiles is the size of a shared block of transformed tiles, a part of the
	// last-level cache: all of M is read and written once per block.
	winogradSharedTiles = 4 << 20
	// transformTiles is the number of tiles of a shared block that one task transforms.
	transformTiles = 16
	// finishRows is the number of rows of M that a task finishes.
	finishRows = 8
)

func (p *winogradFilter) init(filter *convFilter, tiles winogradTiles, images int) {
	p.convFilter, p.winogradTiles, p.all = filter, tiles, images*tiles.perImage()
	kn := p.d.kernel
	in, out := p.win.channels, p.out
	p.rows, p.cols = out, in
	if kn.Panels(out)*in < kn.Panels(in)*out {
		p.byOut, p.rows, p.cols = true, in, out
	}
	p.stepM = apart(kn.PackedLen(p.rows, p.cols))
	p.lenM, p.lenPixels = winograd.Values*p.stepM, winograd.Values*max(in, out)
	perTile := winograd.Values * (p.rows + kn.Panels(p.cols)*kn.NR)
	p.parts, p.block = 1, max(64, min(512, winogradSharedTiles/perTile))
	if p.lenM <= winogradOwnSums {
		p.block = max(16, min(256, winogradOwnTiles/perTile))
		p.parts = min(filterTasks, divideUp(p.all, p.block))
	}
	p.block = min(p.block, p.all)
	p.stepRows, p.stepCols = apart(p.block*p.rows), apart(kn.PackedLen(p.block, p.cols))
	p.lenRows, p.lenCols = winograd.Values*p.stepRows, winograd.Values*p.stepCols
	p.partTask, p.transfer, p.multiply, p.finish = winogradParts{p}, winogradTransform{p}, winogradMultiply{p}, winogradFinish{p}
	p.dyWindow = window{srcH: p.win.outH, srcW: p.win.outW, srcC: out, perImage: p.win.outH * p.win.outW * out}
	p.bias.init(p.convFilter, images)
	own := p.lenPixels + p.unpool.imageLen()
	if p.parts > 1 {
		p.d.reserve(p.parts*p.lenM, max(p.lenRows+p.lenCols+own, p.r*p.r*kn.NR))
	} else {
		p.d.reserve(p.lenM+p.lenRows+p.lenCols, max(own, p.r*p.r*kn.NR))
	}
}

func (p *winogradFilter) run() {
	if p.dbias != nil {
		p.bias.run()
	}
	if p.dw == nil {
		return
	}
	p.calls = p.images * p.perImage()
	if p.parts > 1 {
		p.d.pool.Run(p.parts, &p.partTask)
	} else {
		p.runShared()
	}
	p.d.pool.Run(divideUp(p.rows, finishRows), &p.finish)
}

// runShared is the loop over blocks that all workers share.
func (p *winogradFilter) runShared() {
	shared := p.d.shared[p.lenM:]
	b := &p.current
	*b = winogradBlockOfTiles{sums: p.d.shared[:p.lenM], rows: shared[:p.lenRows], cols: shared[p.lenRows:][:p.lenCols], update: gemm.Set}
	for ; b.first < p.calls; b.first += p.block {
		b.tiles = min(p.block, p.calls-b.first)
		p.d.pool.Run(divideUp(b.tiles, transformTiles), &p.transfer)
		p.d.pool.Run(winograd.Values*p.d.kernel.Panels(p.cols), &p.multiply)
		b.update = gemm.Add
	}
}

// Do transforms some tiles of the shared block.
func (t *winogradTransform) Do(task, worker int) {
	b := &t.current
	from := task * transformTiles
	t.inputTransform(b, from, min(from+transformTiles, b.tiles), t.d.own[worker], t.d.transform[worker])
}

// Do adds the products of the shared block for one value and one panel of columns.
func (t *winogradMultiply) Do(task, _ int) {
	t.product(&t.current, task%winograd.Values, task/winograd.Values*t.d.kernel.NR)
}

// Do sums over one part of the blocks.
func (t *winogradParts) Do(part, worker int) {
	p, own := t.winogradFilter, t.d.own[worker]
	blocks := divideUp(p.calls, p.block)
	b := winogradBlockOfTiles{sums: p.d.shared[part*p.lenM:][:p.lenM], rows: own[:p.lenRows], cols: own[p.lenRows:][:p.lenCols], update: gemm.Set}
	own, scratch := own[p.lenRows+p.lenCols:], p.d.transform[worker]
	for i := blocks * part / p.parts; i < blocks*(part+1)/p.parts; i++ {
		b.first = i * p.block
		b.tiles = min(p.block, p.calls-b.first)
		p.inputTransform(&b, 0, b.tiles, own, scratch)
		for value := range winograd.Values {
			for c := 0; c < p.cols; c += p.d.kernel.NR {
				p.product(&b, value, c)
			}
		}
		b.update = gemm.Add
	}
	if b.update == gemm.Set { // this part has no blocks: the batch is smaller than the plan's
		clear(b.sums)
	}
}

// inputTransform transforms tiles [from, to) of a block, of x and of dy. own is memory for pixels
// and, with pooling, for an unpooled image of dy.
func (p *winogradFilter) inputTransform(b *winogradBlockOfTiles, from, to int, own, scratch []float32) {
	pixels, made := own[:p.lenPixels], own[p.lenPixels:]
	gradients := newImageReader(p.dy, p.dyWindow.perImage, p.unpool, made)
	for i := from; i < to; i++ {
		n, y, x := p.place(b.first + i)
		image := p.src[n*p.win.perImage:][:p.win.perImage]
		p.store(b, i, 0, p.win.tile(pixels, image, y-p.win.padH, x-p.win.padW, winograd.Size), p.win.channels, scratch)
		p.store(b, i, p.m, p.dyWindow.tile(pixels, gradients.image(n), y, x, p.m), p.out, scratch)
	}
}

// store transforms tile i, of x, or of dy with m pixels along a side. The values, n channels each,
// are stored as rows of the products or as columns; for columns, each panel of channels is
// contiguous.
func (p *winogradFilter) store(b *winogradBlockOfTiles, i, m int, g winograd.Grid, n int, scratch []float32) {
	transform := func(v []float32, step int, g winograd.Grid, n int) {
		if m == 0 {
			p.d.winograd.InputTransform(v, step, g, n, scratch)
		} else {
			p.d.winograd.FilterTransform(m, v, step, g, n, scratch)
		}
	}
	if p.byOut == (m == 0) {
		transform(b.rows[i*p.rows:], p.stepRows, g, n)
		return
	}
	nr := p.d.kernel.NR
	for c := 0; c < n; c += nr {
		transform(b.cols[c*p.block+i*nr:], p.stepCols, g, min(nr, n-c))
		g.At += nr
	}
}

// product adds a block's products of one value, columns of the panel from c on.
func (p *winogradFilter) product(b *winogradBlockOfTiles, value, c int) {
	kn := p.d.kernel
	rows, cols := b.rows[value*p.stepRows:], b.cols[value*p.stepCols+c*p.block:]
	m := b.sums[value*p.stepM+c*p.rows:]
	panels, height := kn.Split(p.rows)
	for q := range panels {
		r := q * height
		kn.Tile(min(height, p.rows-r), min(kn.NR, p.cols-c), b.tiles, rows[r:], p.rows, true, cols, kn.NR, m[r*kn.NR:], kn.NR, b.update)
	}
}

// Do computes the gradient of the filters from some rows of M.
func (t *winogradFinish) Do(task, worker int) {
	p, nr := t.winogradFilter, t.d.kernel.NR
	ordered := p.d.own[worker][:p.r*p.r*nr]
	from, to := task*finishRows, min((task+1)*finishRows, p.rows)
	for c := 0; c < p.cols; c += nr {
		p.addParts(from, to, c)
		for row := from; row < to; row++ {
			m := p.d.shared[c*p.rows+row*nr : p.lenM]
			p.outputTransform(m, row, c, min(nr, p.cols-c), ordered, p.d.transform[worker])
		}
	}
}

// addParts adds the M of all parts to the M of the first: rows [from, to) of the panel from column
// c on.
func (p *winogradFilter) addParts(from, to, c int) {
	nr := p.d.kernel.NR
	for value := range winograd.Values {
		at := value*p.stepM + c*p.rows + from*nr
		sum := p.d.shared[at:][:(to-from)*nr]
		for part := 1; part < p.parts; part++ {
			p.d.vector.AddRows(sum, p.d.shared[part*p.lenM+at:][:len(sum)])
		}
	}
}

// outputTransform computes the taps from one row of M, width columns from c on.
func (p *winogradFilter) outputTransform(m []float32, row, c, width int, ordered, scratch []float32) {
	nr, taps, in, low := p.d.kernel.NR, p.r*p.r, p.win.channels, float32(math.Inf(-1))
	if !p.byOut {
		dw := winograd.Grid{Data: p.dw, At: row*taps*in + c, Row: p.r * in, Column: in}
		p.d.winograd.OutputTransform(p.r, dw, m, p.stepM, width, p.d.zeros, low, scratch)
		return
	}
	dw := winograd.Grid{Data: ordered, Row: p.r * nr, Column: nr}
	p.d.winograd.OutputTransform(p.r, dw, m, p.stepM, width, p.d.zeros, low, scratch)
	for o := range width {
		for tap := range taps {
			p.dw[((c+o)*taps+tap)*in+row] = ordered[tap*nr+o]
		}
	}
}

// convBias computes dbias[o] = sum_p dY[p, o] in parts, which are then added in order.
type convBias struct {
	*convFilter
	parts int
	rows  int       // of dY in a part
	sums  []float32 // [parts][out], and as much for blocks of long sums
}

func (b *convBias) init(filter *convFilter, images int) {
	b.convFilter, b.parts = filter, min(filterTasks, images)
	b.rows = divideUp(images, b.parts) * filter.win.outH * filter.win.outW
	b.sums = aligned[float32](2 * b.parts * filter.out)
	b.d.reserve(0, b.unpool.imageLen())
}

func (b *convBias) run() {
	b.d.pool.Run(b.parts, b)
	b.sumParts(b.dbias, b.sums, b.parts, b.out)
}

// Do sums over one part of the images.
func (b *convBias) Do(part, worker int) {
	sum, block := b.sums[part*b.out:][:b.out], b.sums[(b.parts+part)*b.out:][:b.out]
	clear(sum)
	gradients := newImageReader(b.dy, b.win.outH*b.win.outW*b.out, b.unpool, b.d.own[worker])
	for n := b.images * part / b.parts; n < b.images*(part+1)/b.parts; n++ {
		b.d.addManyRows(sum, gradients.image(n), block, b.rows)
	}
}
