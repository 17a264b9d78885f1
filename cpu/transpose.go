package cpu

import "trainer/nn/device"

// transpose is the plan of y[n,j,i] = x[n,i,j]. It goes by squares of tileSide, which are turned in a buffer: written
// straight to y, the elements of a row of x would fall on as many lines of the cache, often a power of two apart and so
// in each other's way.
type transpose struct {
	d      *Device
	spec   device.TransposeSpec
	across int // tiles of a row of x
	tiles  int // of an image

	// Operands of the call that is running.
	y, x []float32
}

// tileSide is the side of a square that is transposed at once: 16 elements are a line of the cache.
const tileSide = 32

// NewTranspose makes a plan for a transposition.
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

// tilesPerTask is how many tiles a task transposes.
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
