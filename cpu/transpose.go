package cpu

import "trainer/nn/device"

// transpose is the plan of y[n,j,i] = x[n,i,j]. It transposes squares of side tileSide in a buffer. Written directly to
// y, each element of a row of x would go to another cache line, and these are often a power of two apart and compete
// for the same part of the cache.
type transpose struct {
	d      *Device
	spec   device.TransposeSpec
	across int // tiles of a row of x
	tiles  int // per image

	// Operands of the current call.
	y, x []float32
}

// tileSide is the side of a square that is transposed at once: 16 elements fill a cache line.
const tileSide = 32

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
	p.d.pool.Run(divideUp(batch*p.tiles, tilesPerTask), p)
}

// tilesPerTask is the number of tiles per task.
const tilesPerTask = 4

// Do transposes a group of tiles.
func (p *transpose) Do(i, _ int) {
	m, n := p.spec.M, p.spec.N
	var turned [tileSide][tileSide]float32
	for t := i * tilesPerTask; t < min((i+1)*tilesPerTask, len(p.x)/(m*n)*p.tiles); t++ {
		image, tile := t/p.tiles*m*n, t%p.tiles
		i0, j0 := tile/p.across*tileSide, tile%p.across*tileSide
		rows, cols := min(tileSide, m-i0), min(tileSide, n-j0)
		for r := range rows {
			row := p.x[image+(i0+r)*n+j0:][:cols]
			for j, v := range row {
				turned[j%tileSide][r] = v
			}
		}
		for j := range cols {
			copy(p.y[image+(j0+j)*m+i0:][:rows], turned[j][:])
		}
	}
}
