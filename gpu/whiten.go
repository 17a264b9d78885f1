//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// whiten is the plan of a convolution of 3 channels with filters of 2 x 2, a bias and GELU, by the kernels of whiten.cu:
//
//	z = conv2d(x, w) + bias        y = gelu(z)        dbias = sum over images and pixels of dy gelu'(z)
//
// cuDNN has no fast kernel for 3 channels, and would need passes over memory for the activation, its gradient and the sum.
type whiten struct {
	d             *Device
	spec          device.Conv2DSpec
	forward, bias *cuda.Kernel
	arrived       *memory // counter of blocks: 0 between launches; nil without a backward pass
}

// NewConv2DActivation makes a plan of such a convolution.
func (d *Device) NewConv2DActivation(s device.Conv2DSpec, f *device.Function) (device.ConvActivation, error) {
	s.Check()
	s.DType = floatType("NewConv2DActivation", s.DType)
	if !whitens(s, f) {
		return nil, d.error("conv2d with "+f.Name, device.ErrNotSupported)
	}
	return build(d, "conv2d", func(b *builder) device.ConvActivation {
		if !b.elements(s.N*s.H*s.W*s.InC) || !b.elements(s.N*s.OutH()*s.OutW()*s.OutC) {
			return nil
		}
		p := &whiten{d: d, spec: s, forward: b.family(kernels.WhitenGELUForward, s.DType)}
		if !s.NoBackward {
			p.bias = b.family(kernels.WhitenGELUBias, s.DType)
			p.arrived = b.zeros(4)
			b.reserve(4 * kernels.MaxWhitenBlocks * int64(s.OutC))
		}
		return p
	})
}

// whitens reports whether the kernels compute a convolution with a function.
func whitens(s device.Conv2DSpec, f *device.Function) bool {
	if f.Name != "gelu" || !s.Bias || s.KH != 2 || s.KW != 2 || s.InC != 3 || s.Groups != 1 || s.OutH() != s.H-1 || s.OutW() != s.W-1 {
		return false
	}
	_, ok := kernels.Whiten(1, 1, s.OutC, false)
	return ok && s.StrideH == 1 && s.StrideW == 1 && s.DilationH == 1 && s.DilationW == 1 && s.PadH == 0 && s.PadW == 0
}

// Forward computes y.
func (p *whiten) Forward(y, x, w, bias *device.Tensor) {
	const op = "conv2d with gelu forward"
	n := p.check(op, "y", y, x, w, bias)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	g := p.image(d.arguments().Pointer(d.data(y)).Pointer(d.data(x)).Pointer(d.data(w)).Pointer(d.data(bias)), n, false)
	d.launch(p.forward, g)
}

// BackwardBias computes dbias.
func (p *whiten) BackwardBias(dbias, dy, x, w, bias *device.Tensor) {
	const op = "conv2d with gelu backward"
	if p.spec.NoBackward {
		panic(op + ": the plan was made with NoBackward")
	}
	n := p.check(op, "dy", dy, x, w, bias)
	device.Check(op, "dbias", dbias, device.Float32, p.spec.OutC)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	a := d.arguments().Pointer(d.data(dbias)).Pointer(d.scratch()).Pointer(d.at(p.arrived)).
		Pointer(d.data(dy)).Pointer(d.data(x)).Pointer(d.data(w)).Pointer(d.data(bias))
	g := p.image(a, n, true)
	d.launch(p.bias, g)
}

// check panics unless the operands fit, and returns the number of images.
func (p *whiten) check(op, output string, y, x, w, bias *device.Tensor) int {
	s := p.spec
	n := device.CheckRows(op, "x", x, s.DType, s.N, s.H, s.W, s.InC)
	device.Check(op, output, y, s.DType, n, s.OutH(), s.OutW(), s.OutC)
	device.Check(op, "w", w, s.DType, s.OutC, s.KH, s.KW, s.InC)
	if bias == nil {
		panic(fmt.Sprintf("%s: no bias", op))
	}
	device.Check(op, "bias", bias, device.Float32, s.OutC)
	return n
}

// image adds the arguments that describe n images, and returns the grid.
func (p *whiten) image(a *cuda.Args, n int, sums bool) kernels.Grid {
	s := p.spec
	rows := n * s.OutH()
	a.Int32(int32(rows)).Int32(int32(s.OutW())).Int32(int32(s.OutC))
	divisor(a, (s.OutW()+kernels.WhitenStrip-1)/kernels.WhitenStrip)
	divisor(a, s.OutH())
	g, _ := kernels.Whiten(rows, s.OutW(), s.OutC, sums)
	return g
}
