//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

var _ device.FusedConvActivationGradient = (*Device)(nil)

// whitenGradient is the gradient of a whitening layer's bias in the backward pass of the convolution of few channels after it:
//
//	dbias = sum over images and pixels of dx gelu'(z)
//
// dx being that convolution's gradient with respect to its input, which is in no memory.
type whitenGradient struct {
	layer   *whiten
	conv    *convPool
	kernel  *cuda.Kernel
	arrived *memory // counter of blocks: 0 between launches
}

// NewConvActivationGradient joins the plans of a whitening layer and of a convolution by conv_small.cu, gradients included.
func (d *Device) NewConvActivationGradient(before device.ConvActivation, conv device.Conv2D) (device.ConvActivationGradient, error) {
	const op = "conv2d with gelu before conv2d"
	layer, whitens := before.(*whiten)
	c, pools := conv.(*convPool)
	if !whitens || !pools || layer.spec.NoBackward || c.small == nil || c.small.data == nil {
		return nil, d.error(op, device.ErrNotSupported)
	}
	if s := layer.spec; s.N != c.spec.N || s.OutH() != c.spec.H || s.OutW() != c.spec.W || s.OutC != c.spec.InC || s.DType != c.spec.DType {
		panic(fmt.Sprintf("gpu: NewConvActivationGradient: the first convolution gives %v[%d %d %d %d], the second takes %v[%d %d %d %d]",
			s.DType, s.N, s.OutH(), s.OutW(), s.OutC, c.spec.DType, c.spec.N, c.spec.H, c.spec.W, c.spec.InC))
	}
	return build(d, op, func(b *builder) device.ConvActivationGradient {
		b.reserve(4 * kernels.MaxConvSmallBlocks * int64(layer.spec.OutC))
		return &whitenGradient{layer, c, b.family(kernels.ConvSmallWhitenBias, c.spec.DType), b.zeros(4)}
	})
}

// Run computes dbias.
func (p *whitenGradient) Run(dbias, dy, w, x, filters, bias *device.Tensor) {
	const op = "conv2d with gelu backward, after conv2d"
	s, c, d := p.layer.spec, p.conv, p.conv.d
	n := c.checkPooled(op, "dy", dy)
	device.Check(op, "x", x, s.DType, n, s.H, s.W, s.InC)
	device.Check(op, "filters", filters, s.DType, s.OutC, s.KH, s.KW, s.InC)
	device.Check(op, "w", w, c.spec.DType, c.spec.OutC, c.spec.KH, c.spec.KW, c.spec.InC)
	device.Check(op, "bias", bias, device.Float32, s.OutC)
	device.Check(op, "dbias", dbias, device.Float32, s.OutC)
	if !d.begin(op) {
		return
	}
	defer d.end()
	a := d.arguments().Pointer(d.data(dbias)).Pointer(d.scratch()).Pointer(d.at(p.arrived)).Pointer(d.data(dy)).Pointer(c.positions()).
		Pointer(d.data(w)).Pointer(d.data(x)).Pointer(d.data(filters)).Pointer(d.data(bias))
	d.launch(p.kernel, c.small.transposed(a, n))
}
