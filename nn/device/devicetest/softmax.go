package devicetest

import (
	"fmt"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

func testSoftmax(t *testing.T, dev device.Device, opt Options) {
	for _, c := range []struct {
		maxN, n, classes int
		scale            float32
	}{
		{1, 1, 1, 1}, {17, 17, 10, 3}, {17, 4, 10, 3}, {3, 3, 2, 1}, {5, 5, 1003, 3}, {131, 131, 10, 3}, {33, 33, 10, 1e4},
	} {
		t.Run(fmt.Sprintf("%dx%d-of-%d-scale-%v", c.n, c.classes, c.maxN, c.scale), func(t *testing.T) {
			softmax := plan(dev.NewSoftmax(device.SoftmaxSpec{N: c.maxN, Classes: c.classes}))(t)
			data := newSource("softmax").between(c.n*c.classes, -c.scale, c.scale)
			r := newRig(t, dev, opt)
			x, y, inPlace := r.input("x", data, c.n, c.classes), r.output("y", c.n, c.classes), r.inout("x and y", data, c.n, c.classes)
			r.run(func() {
				softmax.Forward(y, x)
				softmax.Forward(inPlace, inPlace)
			})
			want := reference.Softmax(c.classes, reference.Widen(data))
			r.check(y, want)
			r.check(inPlace, want)
		})
	}
}

func softmaxOperation() Operation {
	return Operation{
		Name: "softmax", Constructor: "NewSoftmax", Group: Elementwise, Types: float32Only, Test: testSoftmax, Panics: panicsOfSoftmax,
		Calls: softmaxCalls,
	}
}

func softmaxCalls(Size) []Call {
	return []Call{{"softmax", "Forward", func(o *Operands) (Work, error) {
		const classes = 10
		n := o.pick(1031, 1<<18, 1<<22)
		p, err := o.Device.NewSoftmax(device.SoftmaxSpec{N: n, Classes: classes})
		if err != nil {
			return Work{}, err
		}
		x, y := o.uniformFloat32(-3, 3, n, classes), o.zerosFloat32(n, classes)
		return Work{Run: func() { p.Forward(y, x) }, Results: []*device.Tensor{y}, Bytes: bytesOf(x, y)}, nil
	}}}
}

func panicsOfSoftmax(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	p := plan(dev.NewSoftmax(device.SoftmaxSpec{N: 4, Classes: 3}))(t)
	mustPanic(t, "a softmax of another number of classes", func() { p.Forward(f32(4, 2), f32(4, 2)) }, "x", "float32[4 2]", "3")
	mustPanic(t, "a softmax of too many rows", func() { p.Forward(f32(5, 3), f32(5, 3)) }, "5", "4")
	mustPanic(t, "a softmax to another shape", func() { p.Forward(f32(3, 3), f32(4, 3)) }, "y", "float32[3 3]")
}
