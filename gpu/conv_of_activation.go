//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

var _ device.FusedConvOfActivation = (*Device)(nil)

// convOfActivation is the plan of a whitening layer and of the convolution of few channels with pooling after it, by conv_small.cu:
//
//	a = gelu(conv2d(x, filters) + bias)        y = maxpool(conv2d(a, w))
//
// a, often the largest tensor of a network, is in no memory: the kernels compute the part that they need from x, 3 channels in place of
// 24. The gradient of the bias is a sum over the products of which dw consists, with gelu' in place of gelu, so that the
// gradient with respect to a is in no memory either. Both gradients are three launches.
type convOfActivation struct {
	conv          *convPool
	layer         *whiten
	filters, bias *device.Tensor
	finish        *cuda.Kernel
	arrived       *memory // counter of blocks: 0 between launches
}

// NewConvOfActivation joins the plans of a whitening layer and of a convolution by conv_small.cu, gradients included.
func (d *Device) NewConvOfActivation(before device.ConvActivation, filters, bias *device.Tensor, conv device.Conv2D) (device.ConvOfActivation, error) {
	const op = "conv2d of conv2d with gelu"
	layer, whitens := before.(*whiten)
	c, pools := conv.(*convPool)
	if !whitens || !pools || layer.spec.NoBackward || c.small == nil || !c.small.gradients || layer.spec.OutC > kernels.MaxConvSmallWhitened {
		return nil, d.error(op, device.ErrNotSupported)
	}
	s := layer.spec
	if s.N != c.spec.N || s.OutH() != c.spec.H || s.OutW() != c.spec.W || s.OutC != c.spec.InC || s.DType != c.spec.DType {
		panic(fmt.Sprintf("gpu: NewConvOfActivation: the first convolution gives %v[%d %d %d %d], the second takes %v[%d %d %d %d]",
			s.DType, s.N, s.OutH(), s.OutW(), s.OutC, c.spec.DType, c.spec.N, c.spec.H, c.spec.W, c.spec.InC))
	}
	device.Check(op, "filters", filters, s.DType, s.OutC, s.KH, s.KW, s.InC)
	device.Check(op, "bias", bias, device.Float32, s.OutC)
	return build(d, op, func(b *builder) device.ConvOfActivation {
		b.reserve(c.small.partialSums(s.N, 2) + 4*int64(c.spec.OutC*s.OutC))
		return &convOfActivation{c, layer, filters, bias, b.family(kernels.ConvSmallWhitenFinish, s.DType), b.zeros(4)}
	})
}

// input returns what the second convolution's input is computed from.
func (p *convOfActivation) input(x *device.Tensor) smallInput {
	return smallInput{x, p.filters, p.bias}
}

// check panics unless y, or its gradient, x and w fit.
func (p *convOfActivation) check(op, yName string, y, x, w *device.Tensor) {
	s, c := p.layer.spec, p.conv.spec
	n := p.conv.checkPooled(op, yName, y)
	device.Check(op, "x", x, s.DType, n, s.H, s.W, s.InC)
	device.Check(op, "w", w, c.DType, c.OutC, c.KH, c.KW, c.InC)
}

// Forward computes y.
func (p *convOfActivation) Forward(y, x, w, bias *device.Tensor) {
	const op = "conv2d of conv2d with gelu forward"
	p.check(op, "y", y, x, w)
	if bias != nil {
		panic(op + ": bias given, but the spec has none")
	}
	c, d := p.conv, p.conv.d
	c.begin()
	if d.begin(op) {
		defer d.end()
		c.small.run(d, y, p.input(x), w, nil, c.positions(), nil, nil, nil)
	}
}

// Backward computes dw and dbias.
func (p *convOfActivation) Backward(dw, dbias, dy, x, w *device.Tensor) {
	const op = "conv2d of conv2d with gelu backward"
	p.check(op, "dy", dy, x, w)
	c, d := p.conv, p.conv.d
	if dw != nil {
		device.Check(op, "dw", dw, c.spec.DType, w.Shape()...)
	}
	if dbias != nil {
		device.Check(op, "dbias", dbias, device.Float32, p.layer.spec.OutC)
	}
	if dw == nil && dbias == nil || !d.begin(op) {
		return
	}
	defer d.end()
	partial, blocks := c.small.backwardFilter(d, dw, dbias != nil, dy, p.input(x), c.positions(), c.through)
	if dbias == nil {
		return
	}
	outC := c.spec.OutC
	columns := w.Len() / outC
	sums := partial + cu.DevicePtr(4*blocks*w.Len())
	d.arguments().Pointer(d.data(dbias)).Pointer(sums).Pointer(d.at(p.arrived)).Pointer(partial).Pointer(d.data(w)).
		Int32(int32(blocks)).Int32(int32(p.layer.spec.OutC)).Int32(int32(columns))
	d.launch(p.finish, kernels.Grid{X: outC, Y: 1})
}
