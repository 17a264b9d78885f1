//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// paddedConv2D is the plan of a convolution whose padding differs between opposite sides, which cuDNN's calls can't
// express. A copy of the images has zeros where one side has more padding than the other, or lacks the pixels that no
// window reaches (kernels/pad.cu), and the convolution of the copy pads equally:
//
//	Forward         y = padded(x) * w
//	BackwardData    dx = the gradient with respect to padded(x), without the border
//	BackwardFilter  dw = sum over images and pixels of dy padded(x)
type paddedConv2D struct {
	device.Conv2D // of the copy
	d             *Device
	spec          device.Conv2DSpec
	pad           *cuda.Kernel
	copied        *device.Tensor // [n,paddedH,paddedW,inC]
	top, left     int            // rows and columns of zeros that the copy begins with
}

// equalPadding returns the largest padding on both sides that a side with padding before and one with padding after have in
// common, and what the copy of the image has in addition before and after it; after may be negative.
func equalPadding(a device.WindowAxis) (both, before, after int) {
	both = max(0, min(a.Before, a.After))
	return both, a.Before - both, a.After - both
}

func (d *Device) newPaddedConv2D(s device.Conv2DSpec, relu bool) (device.Conv2D, error) {
	s.DType = floatType("NewConv2D", s.DType)
	p := &paddedConv2D{d: d, spec: s}
	inner := s
	var below, right int
	inner.PadH, p.top, below = equalPadding(s.Rows())
	inner.PadW, p.left, right = equalPadding(s.Columns())
	inner.H, inner.W, inner.ExtraPadH, inner.ExtraPadW = s.H+p.top+below, s.W+p.left+right, 0, 0
	var err error
	if p.Conv2D, err = d.newConv2D(inner, relu); err != nil {
		return nil, err
	}
	if p.copied, err = d.NewTensor(s.DType, s.N, inner.H, inner.W, s.InC); err != nil {
		return nil, err
	}
	return build(d, "conv2d", func(b *builder) device.Conv2D {
		b.elements(p.copied.Len())
		p.pad = b.family(kernels.Pad, s.DType)
		return p
	})
}

// Algorithm names the algorithms of the copy's convolution.
func (p *paddedConv2D) Algorithm() string { return p.Conv2D.Algorithm() + ", of a padded copy" }

// Workspace returns the bytes that the plan owns, the copy among them.
func (p *paddedConv2D) Workspace() int64 {
	return p.Conv2D.Workspace() + int64(p.copied.MaxRows()*p.copied.RowLen()*p.copied.DType().Size())
}

// Forward computes y.
func (p *paddedConv2D) Forward(y, x, w, bias *device.Tensor) {
	const op = "conv2d forward"
	p.check(op, "x", x)
	p.move(op, p.copied, x, p.top, p.left)
	p.Conv2D.Forward(y, p.copied, w, bias)
}

// BackwardData computes dx.
func (p *paddedConv2D) BackwardData(dx, dy, w *device.Tensor) {
	const op = "conv2d backward data"
	p.check(op, "dx", dx)
	p.Conv2D.BackwardData(p.copied, dy, w)
	p.move(op, dx, p.copied, -p.top, -p.left)
}

// BackwardFilter computes dw and dbias.
func (p *paddedConv2D) BackwardFilter(dw, dbias, dy, x *device.Tensor) {
	const op = "conv2d backward filter"
	p.check(op, "x", x)
	if dw != nil {
		p.move(op, p.copied, x, p.top, p.left)
	}
	p.Conv2D.BackwardFilter(dw, dbias, dy, p.copied)
}

// check checks the images, or their gradient, and gives the copy as many rows.
func (p *paddedConv2D) check(op, operand string, x *device.Tensor) {
	s := p.spec
	p.copied.SetRows(device.CheckRows(op, operand, x, s.DType, s.N, s.H, s.W, s.InC))
}

// move queues y[n,i,j,c] = x[n,i-top,j-left,c], and 0 outside of x.
func (p *paddedConv2D) move(op string, y, x *device.Tensor, top, left int) {
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	c := p.spec.InC
	a := d.arguments().Pointer(d.data(y)).Pointer(d.data(x))
	for _, v := range [...]int{y.Rows(), y.Dim(1), y.Dim(2), c, x.Dim(1), x.Dim(2), top, left} {
		a.Int32(int32(v))
	}
	vector := kernels.Vector(c)
	a.Int32(flag(vector))
	d.launch(p.pad, kernels.Pool(y.Len(), vector))
}
