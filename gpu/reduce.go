//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// reduce is the plan of a sum over src [rows, c], by the kernels of reduce.cu:
//
//	ReduceSumRows     dst[j] = sum_i src[i,j]
//	ReduceSum         dst = sum src
//	ReduceSumSquares  dst = sum src^2
//	ReduceNonFinite   dst = number of NaN and infinite elements
//
// The first launch leaves partial sums in the workspace, the second adds them up.
type reduce struct {
	d              *Device
	spec           device.ReduceSpec
	blocks, finish *cuda.Kernel
}

// NewReduce makes a plan for a reduction.
func (d *Device) NewReduce(s device.ReduceSpec) (device.Reduce, error) {
	if s.Rows < 1 || s.C < 1 || s.Kind < device.ReduceSumRows || s.Kind > device.ReduceNonFinite {
		panic(fmt.Sprintf("gpu: NewReduce: kind %d over [%d %d]", s.Kind, s.Rows, s.C))
	}
	s.DType = floatType("NewReduce", s.DType)
	return build(d, "reduce", func(b *builder) device.Reduce {
		if !b.elements(s.Rows * s.C) {
			return nil
		}
		if s.Kind == device.ReduceSumRows {
			b.reserve(columnSums(s.Rows, s.C))
			return &reduce{d, s, b.family(kernels.ReduceRows, s.DType), b.family(kernels.ReduceRowsFinish, s.DType)}
		}
		b.reserve(8 * int64(kernels.Reduction(s.Rows*s.C).X))
		switch s.Kind {
		case device.ReduceSum:
			return &reduce{d, s, b.family(kernels.ReduceSum, s.DType), b.family(kernels.ReduceFinish, s.DType)}
		case device.ReduceSumSquares:
			return &reduce{d, s, b.family(kernels.ReduceSumSquares, s.DType), b.family(kernels.ReduceFinish, s.DType)}
		}
		return &reduce{d, s, b.family(kernels.ReduceNonFinite, s.DType), b.family(kernels.ReduceNonFiniteFinish, s.DType)}
	})
}

// columnSums returns the bytes of the partial sums of each column of [rows, c], and of fewer rows.
func columnSums(rows, c int) int64 { return 4 * int64(kernels.MaxColumnBlocks(rows, c)) * int64(c) }

func (p *reduce) Run(dst, src *device.Tensor) {
	const op = "reduce"
	n := device.CheckUpTo(op, "src", src, p.spec.DType, p.spec.Rows*p.spec.C)
	d := p.d
	if p.spec.Kind == device.ReduceSumRows {
		if n%p.spec.C != 0 {
			panic(fmt.Sprintf("%s: src is %v, want rows of %d", op, src, p.spec.C))
		}
		device.CheckLen(op, "dst", dst, device.Float32, p.spec.C)
		if d.begin(op) {
			defer d.end()
			d.sumRows(p.blocks, p.finish, dst, src, n/p.spec.C, p.spec.C)
		}
		return
	}
	device.CheckLen(op, "dst", dst, device.Float32, 1)
	if !d.begin(op) {
		return
	}
	defer d.end()
	grid, partial := kernels.Reduction(n), d.scratch()
	d.arguments().Pointer(partial).Pointer(d.data(src)).Int32(int32(n))
	d.launch(p.blocks, grid)
	d.arguments().Pointer(d.data(dst)).Pointer(partial).Int32(int32(grid.X))
	d.launch(p.finish, oneBlock)
}

// sumRows queues dst[j] = sum_i src[i,j] over src [rows, c], with columnSums bytes of the workspace.
func (d *Device) sumRows(blocks, finish *cuda.Kernel, dst, src *device.Tensor, rows, c int) {
	l, partial := kernels.Columns(rows, c), d.scratch()
	d.arguments().Pointer(partial).Pointer(d.data(src)).Int32(int32(rows)).Int32(int32(c)).
		Int32(int32(l.RowsPerBlock)).Int32(flag(l.Vector))
	d.launch(blocks, l.Grid)
	d.arguments().Pointer(d.data(dst)).Pointer(partial).Int32(int32(l.Grid.X)).Int32(int32(c))
	d.launch(finish, kernels.ColumnsFinish(c))
}
