package cpu

import "trainer/nn/device"

// transpose is the plan of y[n,j,i] = x[n,i,j]. A task transposes a few squares of side tileSide, which package vector
// divides into squares of a vector's side: so whole cache lines are read and written, and those that a row's end leaves in
// two squares are still in the cache.
type transpose struct {
	d      *Device
	spec   device.TransposeSpec
	across int // tiles of a row of x
	tiles  int // per image

	// Operands of the current call.
	y, x []float32
}

// tileSide is the side of a square that is transposed at once, in elements: a tile of x and one of y fill the first-level
// cache.
const tileSide = 64

// NewTranspose returns a plan for a transposition.
func (d *Device) NewTranspose(s device.TransposeSpec) (device.Transpose, error) {
	s.Check()
	if err := d.float32Only("transpose", s.DType); err != nil {
		return nil, err
	}
	across := divideUp(s.N, tileSide)
	return &transpose{d: d, spec: s, across: across, tiles: across * divideUp(s.M, tileSide)}, nil
}

func (p *transpose) Run(y, x *device.Tensor) {
	batch := p.spec.CheckOperands(y, x)
	p.y, p.x = floats(y), floats(x)
	p.d.pool.Run(divideUp(batch*p.tiles, p.tilesPerTask()), p)
}

// tilesPerTask returns the number of tiles per task: about chunk elements.
func (p *transpose) tilesPerTask() int {
	return max(1, chunk/(min(tileSide, p.spec.M)*min(tileSide, p.spec.N)))
}

// Do transposes a group of tiles.
func (p *transpose) Do(i, _ int) {
	m, n, each := p.spec.M, p.spec.N, p.tilesPerTask()
	for t := i * each; t < min((i+1)*each, len(p.x)/(m*n)*p.tiles); t++ {
		image, tile := t/p.tiles*m*n, t%p.tiles
		i0, j0 := tile/p.across*tileSide, tile%p.across*tileSide
		p.d.vector.Transpose(p.y[image+j0*m+i0:], p.x[image+i0*n+j0:], m, n, min(tileSide, m-i0), min(tileSide, n-j0))
	}
}
