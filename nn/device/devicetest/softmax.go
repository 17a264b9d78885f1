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
