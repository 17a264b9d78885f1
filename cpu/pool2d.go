package cpu

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// pool2D is what the plans of max and average pooling share. Over images [n,h,w,c], with
// outputs [n,outH,outW,c],
//
//	window (i,j) = { x[n, i*strideH + p*dilationH - padH, j*strideW + q*dilationW - padW, c] : 0 <= p < kH, 0 <= q < kW }
//
// Elements outside the image don't count. The fused form applies ReLU to the output. A task
// of Forward is a few rows of outputs. So is a task of Backward if windows neither overlap
// nor reach outside the image, because then each element of dx is written only once;
// otherwise it is a whole image.
type pool2D struct {
	d          *Device
	spec       device.Pool2DSpec
	relu       bool
	outH, outW int
	plain      bool // windows have no gaps, and none reaches outside the image
	disjoint   bool // in addition, windows don't overlap
	rows       int  // rows of outputs per task

	down, along          device.WindowAxis // of the rows and of the columns
	dilationH, dilationW int

	// Operands of the current call, and its number of images.
	n            int
	y, x, dx, dy []float32
}

// NewPool2D returns a plan for pooling.
func (d *Device) NewPool2D(s device.Pool2DSpec) (_ device.Pool2D, err error) {
	defer returnShortage(&err)
	if err := d.float32Only("pool2d", s.DType); err != nil {
		return nil, err
	}
	return d.newPool2D(s, false), nil
}

// NewPool2DReLU returns a plan for pooling followed by ReLU.
func (d *Device) NewPool2DReLU(s device.Pool2DSpec) (_ device.Pool2D, err error) {
	defer returnShortage(&err)
	if err := d.float32Only("pool2d", s.DType); err != nil {
		return nil, err
	}
	return d.newPool2D(s, true), nil
}

func (d *Device) newPool2D(s device.Pool2DSpec, relu bool) device.Pool2D {
	s.Check()
	p := pool2D{d: d, spec: s, relu: relu, outH: s.OutH(), outW: s.OutW(), down: s.Rows(), along: s.Columns()}
	p.dilationH, p.dilationW = p.down.Dilation, p.along.Dilation
	p.plain = p.down.Within() && p.along.Within() && p.dilationH == 1 && p.dilationW == 1
	p.disjoint = p.plain && s.StrideH >= s.KH && s.StrideW >= s.KW
	p.rows = max(1, chunk/(s.StrideH*s.W*s.C))
	switch {
	case s.Mode != device.MaxPool:
		return newAvgPool(p)
	case s.KH*s.KW < math.MaxUint8:
		return newMaxPool(p, d.vector.Pool8)
	}
	return newMaxPool(p, d.vector.Pool32)
}

// takeForward checks and keeps the operands of Forward, and returns the number of tasks.
func (p *pool2D) takeForward(y, x *device.Tensor) int {
	const op = "cpu: pool2d forward"
	p.n = device.CheckRows(op, "x", x, device.Float32, p.spec.N, p.spec.H, p.spec.W, p.spec.C)
	device.Check(op, "y", y, device.Float32, p.n, p.outH, p.outW, p.spec.C)
	p.y, p.x = floats(y), floats(x)
	return divideUp(p.n*p.outH, p.rows)
}

// takeBackward checks and keeps the operands of Backward, and returns the number of tasks.
func (p *pool2D) takeBackward(dx, dy, y, x *device.Tensor) int {
	const op = "cpu: pool2d backward"
	if p.spec.NoBackward {
		panic(op + ": the plan was made with NoBackward")
	}
	n := device.CheckRows(op, "x", x, device.Float32, p.spec.N, p.spec.H, p.spec.W, p.spec.C)
	device.Check(op, "dx", dx, device.Float32, n, p.spec.H, p.spec.W, p.spec.C)
	device.Check(op, "dy", dy, device.Float32, n, p.outH, p.outW, p.spec.C)
	device.Check(op, "y", y, device.Float32, n, p.outH, p.outW, p.spec.C)
	if n != p.n {
		panic(fmt.Sprintf("%s: x is %v, the last Forward had %d images", op, x, p.n))
	}
	p.dx, p.dy, p.y = floats(dx), floats(dy), floats(y)
	if p.disjoint {
		return divideUp(n*p.outH, p.rows)
	}
	return n
}

// poolWindow is the part of a pooling window that lies in the image: rows x columns elements, of which the first, element
// (a, b) of the window, is pixel (y, x). Its elements are dilation pixels apart.
type poolWindow struct{ y, x, a, b, rows, columns int }

// window returns window (i, j).
func (p *pool2D) window(i, j int) (w poolWindow) {
	w.a, w.rows = p.down.Inside(i)
	w.b, w.columns = p.along.Inside(j)
	w.y, w.x = i*p.spec.StrideH+w.a*p.dilationH-p.spec.PadH, j*p.spec.StrideW+w.b*p.dilationW-p.spec.PadW
	return w
}

// run returns how a row of a window is read: runs of neighbouring pixels, of which the next begins step pixels further.
func (p *pool2D) run(w poolWindow) (runs, pixels, step int) {
	if p.dilationW == 1 {
		return 1, w.columns, 0
	}
	return w.columns, 1, p.dilationW
}

// pixel returns the index at which the channels of pixel (row, col) of image n begin in x
// and dx.
func (p *pool2D) pixel(n, row, col int) int {
	return ((n*p.spec.H+row)*p.spec.W + col) * p.spec.C
}

// output returns the index at which the channels of output j of row r begin in y and dy; r
// counts the rows of all images.
func (p *pool2D) output(r, j int) int { return (r*p.outW + j) * p.spec.C }

// covered returns the rows [from, to) of dx that belong to row i of disjoint windows: all
// rows down to the next row of windows, or to the end of the image.
func (p *pool2D) covered(i int) (from, to int) {
	if i == p.outH-1 {
		return i * p.spec.StrideH, p.spec.H
	}
	return i * p.spec.StrideH, (i + 1) * p.spec.StrideH
}
