package devicetest

import (
	"fmt"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// testBiasGradient checks the way back through bias and ReLU, in place and beside dy.
func testBiasGradient(t *testing.T, dev device.Device, opt Options) {
	fused, ok := dev.(device.FusedBiasGradient)
	if !ok {
		t.Skip("the device has no FusedBiasGradient")
	}
	for _, c := range []struct{ most, rows, c int }{{1, 1, 1}, {17, 17, 10}, {300, 257, 33}, {64, 5, 24}, {9, 9, 1030}, {2100, 2099, 8}} {
		t.Run(fmt.Sprintf("%dx%d-of-%d", c.rows, c.c, c.most), func(t *testing.T) {
			src, n := newSource("bias gradient"), c.rows*c.c
			dyData, yData := opt.round(src.values(n)), opt.round(src.values(n))
			for i, v := range yData {
				if v < 0 {
					yData[i] = 0 // as ReLU leaves it
				}
			}
			p := plan(fused.NewBiasReLUGradient(device.BiasGradientSpec{Rows: c.most, C: c.c, DType: opt.storage}))(t)
			r := newRig(t, dev, opt)
			dy, y, dx := r.input("dy", dyData, c.rows, c.c), r.input("y", yData, c.rows, c.c), r.output("dx", c.rows, c.c)
			inPlace, dbias, dbias2 := r.inout("dy and dx", dyData, c.rows, c.c), r.outputFloat32("dbias", c.c), r.outputFloat32("dbias of the second call", c.c)
			r.run(func() {
				p.Run(dx, dbias, dy, y)
				p.Run(inPlace, dbias2, inPlace, y)
			})
			passed := maskByReLU(reference.Widen(dyData), reference.Widen(yData))
			want := reference.NewSums(n, 0)
			for i, v := range passed {
				want.Set(i, v, 0)
			}
			r.check(dx, want)
			r.check(inPlace, want)
			sum := reference.NewSums(c.c, reference.SumUlps(c.rows))
			for j := range c.c {
				value, magnitude := 0.0, 0.0
				for i := range c.rows {
					value += passed[i*c.c+j]
					magnitude += max(passed[i*c.c+j], -passed[i*c.c+j])
				}
				sum.Set(j, value, magnitude)
			}
			r.check(dbias, sum)
			r.check(dbias2, sum)
		})
	}
}

func biasGradientOperation() Operation {
	return Operation{
		Name: "bias-gradient", Constructor: "NewBiasReLUGradient", Group: Elementwise, Types: allFloats, Test: testBiasGradient,
		Panics: panicsOfBiasGradient, Calls: biasGradientCalls,
	}
}

func biasGradientCalls(Size) []Call {
	return []Call{{"bias-relu-gradient", "Run", func(o *Operands) (Work, error) {
		const c = 256
		fused, ok := o.Device.(device.FusedBiasGradient)
		if !ok {
			return Work{}, device.ErrNotSupported
		}
		rows := o.pick(67, 1<<14, 1<<18)
		p, err := fused.NewBiasReLUGradient(device.BiasGradientSpec{Rows: rows, C: c, DType: o.DType})
		if err != nil {
			return Work{}, err
		}
		dx, dy, y, dbias := o.zeros(rows, c), o.uniform(-1, 1, rows, c), o.uniform(-1, 1, rows, c), o.zerosFloat32(c)
		return Work{Run: func() { p.Run(dx, dbias, dy, y) }, Results: []*device.Tensor{dx, dbias}, Bytes: bytesOf(dx, dy, y)}, nil
	}}}
}

func panicsOfBiasGradient(t *testing.T, dev device.Device) {
	fused, ok := dev.(device.FusedBiasGradient)
	if !ok {
		t.Skip("the device has no FusedBiasGradient")
	}
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	p := plan(fused.NewBiasReLUGradient(device.BiasGradientSpec{Rows: 4, C: 3}))(t)
	mustPanic(t, "too many rows", func() { p.Run(f32(5, 3), f32(3), f32(5, 3), f32(5, 3)) }, "dy", "float32[5 3]", "4")
	mustPanic(t, "a bias of another length", func() { p.Run(f32(4, 3), f32(2), f32(4, 3), f32(4, 3)) }, "dbias", "float32[2]", "3")
	mustPanic(t, "an output of another shape", func() { p.Run(f32(4, 3), f32(3), f32(4, 3), f32(3, 3)) }, "y", "float32[3 3]", "12")
	mustPanic(t, "no columns", func() { _, _ = fused.NewBiasReLUGradient(device.BiasGradientSpec{Rows: 4}) }, "gradient of a bias", "0")
}
