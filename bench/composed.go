package bench

import (
	"testing"

	"trainer/nn/device"
)

// composedCase is one of the plans that layers and rules are composed of, and how many tensors of [batch, rows, c] its
// call reads and writes.
type composedCase struct {
	name    string
	tensors float64
	call    func()
}

// composed makes the plans on tensors x, y and dy of [batch, rows, c].
func composed(b *testing.B, d device.Device, dtype device.DType, batch, rows, c int, x, y, dy *device.Tensor) []composedCase {
	b.Helper()
	ofMap := func(kind device.MapKind, axes device.Axes, accumulate bool) device.Map {
		return must(d.NewMap(device.MapSpec{
			Kind: kind, Batch: batch, Rows: rows, C: c, B: axes, Alpha: 1, Beta: 1, Accumulate: accumulate, DType: dtype,
		}))(b)
	}
	factors := func(axes device.Axes) *device.Tensor { return tensor(b, d, axes.Len(batch, rows, c)) }
	cases := []composedCase{}
	for _, m := range []struct {
		name string
		kind device.MapKind
		axes device.Axes
	}{
		{"mul/number", device.MapMul, device.NoAxes}, {"mul/column", device.MapMul, device.AxisC},
		{"mul/image-column", device.MapMul, device.AxisBatch | device.AxisC}, {"mul/row", device.MapMul, device.AxisBatch | device.AxisRows},
		{"add/column", device.MapAdd, device.AxisC}, {"max/column", device.MapMax, device.AxisC},
	} {
		plan, of := ofMap(m.kind, m.axes, false), factors(m.axes)
		cases = append(cases, composedCase{"map-" + m.name, 2, func() { plan.Run(y, x, of) }})
	}
	affine, root, add := ofMap(device.MapAffine, device.NoAxes, false), ofMap(device.MapRsqrt, device.NoAxes, false), ofMap(device.MapAdd, device.AllAxes, false)
	mul, sum := ofMap(device.MapMul, device.AllAxes, false), ofMap(device.MapMul, device.AxisC, true)
	columns := factors(device.AxisC)
	cases = append(cases,
		composedCase{"map-affine", 2, func() { affine.Run(y, x, nil) }},
		composedCase{"map-rsqrt", 2, func() { root.Run(y, x, nil) }},
		composedCase{"map-add", 3, func() { add.Run(y, x, dy) }},
		composedCase{"map-mul", 3, func() { mul.Run(y, x, dy) }},
		composedCase{"map-mul/column-accumulate", 3, func() { sum.Run(y, x, columns) }})
	for _, r := range []struct {
		name    string
		kind    device.ReduceKind
		keep    device.Axes
		tensors float64
	}{
		{"sum/all", device.ReduceSum, device.NoAxes, 1}, {"sum/column", device.ReduceSum, device.AxisC, 1},
		{"sum/row", device.ReduceSum, device.AxisBatch | device.AxisRows, 1}, {"sum/image", device.ReduceSum, device.AxisBatch, 1},
		{"sum/image-column", device.ReduceSum, device.AxisBatch | device.AxisC, 1},
		{"products/row", device.ReduceSumProducts, device.AxisBatch | device.AxisRows, 2},
		{"products/column", device.ReduceSumProducts, device.AxisC, 2},
	} {
		plan := must(d.NewReduce(device.ReduceSpec{Kind: r.kind, Batch: batch, Rows: rows, C: c, Keep: r.keep, DType: dtype}))(b)
		dst, second := factors(r.keep), dy
		if r.kind != device.ReduceSumProducts {
			second = nil
		}
		cases = append(cases, composedCase{"reduce-" + r.name, r.tensors, func() { plan.Run(dst, x, second) }})
	}
	return append(cases, composedMoves(b, d, dtype, batch, rows, c, x, y)...)
}

// composedMoves are the plans that move elements: a transposition, rows that are picked, a quarter of the columns.
func composedMoves(b *testing.B, d device.Device, dtype device.DType, batch, rows, c int, x, y *device.Tensor) []composedCase {
	b.Helper()
	turn := must(d.NewTranspose(device.TransposeSpec{Batch: batch, M: rows, N: c, DType: dtype}))(b)
	pick := must(d.NewGather(device.GatherSpec{Rows: batch * rows, XRows: batch * rows, RowLen: c, DType: dtype}))(b)
	width := max(c/4, 1)
	copied := must(d.NewCopyColumns(device.CopyColumnsSpec{Rows: batch * rows, Width: width, YC: c, XC: c, XFrom: c - width, DType: dtype}))(b)
	ids := must(d.NewTensor(device.Int32, batch*rows))(b)
	order := make([]int32, batch*rows)
	for i := range order {
		order[i] = int32(i * 2654435761 % len(order))
	}
	check(b, d.Upload(ids, device.Bytes(order)))
	return []composedCase{
		{"transpose", 2, func() { turn.Run(y, x) }},
		{"gather", 2, func() { pick.Run(y, x, ids) }},
		{"copy-columns", 2 * float64(width) / float64(c), func() { copied.Run(y, x) }},
	}
}
