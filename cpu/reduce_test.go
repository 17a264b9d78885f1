package cpu

import (
	"testing"

	"trainer/nn/device"
)

func TestReduce(t *testing.T) {
	x := []float32{1, -2, 3, 4, 0, -6}
	for _, c := range []struct {
		kind device.ReduceKind
		keep device.Axes
		x    []float32
		want []float32
	}{
		{device.ReduceSum, device.AxisC, x, []float32{1 + 3 + 0, -2 + 4 - 6}},
		{device.ReduceSum, device.NoAxes, x, []float32{0}},
		{device.ReduceSumSquares, device.NoAxes, x, []float32{1 + 4 + 9 + 16 + 36}},
		// float32 cannot represent 2^24 + 1; the sum is taken in float64 and loses
		// nothing.
		{device.ReduceSum, device.NoAxes, []float32{1 << 24, 1, 1, 1, 1, -1 << 24}, []float32{4}},
	} {
		o := newOperands(t)
		dst := o.zeros(len(c.want))
		must(o.d.NewReduce(device.ReduceSpec{Kind: c.kind, Batch: 5, Rows: 1, C: 2, Keep: c.keep})).Run(dst, o.floats(c.x, 3, 2), nil)
		wantFloats(t, "dst", dst, 0, c.want...)
	}
}

// A million rows, so that many tasks leave partial sums.
func TestReduceManyRows(t *testing.T) {
	const rows, c = 1 << 20, 3
	o := newOperands(t)
	x, dst := o.zeros(rows, c), o.zeros(c)
	for i := range floats(x) {
		floats(x)[i] = float32(i%c + 1)
	}
	must(o.d.NewReduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: 1, Rows: rows, C: c, Keep: device.AxisC})).Run(dst, x, nil)
	wantFloats(t, "dst", dst, 0, rows, 2*rows, 3*rows)
}
