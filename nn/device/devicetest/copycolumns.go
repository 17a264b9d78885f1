package devicetest

import (
	"fmt"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

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
				r.check(y, reference.CopyColumns(s, reference.Widen(yData), reference.Widen(xData)))
			})
		}
	}
}

func copyColumnsOperation() Operation {
	return Operation{
		Name: "copy-columns", Constructor: "NewCopyColumns", Group: Elementwise, Types: allFloats, Test: testCopyColumns, Panics: panicsOfCopyColumns,
		Calls: copyColumnsCalls,
	}
}

func copyColumnsCalls(Size) []Call {
	return []Call{{"copy-columns", "Run", func(o *Operands) (Work, error) {
		rows, width := o.pick(10500, 1<<17, 1<<19), o.pick(20, 32, 32)
		s := device.CopyColumnsSpec{Rows: rows, Width: width, YC: 2 * width, YFrom: width, XC: width, DType: o.DType}
		p, err := o.Device.NewCopyColumns(s)
		if err != nil {
			return Work{}, err
		}
		x, y := o.uniform(-1, 1, rows, s.XC), o.zeros(rows, s.YC)
		return Work{Run: func() { p.Run(y, x) }, Results: []*device.Tensor{y}, Bytes: 2 * bytesOf(x)}, nil
	}}}
}

func panicsOfCopyColumns(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	p := plan(dev.NewCopyColumns(device.CopyColumnsSpec{Rows: 2, Width: 1, YC: 3, XC: 2}))(t)
	mustPanic(t, "columns of different rows", func() { p.Run(f32(1, 3), f32(2, 2)) }, "copy columns", "y is float32[1 3]", "6")
	mustPanic(t, "columns that are not there", func() {
		_, _ = dev.NewCopyColumns(device.CopyColumnsSpec{Rows: 2, Width: 2, YC: 3, YFrom: 2, XC: 2})
	}, "copy columns", "2 of 3")
}
