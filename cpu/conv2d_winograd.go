package cpu

import (
	"math"

	"trainer/cpu/internal/gemm"
	"trainer/cpu/internal/winograd"
)

// winogradProduct computes the product of convProduct by Winograd's method (see package
// winograd): the image is cut into overlapping tiles of 6 x 6 pixels, and each is transformed
// to 36 values per channel. For each v, value v of all tiles times value v of all filters is
// a matrix product over the channels:
//
//	V[v][t, c] = (B^T x B)[v]        t the tile, c the channel
//	U[v][c, o] = (G w G^T)[v]        once per call
//	M[v][t, o] = sum_c V[v][t, c] U[v][c, o]
//	y          = A^T M A
//
// The rounding errors of a pixel are proportional to the terms of its tile, not of its window: a value of B^T x B mixes
// all 36 pixels. If pixels of one tile differ by orders of magnitude, the small ones lose what the large ones' last bits
// are worth, and an infinite pixel makes the 16 pixels of a tile NaN where the direct sum has 9 infinite ones. That is no
// matter for the outputs of layers, which have one scale. It would be for pixels as a camera gives them; but these have at
// most 4 channels, and this method needs minWinogradChannels: a layer that reads images reads them directly or gathers
// them.
//
// A task is a block of tiles. It computes V, which stays in the second-level cache, and then,
// for one panel of columns after the other, M and from it the pixels of y.
type winogradProduct struct {
	*convProduct
	winogradTiles
	block int // tiles per task
	group int // tiles whose values are stored together: as many as a tile of the product has rows

	// Places in the device's workspace: the transformed filters in its shared part,
	// everything else in the worker's own.
	stepU, stepV, stepM int // elements from one value to the next, in a group
	lenU, lenV, lenM    int
	lenPixels           int // one tile, if it must be copied
	lenWhole            int // a block's images before pooling, columns of one panel

	filterTask winogradFilters
}

type winogradFilters struct{ *winogradProduct }

// winogradTiles describes how images are cut into tiles.
type winogradTiles struct {
	r, m           int // taps per side of a filter, and output pixels per side of a tile
	tilesH, tilesW int // tiles per image
}

const (
	// minWinogradChannels is the smallest number of channels, on either side, for which the
	// transforms can pay.
	minWinogradChannels = 16
	// transformCost is the time of the transforms of a tile, per input and per output
	// channel, in multiply-adds of the product. It comes from measurements of both methods.
	transformCost = 1100
)

// tilesOf returns how the images of a window are cut into tiles, and whether Winograd's
// method is faster. out is the number of columns of the product.
func tilesOf(kn *gemm.Kernel, w *window, out, images int) (winogradTiles, bool) {
	r := w.kH
	if r != w.kW || r != 3 && r != 5 || w.strideH != 1 || w.strideW != 1 || w.padH < 0 || w.padW < 0 ||
		!w.contiguous || w.dilationH != 1 || w.upH != 1 || min(w.channels, out) < minWinogradChannels {
		return winogradTiles{}, false
	}
	m := winograd.Size + 1 - r
	t := winogradTiles{r: r, m: m, tilesH: divideUp(w.outH, m), tilesW: divideUp(w.outW, m)}
	if images*t.perImage() < 2*winograd.Values {
		return t, false // the filters' transforms would be most of the work
	}
	perPixel := w.channels * lanes(kn, out)
	tile := winograd.Values*perPixel + transformCost*(w.channels+out)
	return t, t.perImage()*tile < w.outH*w.outW*r*r*perPixel
}

// lanes returns the number of columns that a product of n columns costs as much as: whole
// panels, and for the rest a panel or one vector, which is a little less efficient.
func lanes(kn *gemm.Kernel, n int) int {
	rest := n % kn.NR
	switch {
	case rest == 0:
		return n
	case rest > kn.NR/2:
		return n - rest + kn.NR
	}
	return n - rest + kn.NR*5/8
}

func (t winogradTiles) perImage() int { return t.tilesH * t.tilesW }

// place returns the index of a tile's image, and the first row and column of the tile's
// output.
func (t winogradTiles) place(tile int) (n, i, j int) {
	n, tile = tile/t.perImage(), tile%t.perImage()
	return n, tile / t.tilesW * t.m, tile % t.tilesW * t.m
}

// apart returns the distance, in elements, between values of n elements each: one cache line
// more than n, because values a power of two apart would share a few sets of the cache.
func apart(n int) int { return divideUp(n, 16)*16 + 16 }

const (
	// winogradBlock is the number of tiles of one task: the transformed filters are read from
	// the last-level cache once per block.
	winogradBlock = 56
	// filterGroup is the number of channels whose filters are reordered at a time.
	filterGroup = 16
)

func (p *winogradProduct) init(product *convProduct, tiles winogradTiles) {
	p.convProduct, p.winogradTiles = product, tiles
	kn, channels := p.d.kernel, p.win.channels
	p.block = divideUp(winogradBlock, kn.MR) * kn.MR
	if p.pool != nil { // tasks are whole images
		p.block = max(1, winogradBlock/p.perImage()) * p.perImage()
		p.lenWhole = p.block / p.perImage() * p.win.outH * p.win.outW * kn.NR
	}
	groups, height := kn.Split(p.block)
	p.group = height
	p.stepU = kn.PackedLen(channels, p.out) + 16
	p.stepV, p.stepM = apart(p.group*channels), apart(p.group*kn.NR)
	p.lenU, p.lenV, p.lenM = winograd.Values*p.stepU, winograd.Values*p.stepV*groups, winograd.Values*p.stepM*groups
	p.lenPixels = winograd.Values * max(channels, kn.NR)
	p.filterTask = winogradFilters{p}
	p.d.reserve(p.lenU, max(p.lenV+p.lenM+p.lenPixels+p.lenWhole+p.unpool.imageLen(), p.r*p.r*filterGroup*kn.NR))
}

func (p *winogradProduct) run() {
	p.d.pool.Run(p.d.kernel.Panels(p.out), &p.filterTask)
	p.d.pool.Run(divideUp(p.images*p.perImage(), p.block), p)
}

// Do transforms the filters of one panel of columns.
func (t *winogradFilters) Do(panel, worker int) {
	p, nr := t.winogradProduct, t.d.kernel.NR
	width := min(nr, p.out-panel*nr)
	channels := p.win.channels
	u := p.d.shared[panel*nr*channels : p.lenU]
	scratch := p.d.transform[worker]
	if p.flip {
		// Column c, element o: the taps of w[o, :, :, c], from the last to the first.
		for o := range channels {
			last := ((o+1)*p.r*p.r-1)*p.out + panel*nr
			w := winograd.Grid{Data: p.weights, At: last, Row: -p.r * p.out, Column: -p.out}
			p.d.winograd.FilterTransform(p.r, u[o*nr:], p.stepU, w, width, scratch)
		}
		return
	}
	ordered := p.d.own[worker][:p.r*p.r*filterGroup*nr]
	for c := 0; c < channels; c += filterGroup {
		n := min(filterGroup, channels-c)
		p.order(ordered, panel*nr, width, c, n)
		for i := range n {
			w := winograd.Grid{Data: ordered, At: i * nr, Row: p.r * filterGroup * nr, Column: filterGroup * nr}
			p.d.winograd.FilterTransform(p.r, u[(c+i)*nr:], p.stepU, w, width, scratch)
		}
	}
}

// order copies the taps of filters [o, o+width), channels [c, c+n), to dst, [tap, c, o].
func (p *winogradProduct) order(dst []float32, o, width, c, n int) {
	nr, taps := p.d.kernel.NR, p.r*p.r
	for k := range width {
		for tap := range taps {
			src := p.weights[((o+k)*taps+tap)*p.win.channels+c:][:n]
			at := tap*filterGroup*nr + k
			for _, v := range src {
				dst[at] = v
				at += nr
			}
		}
	}
}

// Do computes one block of tiles.
func (p *winogradProduct) Do(task, worker int) {
	first := task * p.block
	tiles := min(p.block, p.images*p.perImage()-first)
	own := p.d.own[worker]
	v, own := own[:p.lenV], own[p.lenV:]
	m, own := own[:p.lenM], own[p.lenM:]
	pixels, own := own[:p.lenPixels], own[p.lenPixels:]
	whole, own := own[:p.lenWhole], own[p.lenWhole:]
	p.inputTransform(v, first, tiles, pixels, own, worker)
	for o := 0; o < p.out; o += p.d.kernel.NR {
		p.multiply(m, v, tiles, o)
		to := winogradOutput{data: p.c, at: o, channels: p.out}
		if p.pool != nil {
			to = winogradOutput{data: whole, image: first / p.perImage(), channels: min(p.d.kernel.NR, p.out-o)}
		}
		for t := range tiles {
			p.write(to, first+t, o, m[p.at(t, p.stepM, p.d.kernel.NR):], pixels, p.d.transform[worker])
		}
		if p.pool != nil {
			p.poolPanel(to, tiles/p.perImage(), o)
		}
	}
}

// inputTransform transforms a block of tiles.
func (p *winogradProduct) inputTransform(v []float32, first, tiles int, pixels, made []float32, worker int) {
	channels := p.win.channels
	images := newImageReader(p.src, p.win.perImage, p.unpool, made)
	for t := range tiles {
		n, i, j := p.place(first + t)
		x := p.win.tile(pixels, images.image(n), i-p.win.padH, j-p.win.padW, winograd.Size)
		p.d.winograd.InputTransform(v[p.at(t, p.stepV, channels):], p.stepV, x, channels, p.d.transform[worker])
	}
}

// at returns where the first value of a tile of the block begins, with n elements per value.
func (p *winogradProduct) at(tile, step, n int) int {
	return tile/p.group*winograd.Values*step + tile%p.group*n
}

// multiply computes M of one panel of columns from o on.
func (p *winogradProduct) multiply(m, v []float32, tiles, o int) {
	kn, channels := p.d.kernel, p.win.channels
	cols := min(kn.NR, p.out-o)
	for value := range winograd.Values {
		u := p.d.shared[value*p.stepU+o*channels:]
		for t := 0; t < tiles; t += p.group {
			rows, at := min(p.group, tiles-t), t/p.group*winograd.Values+value
			update := gemm.Set
			for c, length := 0, sumLength(channels); c < channels; c += length {
				kn.Tile(rows, cols, min(length, channels-c), v[at*p.stepV+c:], channels, false, u[c*kn.NR:], kn.NR, m[at*p.stepM:], kn.NR, update)
				update = gemm.Add
			}
		}
	}
}

// winogradOutput says where a task's pixels go: to the images from index image on, of
// channels elements per pixel; the first column is at offset at.
type winogradOutput struct {
	data                []float32
	at, image, channels int
}

// write computes the pixels of a tile, the columns of one panel from o on.
func (p *winogradProduct) write(to winogradOutput, tile, o int, m, pixels, scratch []float32) {
	w := &p.win
	cols := min(p.d.kernel.NR, p.out-o)
	n, i, j := p.place(tile)
	bias, floor := p.d.zeros[:cols], float32(math.Inf(-1))
	if p.bias != nil {
		bias = p.bias[o:]
	}
	if p.relu {
		floor = 0
	}
	y := winograd.Grid{Data: to.data, Row: w.outW * to.channels, Column: to.channels}
	y.At = to.at + (n-to.image)*w.outH*y.Row + i*y.Row + j*y.Column
	rows, columns := min(p.m, w.outH-i), min(p.m, w.outW-j)
	if rows == p.m && columns == p.m {
		p.d.winograd.OutputTransform(p.m, y, m, p.stepM, cols, bias, floor, scratch)
		return
	}
	whole := winograd.Grid{Data: pixels, Row: p.m * cols, Column: cols}
	p.d.winograd.OutputTransform(p.m, whole, m, p.stepM, cols, bias, floor, scratch)
	for i := range rows {
		for j := range columns {
			copy(y.Data[y.At+i*y.Row+j*y.Column:][:cols], pixels[(i*p.m+j)*cols:])
		}
	}
}

// poolPanel pools the images of a task, the columns of one panel from o on.
func (p *winogradProduct) poolPanel(from winogradOutput, images, o int) {
	length := p.win.outH * p.win.outW * from.channels
	for n := range images {
		p.pool.channels(p.c, from.data[n*length:][:length], from.image+n, o, from.channels)
	}
}

// tile returns the size x size pixels of an image from row i and column j on. If these begin
// before the image or end after it, they are copied to pixels, with zeros around them.
func (w *window) tile(pixels, image []float32, i, j, size int) winograd.Grid {
	rowLen := w.srcW * w.srcC
	if i >= 0 && j >= 0 && i+size <= w.srcH && j+size <= w.srcW {
		return winograd.Grid{Data: image, At: i*rowLen + j*w.srcC, Row: rowLen, Column: w.srcC}
	}
	g := winograd.Grid{Data: pixels[:size*size*w.srcC], Row: size * w.srcC, Column: w.srcC}
	from, to := max(j, 0), min(j+size, w.srcW)
	for a := range size {
		row := g.Data[a*g.Row:][:g.Row]
		if i+a < 0 || i+a >= w.srcH || from >= to {
			clear(row)
			continue
		}
		clear(row[:(from-j)*w.srcC])
		copy(row[(from-j)*w.srcC:], image[(i+a)*rowLen+from*w.srcC:(i+a)*rowLen+to*w.srcC])
		clear(row[(to-j)*w.srcC:])
	}
	return g
}
