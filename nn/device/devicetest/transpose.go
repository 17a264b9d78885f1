package devicetest

import (
	"fmt"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
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
			r.check(y, reference.Transpose(s, reference.Widen(data)))
		})
	}
}

func transposeOperation() Operation {
	return Operation{
		Name: "transpose", Constructor: "NewTranspose", Group: Elementwise, Types: allFloats, Test: testTranspose, Panics: panicsOfTranspose,
		Calls: transposeCalls,
	}
}

func transposeCalls(Size) []Call {
	return []Call{{"transpose", "Run", func(o *Operands) (Work, error) {
		s := device.TransposeSpec{Batch: o.pick(7, 64, 256), M: o.pick(1500, 1024, 1024), N: o.pick(33, 64, 64), DType: o.DType}
		p, err := o.Device.NewTranspose(s)
		if err != nil {
			return Work{}, err
		}
		x, y := o.uniform(-1, 1, s.Batch, s.M, s.N), o.zeros(s.Batch, s.N, s.M)
		return Work{Run: func() { p.Run(y, x) }, Results: []*device.Tensor{y}, Bytes: bytesOf(x, y)}, nil
	}}}
}

func panicsOfTranspose(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	p := plan(dev.NewTranspose(device.TransposeSpec{Batch: 2, M: 3, N: 4}))(t)
	mustPanic(t, "a transposition of another size", func() { p.Run(f32(13), f32(13)) }, "transpose", "float32[13]", "12")
	mustPanic(t, "a transposition of nothing", func() { _, _ = dev.NewTranspose(device.TransposeSpec{Batch: 1, M: 0, N: 4}) }, "transpose")
}
