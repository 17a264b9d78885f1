package cpu

import (
	"trainer/cpu/internal/gemm"
	"trainer/nn/device"
)

// matMul computes C = op(A) op(B) + bias by the packed product of package gemm: B is first copied into panels
// that the kernel reads from end to end, then every task computes a tile of C, one block of k after the other,
// in the same order with any number of threads. The products of a batch are computed one after the other.
type matMul struct {
	d    *Device
	spec device.MatMulSpec
	relu bool

	packed  []float32   // op(B), by blocks of k, each by panels of columns
	scratch [][]float32 // per worker: rows of A, made contiguous

	batch, m, n, k   int
	c, a, b, bias    []float32 // of the current product
	tileM, tileN     int       // rows and columns per task
	tilesN           int
	packB            matMulPack
	multiply         matMulTiles
	ldc, lda, ldb    int
	blocks, panelsOf int // blocks of k, and panels per block
}

type (
	matMulPack  struct{ *matMul }
	matMulTiles struct{ *matMul }
)

// blockK is the length of a block of k: a panel of A of this length stays in the first-level cache, and one of B
// in the second-level cache.
const blockK = 256

// NewMatMul returns the plan of a matrix product.
func (d *Device) NewMatMul(spec device.MatMulSpec) (_ device.MatMul, err error) {
	defer returnShortage(&err)
	if err := d.float32Only("matmul", spec.DType, spec.Out); err != nil {
		return nil, err
	}
	return d.newMatMul(spec, false), nil
}

// NewMatMulReLU returns the plan of a matrix product whose result goes through ReLU.
func (d *Device) NewMatMulReLU(spec device.MatMulSpec) (_ device.MatMul, err error) {
	defer returnShortage(&err)
	if err := d.float32Only("matmul", spec.DType, spec.Out); err != nil {
		return nil, err
	}
	return d.newMatMul(spec, true), nil
}

func (d *Device) newMatMul(spec device.MatMulSpec, relu bool) *matMul {
	spec.Check()
	p := &matMul{d: d, spec: spec, relu: relu}
	p.packB, p.multiply = matMulPack{p}, matMulTiles{p}
	p.packed = aligned[float32](d.kernel.PackedLen(spec.K, spec.N))
	p.scratch = make([][]float32, d.pool.Workers())
	for i := range p.scratch {
		p.scratch[i] = aligned[float32](d.kernel.MR * blockK)
	}
	return p
}

// Run computes c = op(a) op(b) + bias.
func (p *matMul) Run(c, a, b, bias *device.Tensor) {
	p.batch, p.m, p.k = p.spec.CheckOperands(c, a, b, bias)
	p.n = p.spec.N
	p.bias = optionalFloats(bias)
	p.ldc, p.lda, p.ldb = p.n, p.k, p.n
	if p.spec.TransA {
		p.lda = p.m
	}
	if p.spec.TransB {
		p.ldb = p.k
	}
	kn := p.d.kernel
	p.blocks, p.panelsOf = (p.k+blockK-1)/blockK, kn.Panels(p.n)
	p.tileM, p.tileN = 4*kn.MR, 8*kn.NR
	p.tilesN = (p.n + p.tileN - 1) / p.tileN
	for i := range p.batch {
		p.c, p.a, p.b = floats(c)[i*p.m*p.n:], floats(a)[i*p.m*p.k:], floats(b)[i*p.k*p.n:]
		p.d.pool.Run(p.blocks*p.panelsOf, &p.packB)
		p.d.pool.Run((p.m+p.tileM-1)/p.tileM*p.tilesN, &p.multiply)
	}
}

// Do packs one panel of one block of k.
func (t *matMulPack) Do(i, _ int) {
	p := t.matMul
	block, panel := i/p.panelsOf, i%p.panelsOf
	k0 := block * blockK
	length := min(blockK, p.k-k0)
	b := p.b
	if p.spec.TransB {
		b = b[k0:]
	} else {
		b = b[k0*p.ldb:]
	}
	p.d.kernel.Pack(p.block(k0, length), panel, length, p.n, b, p.ldb, p.spec.TransB)
}

// block returns the packed panels of the block that begins at k0 and has length k.
func (p *matMul) block(k0, length int) []float32 {
	width := p.panelsOf * p.d.kernel.NR
	return p.packed[k0*width : (k0+length)*width]
}

// Do computes one tile of C.
func (t *matMulTiles) Do(i, worker int) {
	p, kn := t.matMul, t.d.kernel
	i0, j0 := i/p.tilesN*p.tileM, i%p.tilesN*p.tileN
	rows, cols := min(p.tileM, p.m-i0), min(p.tileN, p.n-j0)
	begin := gemm.Set
	if p.bias != nil {
		begin = gemm.From(p.bias[j0:])
	}
	panels, height := kn.Split(rows)
	for k0 := 0; k0 < p.k; k0 += blockK {
		length := min(blockK, p.k-k0)
		packed, update := p.block(k0, length)[j0*length:], gemm.Add
		if k0 == 0 {
			update = begin
		}
		for q := range panels {
			r := i0 + q*height
			m := min(height, i0+rows-r)
			if p.spec.TransA {
				kn.Multiply(m, cols, length, p.a[k0*p.lda+r:], p.lda, true, packed, p.c[r*p.ldc+j0:], p.ldc, update)
				continue
			}
			a := contiguous(p.scratch[worker], p.a[r*p.lda+k0:], p.lda, m, length)
			kn.Multiply(m, cols, length, a, length, false, packed, p.c[r*p.ldc+j0:], p.ldc, update)
		}
	}
	if p.relu {
		for r := i0; r < i0+rows; r++ {
			row := p.c[r*p.ldc+j0:][:cols]
			p.d.vector.ReLU.Forward(row, row, 0)
		}
	}
}

// contiguous copies m rows of A to dst without gaps: rows that are a power of two apart would compete for the
// same lines of the cache.
func contiguous(dst, a []float32, lda, m, length int) []float32 {
	for r := range m {
		copy(dst[r*length:(r+1)*length], a[r*lda:])
	}
	return dst[:m*length]
}
