package devicetest

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

func reduceKinds() []device.ReduceKind {
	return []device.ReduceKind{device.ReduceSum, device.ReduceSumSquares, device.ReduceSumProducts}
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
		t.Run(fmt.Sprintf("sum/NaN/%03b", keep), func(t *testing.T) {
			data := opt.round(newSource("reduce").values(4 * 999))
			data[500] = float32(math.NaN())
			s := device.ReduceSpec{Kind: device.ReduceSum, Batch: 2, Rows: 999, C: 2, Keep: keep, DType: opt.storage}
			runReduce(t, dev, opt, s, 2, data, nil)
		})
	}
}

// spoil makes about every third element NaN or infinite, and always the last one.
func spoil(data []float32) {
	src := newSource("reduce/non-finite")
	bad := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
	for i := range data {
		if i == len(data)-1 || src.below(3) == 0 {
			data[i] = bad[src.below(3)]
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
	r.check(dst, reference.Reduce(s, batch, reference.Widen(aData), reference.Widen(bData)))
}

func reduceOperation() Operation {
	return Operation{
		Name: "reduce", Constructor: "NewReduce", Group: Elementwise, Types: allFloats, Test: testReduce, Panics: panicsOfReduce,
		Calls: reduceCalls,
	}
}

// reduceCalls are all kinds with every choice of kept dimensions or, for benchmarks, the sums that layers use.
func reduceCalls(size Size) []Call {
	call := func(kind device.ReduceKind, keep device.Axes) Call {
		return Call{fmt.Sprintf("%s/%03b", kind, keep), "Run", func(o *Operands) (Work, error) { return reduceWork(o, kind, keep) }}
	}
	var calls []Call
	if size == Small {
		for keep := device.NoAxes; keep <= device.AllAxes; keep++ {
			for _, kind := range reduceKinds() {
				calls = append(calls, call(kind, keep))
			}
		}
		return calls
	}
	for _, keep := range []device.Axes{device.NoAxes, device.AxisC, device.AxisBatch | device.AxisC, device.AxisBatch | device.AxisRows} {
		calls = append(calls, call(device.ReduceSum, keep))
	}
	return append(calls, call(device.ReduceSumSquares, device.NoAxes), call(device.ReduceSumProducts, device.AxisC))
}

func reduceWork(o *Operands, kind device.ReduceKind, keep device.Axes) (Work, error) {
	s := device.ReduceSpec{Kind: kind, Batch: o.pick(7, 250, 1024), Rows: o.pick(1500, 31*31, 31*31), C: o.pick(33, 64, 64), Keep: keep, DType: o.DType}
	p, err := o.Device.NewReduce(s)
	if err != nil {
		return Work{}, err
	}
	a, dst := o.uniform(-1, 1, s.Batch, s.Rows, s.C), o.zerosFloat32(keep.Len(s.Batch, s.Rows, s.C))
	w := Work{Results: []*device.Tensor{dst}, Bytes: bytesOf(a)}
	var b *device.Tensor
	if kind == device.ReduceSumProducts {
		b = o.uniform(-1, 1, s.Batch, s.Rows, s.C)
		w.Bytes += bytesOf(b)
	}
	w.Run = func() { p.Run(dst, a, b) }
	return w, nil
}

func panicsOfReduce(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	sum := plan(dev.NewReduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: 2, Rows: 3, C: 4, Keep: device.AxisBatch}))(t)
	mustPanic(t, "a sum to another size", func() { sum.Run(f32(3), f32(24), nil) }, "reduce", "dst is float32[3]", "2")
	mustPanic(t, "a sum of too many rows", func() { sum.Run(f32(3), f32(36), nil) }, "reduce", "float32[36]", "24")
	mustPanic(t, "a sum of two", func() { sum.Run(f32(2), f32(24), f32(24)) }, "b is float32[24]", "nil")
	products := plan(dev.NewReduce(device.ReduceSpec{Kind: device.ReduceSumProducts, Batch: 2, Rows: 3, C: 4}))(t)
	mustPanic(t, "products of one", func() { products.Run(f32(1), f32(24), nil) }, "b is nil", "24")
	mustPanic(t, "an unknown reduction", func() { _, _ = dev.NewReduce(device.ReduceSpec{Kind: "mean", Batch: 1, Rows: 1, C: 1}) }, "reduce", "mean")
}
