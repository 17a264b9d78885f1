package devicetest

import (
	"fmt"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

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
			r.check(y, reference.Gather(s, reference.Widen(data), ids))
		})
	}
}

func gatherOperation() Operation {
	return Operation{
		Name: "gather", Constructor: "NewGather", Group: Elementwise, Types: allFloats, Test: testGather, Panics: panicsOfGather,
		Calls: gatherCalls,
	}
}

func gatherCalls(Size) []Call {
	return []Call{{"gather", "Run", func(o *Operands) (Work, error) {
		s := device.GatherSpec{Rows: o.pick(1000, 1<<16, 1<<18), XRows: o.pick(4000, 1<<16, 1<<18), RowLen: o.pick(33, 64, 64), DType: o.DType}
		p, err := o.Device.NewGather(s)
		if err != nil {
			return Work{}, err
		}
		x, y, ids := o.uniform(-1, 1, s.XRows, s.RowLen), o.zeros(s.Rows, s.RowLen), o.integers(s.XRows, s.Rows)
		return Work{Run: func() { p.Run(y, x, ids) }, Results: []*device.Tensor{y}, Bytes: 2*bytesOf(y) + bytesOf(ids)}, nil
	}}}
}

func panicsOfGather(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	p := plan(dev.NewGather(device.GatherSpec{Rows: 2, XRows: 3, RowLen: 4}))(t)
	mustPanic(t, "too many rows", func() { p.Run(f32(3, 4), f32(3, 4), m.tensor(device.Int32, []int{3})) }, "ids", "int32[3]", "2")
	mustPanic(t, "rows of another x", func() { p.Run(f32(2, 4), f32(4, 4), m.tensor(device.Int32, []int{2})) }, "x is float32[4 4]", "12")
	mustPanic(t, "no rows", func() { _, _ = dev.NewGather(device.GatherSpec{Rows: 0, XRows: 3, RowLen: 4}) }, "gather")
}
