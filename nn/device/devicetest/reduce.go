package devicetest

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

func testReduce(t *testing.T, dev device.Device, opt Options) {
	kinds := []struct {
		name string
		kind device.ReduceKind
	}{
		{"sum-rows", device.ReduceSumRows},
		{"sum", device.ReduceSum},
		{"sum-squares", device.ReduceSumSquares},
		{"non-finite", device.ReduceNonFinite},
	}
	for _, k := range kinds {
		for _, c := range []struct{ maxRows, rows, c int }{
			{1, 1, 1}, {1, 1, 37}, {41, 41, 1}, {17, 17, 33}, {17, 5, 33}, {3, 3, 1030}, {1031, 1031, 7}, {5000, 4099, 3},
		} {
			t.Run(fmt.Sprintf("%s/%dx%d-of-%d", k.name, c.rows, c.c, c.maxRows), func(t *testing.T) {
				data := opt.round(newSource("reduce").values(c.rows * c.c))
				if k.kind == device.ReduceNonFinite {
					spoil(data)
				}
				runReduce(t, dev, opt, device.ReduceSpec{Kind: k.kind, Rows: c.maxRows, C: c.c, DType: opt.storage}, c.rows, data)
			})
		}
	}
	t.Run("non-finite/none", func(t *testing.T) {
		data := opt.round(newSource("reduce").values(999))
		largest := float32(reference.FormatOf(opt.dtype()).Largest())
		data[0], data[998] = largest, -largest
		runReduce(t, dev, opt, device.ReduceSpec{Kind: device.ReduceNonFinite, Rows: 999, C: 1, DType: opt.storage}, 999, data)
	})
	t.Run("sum/NaN", func(t *testing.T) {
		data := opt.round(newSource("reduce").values(999))
		data[500] = float32(math.NaN())
		runReduce(t, dev, opt, device.ReduceSpec{Kind: device.ReduceSum, Rows: 999, C: 1, DType: opt.storage}, 999, data)
	})
}

// spoil makes about every third element NaN or infinite, the last one in any case.
func spoil(data []float32) {
	src := newSource("reduce/non-finite")
	bad := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
	for i := range data {
		if i == len(data)-1 || src.below(3) == 0 {
			data[i] = bad[src.below(3)]
		}
	}
}

func runReduce(t *testing.T, dev device.Device, opt Options, s device.ReduceSpec, rows int, data []float32) {
	reduce := plan(dev.NewReduce(s))(t)
	n := 1
	if s.Kind == device.ReduceSumRows {
		n = s.C
	}
	r := newRig(t, dev, opt)
	src, dst := r.input("src", data, rows, s.C), r.outputFloat32("dst", n)
	r.run(func() { reduce.Run(dst, src) })
	r.check(dst, reference.Reduce(s.Kind, s.C, reference.Widen(data)))
}
