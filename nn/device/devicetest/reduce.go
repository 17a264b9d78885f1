package devicetest

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
)

func reduceKinds() []device.ReduceKind {
	return []device.ReduceKind{device.ReduceSum, device.ReduceSumSquares, device.ReduceSumProducts, device.ReduceMax}
}

func testReduce(t *testing.T, dev device.Device, opt Options) {
	for _, kind := range reduceKinds() {
		for _, c := range []struct {
			maxBatch, batch, rows, c int
			keep                     device.Axes
		}{
			{1, 1, 1, 1, device.AxisC}, {1, 1, 1, 37, device.AxisC}, {41, 41, 1, 1, device.AxisC}, {17, 17, 1, 33, device.AxisC},
			{17, 5, 1, 33, device.AxisC}, {3, 3, 1, 1030, device.AxisC}, {1, 1, 1031, 7, device.AxisC}, {5000, 4099, 1, 3, device.AxisC},
			{1, 1, 1, 1, device.NoAxes}, {17, 5, 3, 33, device.NoAxes}, {1, 1, 1031, 7, device.NoAxes}, {5000, 4099, 1, 3, device.NoAxes},
			{3, 2, 5, 7, device.AllAxes}, {3, 2, 1, 1, device.AllAxes},
			{3, 3, 130, 8, device.AxisBatch | device.AxisC}, {7, 5, 9, 33, device.AxisBatch | device.AxisC}, {2, 2, 1100, 3, device.AxisBatch | device.AxisC},
			{9, 7, 5, 13, device.AxisRows | device.AxisC}, {300, 257, 2, 4, device.AxisRows | device.AxisC},
			{5, 3, 7, 1, device.AxisBatch}, {5, 3, 41, 19, device.AxisBatch}, {2, 2, 300, 257, device.AxisBatch},
			{5, 3, 7, 33, device.AxisBatch | device.AxisRows}, {1, 1, 70, 1, device.AxisBatch | device.AxisRows}, {1, 1, 3, 4097, device.AxisBatch | device.AxisRows},
			{5, 3, 7, 33, device.AxisRows}, {40, 31, 3, 129, device.AxisRows},
		} {
			name := fmt.Sprintf("%s/%03b-of-%dx%dx%d-of-%d", kind, c.keep, c.batch, c.rows, c.c, c.maxBatch)
			t.Run(name, func(t *testing.T) {
				src := newSource("reduce")
				a, b := opt.round(src.values(c.batch*c.rows*c.c)), opt.round(src.values(c.batch*c.rows*c.c))
				s := device.ReduceSpec{Kind: kind, Batch: c.maxBatch, Rows: c.rows, C: c.c, Keep: c.keep, DType: opt.storage}
				runReduce(t, dev, opt, s, c.batch, a, b)
				s.Alpha = -0.25
				runReduce(t, dev, opt, s, c.batch, a, b)
			})
		}
	}
	for _, keep := range []device.Axes{device.NoAxes, device.AxisC, device.AxisBatch, device.AxisBatch | device.AxisC} {
		for _, kind := range []device.ReduceKind{device.ReduceSum, device.ReduceMax} {
			t.Run(fmt.Sprintf("%s/NaN/%03b", kind, keep), func(t *testing.T) {
				data := opt.round(newSource("reduce").values(4 * 999))
				data[500] = float32(math.NaN())
				runReduce(t, dev, opt, device.ReduceSpec{Kind: kind, Batch: 2, Rows: 999, C: 2, Keep: keep, DType: opt.storage}, 2, data, nil)
			})
		}
	}
}

func runReduce(t *testing.T, dev device.Device, opt Options, s device.ReduceSpec, batch int, aData, bData []float32) {
	reduce := plan(dev.NewReduce(s))(t)
	r := newRig(t, dev, opt)
	a, dst := r.input("a", aData, batch, s.Rows, s.C), r.outputFloat32("dst", s.Keep.Len(batch, s.Rows, s.C))
	var b *device.Tensor
	if s.Kind == device.ReduceSumProducts {
		b = r.input("b", bData, batch, s.Rows, s.C)
	}
	r.run(func() { reduce.Run(dst, a, b) })
	r.check(dst, refReduce(s, batch, widen(aData), widen(bData)))
}
