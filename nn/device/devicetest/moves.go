package devicetest

import (
	"fmt"
	"testing"

	"trainer/nn/device"
)

func testTranspose(t *testing.T, dev device.Device, opt Options) {
	for _, c := range []struct{ maxBatch, batch, m, n int }{
		{1, 1, 1, 1}, {1, 1, 7, 1}, {1, 1, 1, 300}, {2, 2, 32, 64}, {3, 2, 33, 31}, {5, 3, 100, 7}, {1, 1, 257, 130}, {70, 65, 3, 5},
	} {
		t.Run(fmt.Sprintf("%dx%dx%d-of-%d", c.batch, c.m, c.n, c.maxBatch), func(t *testing.T) {
			s := device.TransposeSpec{Batch: c.maxBatch, M: c.m, N: c.n, DType: opt.storage}
			data := opt.round(newSource("transpose").values(c.batch * c.m * c.n))
			p := plan(dev.NewTranspose(s))(t)
			r := newRig(t, dev, opt)
			x, y := r.input("x", data, c.batch, c.m, c.n), r.output("y", c.batch, c.n, c.m)
			r.run(func() { p.Run(y, x) })
			r.check(y, refTranspose(s, widen(data)))
		})
	}
}

func testGather(t *testing.T, dev device.Device, opt Options) {
	for _, c := range []struct{ maxRows, rows, xRows, rowLen int }{
		{1, 1, 1, 1}, {50, 41, 7, 1}, {9, 9, 20, 8}, {40, 33, 100, 13}, {3, 2, 5, 4100}, {2000, 1500, 11, 32},
	} {
		t.Run(fmt.Sprintf("%d-of-%d-of-%d-x%d", c.rows, c.maxRows, c.xRows, c.rowLen), func(t *testing.T) {
			s := device.GatherSpec{Rows: c.maxRows, XRows: c.xRows, RowLen: c.rowLen, DType: opt.storage}
			src := newSource("gather")
			data, ids := opt.round(src.values(c.xRows*c.rowLen)), src.labels(c.rows, c.xRows)
			for i, id := range []int32{-1, int32(c.xRows), -1 << 31, 1<<31 - 1} { // outside of x
				if c.rows > 5 {
					ids[i+1] = id
				}
			}
			p := plan(dev.NewGather(s))(t)
			r := newRig(t, dev, opt)
			x, y, at := r.input("x", data, c.xRows, c.rowLen), r.output("y", c.rows, c.rowLen), r.inputInt32("ids", ids, c.rows)
			r.run(func() { p.Run(y, x, at) })
			r.check(y, refGather(s, widen(data), ids))
		})
	}
}

func testCopyColumns(t *testing.T, dev device.Device, opt Options) {
	for _, s := range []device.CopyColumnsSpec{
		{Rows: 1, Width: 1, YC: 1, XC: 1}, {Rows: 9, Width: 4, YC: 12, YFrom: 8, XC: 4}, {Rows: 9, Width: 8, YC: 8, XC: 24, XFrom: 16},
		{Rows: 300, Width: 5, YC: 11, YFrom: 3, XC: 7, XFrom: 1}, {Rows: 5, Width: 4097, YC: 5000, YFrom: 1, XC: 4100, XFrom: 2},
		{Rows: 2000, Width: 3, YC: 3, XC: 3}, {Rows: 64, Width: 16, YC: 48, YFrom: 16, XC: 32, XFrom: 8},
	} {
		s.DType = opt.storage
		for _, rows := range []int{s.Rows, (s.Rows + 1) / 2} {
			t.Run(fmt.Sprintf("%d-of-%+v", rows, s), func(t *testing.T) {
				src := newSource("copy-columns")
				xData, yData := opt.round(src.values(rows*s.XC)), opt.round(src.values(rows*s.YC))
				p := plan(dev.NewCopyColumns(s))(t)
				r := newRig(t, dev, opt)
				x, y := r.input("x", xData, rows, s.XC), r.inout("y", yData, rows, s.YC)
				r.run(func() { p.Run(y, x) })
				r.check(y, refCopyColumns(s, widen(yData), widen(xData)))
			})
		}
	}
}
