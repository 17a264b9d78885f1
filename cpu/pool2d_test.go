package cpu

import (
	"math"
	"testing"

	"trainer/nn/device"
)

// image is 4 rows and 3 columns of one channel.
var image = []float32{
	1, 5, 2,
	4, 5, 9,
	-1, -2, 7,
	-3, -4, 8,
}

// The two windows are the upper and the lower pair of rows, in the first two columns; the
// third column is in no window, so its gradient is 0. Of the two fives, the first counts.
func TestMaxPool(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewPool2D(device.Pool2DSpec{Mode: device.MaxPool, N: 1, H: 4, W: 3, C: 1, KH: 2, KW: 2, StrideH: 2, StrideW: 2}))
	x, y := o.floats(image, 1, 4, 3, 1), o.zeros(1, 2, 1, 1)
	dy, dx := o.floats([]float32{10, 20}, 1, 2, 1, 1), o.zeros(1, 4, 3, 1)
	p.Forward(y, x)
	p.Backward(dx, dy, y, x)
	wantFloats(t, "y", y, 0, 5, -1)
	wantFloats(t, "dx", dx, 0,
		0, 10, 0,
		0, 0, 0,
		20, 0, 0,
		0, 0, 0)
}

// With ReLU after it, the window whose largest element is -1 yields 0 and passes nothing.
func TestMaxPoolReLU(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewPool2DReLU(device.Pool2DSpec{Mode: device.MaxPool, N: 1, H: 4, W: 3, C: 1, KH: 2, KW: 2, StrideH: 2, StrideW: 2}))
	x, y := o.floats(image, 1, 4, 3, 1), o.zeros(1, 2, 1, 1)
	dy, dx := o.floats([]float32{10, 20}, 1, 2, 1, 1), o.zeros(1, 4, 3, 1)
	p.Forward(y, x)
	p.Backward(dx, dy, y, x)
	wantFloats(t, "y", y, 0, 5, 0)
	wantFloats(t, "dx", dx, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
}

// Windows of two columns that overlap in the middle one: 9 is in both.
func TestMaxPoolOverlapping(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewPool2D(device.Pool2DSpec{Mode: device.MaxPool, N: 1, H: 1, W: 3, C: 1, KH: 1, KW: 2, StrideH: 1, StrideW: 1}))
	x, y := o.floats([]float32{1, 9, 2}, 1, 1, 3, 1), o.zeros(1, 1, 2, 1)
	dy, dx := o.floats([]float32{10, 20}, 1, 1, 2, 1), o.zeros(1, 1, 3, 1)
	p.Forward(y, x)
	p.Backward(dx, dy, y, x)
	wantFloats(t, "y", y, 0, 9, 9)
	wantFloats(t, "dx", dx, 0, 0, 30, 0)
}

// A NaN is the maximum, wherever it is in the window and whatever its sign. A window with
// infinities of both signs, whose sum is NaN, contains no NaN.
func TestMaxPoolNaN(t *testing.T) {
	inf := float32(math.Inf(1))
	negativeNaN := math.Float32frombits(0xFFC00000)
	for _, c := range []struct {
		window []float32
		want   float32
		at     int
	}{
		{[]float32{nan, 1, 2, 3}, nan, 0},
		{[]float32{1, negativeNaN, 2, 3}, nan, 1},
		{[]float32{5, 1, 2, nan}, nan, 3},
		{[]float32{inf, nan, negativeNaN, 3}, nan, 1},
		{[]float32{-inf, 1, inf, 3}, inf, 2},
		{[]float32{-inf, -inf, -inf, -inf}, -inf, 0},
		{[]float32{float32(math.Copysign(0, -1)), 0, 0, 0}, 0, 0},
	} {
		// The same four numbers as a 2x2 window, which has its own loop, and as 1x4 and 4x1
		// windows.
		for _, shape := range [][2]int{{2, 2}, {1, 4}, {4, 1}} {
			h, w := shape[0], shape[1]
			o := newOperands(t)
			p := must(o.d.NewPool2D(device.Pool2DSpec{Mode: device.MaxPool, N: 1, H: h, W: w, C: 1, KH: h, KW: w, StrideH: 1, StrideW: 1}))
			x, y, dx := o.floats(c.window, 1, h, w, 1), o.zeros(1, 1, 1, 1), o.zeros(1, h, w, 1)
			p.Forward(y, x)
			p.Backward(dx, o.floats([]float32{1}, 1, 1, 1, 1), y, x)
			wantFloats(t, "y", y, 0, c.want)
			if floats(dx)[c.at] != 1 {
				t.Errorf("window %v as %dx%d: gradient %v, want it at %d", c.window, h, w, floats(dx), c.at)
			}
		}
	}
}

// The positions in windows of more than 254 elements do not fit in a byte.
func TestMaxPoolLargeWindow(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewPool2DReLU(device.Pool2DSpec{Mode: device.MaxPool, N: 1, H: 20, W: 20, C: 2, KH: 20, KW: 20, StrideH: 1, StrideW: 1}))
	x, y := o.uniform(-2, -1, 1, 20, 20, 2), o.zeros(1, 1, 1, 2)
	floats(x)[2*(17*20+13)] = 3
	dy, dx := o.floats([]float32{5, 7}, 1, 1, 1, 2), o.zeros(1, 20, 20, 2)
	p.Forward(y, x)
	p.Backward(dx, dy, y, x)
	wantFloats(t, "y", y, 0, 3, 0)
	for i, v := range floats(dx) {
		want := float32(0)
		if i == 2*(17*20+13) {
			want = 5
		}
		if v != want {
			t.Errorf("dx[%d] = %v, want %v", i, v, want)
		}
	}
}

// A 2x2 window with padding 1 in a 2x2 image: each of the four windows has one element
// inside. Padding counts as zeros in AvgPool, and not at all in AvgPoolExcluding.
func TestAvgPoolPadding(t *testing.T) {
	for _, c := range []struct {
		mode    device.PoolMode
		divisor float32
	}{{device.AvgPool, 4}, {device.AvgPoolExcluding, 1}} {
		o := newOperands(t)
		p := must(o.d.NewPool2D(device.Pool2DSpec{Mode: c.mode, N: 1, H: 2, W: 2, C: 1, KH: 2, KW: 2, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1}))
		x, y := o.floats([]float32{4, 8, 12, 16}, 1, 2, 2, 1), o.zeros(1, 2, 2, 1)
		dx := o.zeros(1, 2, 2, 1)
		p.Forward(y, x)
		p.Backward(dx, x, y, x)
		wantFloats(t, "y", y, 0, 4/c.divisor, 8/c.divisor, 12/c.divisor, 16/c.divisor)
		wantFloats(t, "dx", dx, 0, 4/c.divisor, 8/c.divisor, 12/c.divisor, 16/c.divisor)
	}
}

// Windows 1x2 with stride 1 over 4, 8, 2: the middle element gets half of each gradient.
func TestAvgPoolOverlapping(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewPool2D(device.Pool2DSpec{Mode: device.AvgPool, N: 1, H: 1, W: 3, C: 1, KH: 1, KW: 2, StrideH: 1, StrideW: 1}))
	x, y := o.floats([]float32{4, 8, 2}, 1, 1, 3, 1), o.zeros(1, 1, 2, 1)
	dx := o.zeros(1, 1, 3, 1)
	p.Forward(y, x)
	p.Backward(dx, o.floats([]float32{2, 6}, 1, 1, 2, 1), y, x)
	wantFloats(t, "y", y, 0, 6, 5)
	wantFloats(t, "dx", dx, 0, 1, 4, 3)
}
