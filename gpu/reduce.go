//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// reductionKernels are the kernels in reduce.cu for one kind of reduction: over runs of neighbouring elements, and over
// columns.
type reductionKernels struct{ runs, columns kernels.Family }

// reductionOf returns the kernels of a kind.
func reductionOf(kind device.ReduceKind) reductionKernels {
	switch kind {
	case device.ReduceSumSquares:
		return reductionKernels{kernels.ReduceSumSquares, kernels.ReduceColumnsSumSquares}
	case device.ReduceSumProducts:
		return reductionKernels{kernels.ReduceSumProducts, kernels.ReduceColumnsSumProducts}
	}
	return reductionKernels{kernels.ReduceSum, kernels.ReduceColumnsSum}
}

// NewReduce makes a plan for a reduction, computed by the kernels in reduce.cu. If several blocks have a part of a
// result, they leave partial results in the workspace; a second launch combines them, or of columns the last block.
func (d *Device) NewReduce(s device.ReduceSpec) (device.Reduce, error) {
	s.Check()
	s.DType = floatType("NewReduce", s.DType)
	return build(d, "reduce", func(b *builder) device.Reduce {
		if !b.elements(s.Batch * s.Rows * s.C) {
			return nil
		}
		if s.Keep&device.AxisC != 0 {
			return b.reduceColumns(s)
		}
		return b.reduceRuns(s)
	})
}

// reduceRuns is the plan of a reduction over runs of neighbouring elements: a single run, or one run per image or row.
type reduceRuns struct {
	d                *Device
	spec             device.ReduceSpec
	launch           kernels.Runs
	run              int // elements
	partial, results *cuda.Kernel
}

func (b *builder) reduceRuns(s device.ReduceSpec) *reduceRuns {
	k := reductionOf(s.Kind)
	p := &reduceRuns{d: b.d, spec: s, run: s.C}
	if s.Keep&device.AxisRows == 0 {
		p.run *= s.Rows
	}
	results := s.Keep.Len(s.Batch, s.Rows, s.C)
	if s.Keep == device.NoAxes {
		p.run *= s.Batch
	}
	p.launch = kernels.RunsOf(results, s.Batch*s.Rows*s.C/results)
	p.partial = b.family(k.runs, s.DType)
	if p.launch.Parts > 1 {
		p.results = b.family(kernels.ReduceFinishSum, s.DType)
		b.reserve(8 * int64(results) * int64(p.launch.Parts)) // float64
	}
	return p
}

func (p *reduceRuns) Run(dst, a, b *device.Tensor) {
	s, d := p.spec, p.d
	batch := s.CheckOperands(dst, a, b)
	if !d.begin("reduce") {
		return
	}
	defer d.end()
	launch, run, repeat, results := p.launch, p.run, 1, dst.Len()
	switch s.Keep {
	case device.NoAxes: // as many blocks as suit the batch
		run = a.Len()
		launch = kernels.RunsOf(1, run)
	case device.AxisRows: // a run of each image
		repeat = batch
	}
	partial := d.scratch()
	d.arguments().Pointer(d.data(dst)).Pointer(partial).Pointer(d.data(a)).Pointer(d.optional(b)).Int32(int32(results)).Int32(int32(run)).
		Int32(int32(repeat)).Int32(int32(s.Rows * s.C)).Int32(int32(launch.Parts)).Int32(flag(launch.Warp)).Float32(s.Factor())
	d.launch(p.partial, launch.Grid(results))
	if launch.Parts > 1 {
		d.arguments().Pointer(d.data(dst)).Pointer(partial).Int32(int32(launch.Parts)).Float32(s.Factor())
		d.launch(p.results, kernels.Grid{X: results, Y: 1})
	}
}

// reduceColumns is the plan of a reduction of groups of rows to one result per column.
type reduceColumns struct {
	d    *Device
	spec device.ReduceSpec
	c    int // of a group
	columnReduction
}

// columnReduction is the kernel of a reduction to columns, with what it counts its blocks in.
type columnReduction struct {
	kernel  *cuda.Kernel
	arrived *memory // uint32 for each group of rows and of columns; 0 between launches
}

func (b *builder) reduceColumns(s device.ReduceSpec) *reduceColumns {
	k := reductionOf(s.Kind)
	p := &reduceColumns{d: b.d, spec: s, c: s.C}
	if s.Keep&device.AxisRows != 0 {
		p.c *= s.Rows
	}
	groups, rows := p.spec.ColumnGroups(s.Batch)
	p.columnReduction = b.columnReduction(k, s.DType, groups, p.c)
	if groups == 1 {
		b.reserve(columnSums(rows, p.c))
	} else if l := kernels.ColumnsOf(groups, rows, p.c); l.Grid.X > 1 {
		b.reserve(4 * int64(groups) * int64(l.Grid.X) * int64(p.c))
	}
	return p
}

// columnReduction returns the kernel for up to this number of groups of rows of c elements of a type.
func (b *builder) columnReduction(k reductionKernels, t device.DType, groups, c int) columnReduction {
	return columnReduction{b.family(k.columns, t), b.zeros(4 * groups * kernels.Columns(1, c).Grid.Y)}
}

func (p *reduceColumns) Run(dst, a, b *device.Tensor) {
	d := p.d
	batch := p.spec.CheckOperands(dst, a, b)
	if !d.begin("reduce") {
		return
	}
	defer d.end()
	groups, rows := p.spec.ColumnGroups(batch)
	most, _ := p.spec.ColumnGroups(p.spec.Batch)
	d.reduceColumns(p.columnReduction, dst, a, b, columnShape{groups, most, rows, p.c}, p.spec.Factor())
}

// columnShape is the shape of groups of rows [rows, c], for launches of up to most groups.
type columnShape struct{ groups, most, rows, c int }

// reduceColumns queues the reduction of each group of rows to its columns.
func (d *Device) reduceColumns(k columnReduction, dst, a, b *device.Tensor, s columnShape, alpha float32) {
	l, partial := kernels.ColumnsOf(s.most, s.rows, s.c), d.scratch()
	spans := l.Grid.X
	d.arguments().Pointer(d.data(dst)).Pointer(partial).Pointer(d.at(k.arrived)).Pointer(d.data(a)).Pointer(d.optional(b)).
		Int32(int32(s.rows)).Int32(int32(s.c)).Int32(int32(l.RowsPerBlock)).Int32(int32(spans)).Int32(flag(l.Vector)).Float32(alpha)
	d.launch(k.kernel, kernels.Grid{X: s.groups * spans, Y: l.Grid.Y})
}

// columnSums returns the bytes of the partial sums of each column of [rows, c], enough also for fewer rows.
func columnSums(rows, c int) int64 { return 4 * int64(kernels.MaxColumnBlocks(rows, c)) * int64(c) }
