//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/gpu/internal/require"
	"trainer/kernels"
	"trainer/nn/device"
)

// convSmall is a convolution of few channels with a max pooling by 2 x 2, by the kernels of conv_small.cu:
//
//	y = maxpool(x * w) + bias, with ReLU max(maxpool(x * w) + bias, 0)
//
// in one launch, and without bias and ReLU, if the kernels have room for the filters, the gradients, with dz = dy at the maxima, otherwise 0
// (see convOfActivation and convPoolBatchNorm for x and dy that are in no memory):
//
//	dw = sum of dz x, in two launches        dx = dz * w, transposed
//
// The kernels multiply on tensor cores, so they are for 16-bit numbers and compute capability 8.0 and newer. cuDNN's leave most of a
// GPU idle with so few channels, and the images before pooling, here in no memory, are the largest of their networks.
type convSmall struct {
	shape        kernels.ConvSmallShape
	relu         bool
	arrived      *memory // uint32 for each group of channels; 0 between launches
	forward      *cuda.Kernel
	inBits       bool         // positions of maxima are packed: see tiles.cuh
	gradients    bool         // the passes below are there
	data         *cuda.Kernel // nil with NoBackwardData
	filter, done *cuda.Kernel // done adds up the partial sums of filter
}

// smallShape returns the shape of a convolution and a pooling that the kernel computes; ok is false for all others.
func (d *Device) smallShape(s device.Conv2DSpec, pool device.Pool2DSpec) (shape kernels.ConvSmallShape, ok bool) {
	if s.DType != device.Float16 && s.DType != device.BFloat16 || d.code.architecture < require.Ampere || s.Groups != 1 ||
		s.StrideH != 1 || s.StrideW != 1 || s.DilationH != 1 || s.DilationW != 1 {
		return shape, false
	}
	pool.DType = s.DType
	if _, _, tiles := poolTiles(pool); !tiles || pool.KH != 2 || pool.Mode != device.MaxPool {
		return shape, false
	}
	shape = kernels.ConvSmallShape{
		H: s.H, W: s.W, InC: s.InC, OutC: s.OutC, KH: s.KH, KW: s.KW, PadH: s.PadH, PadW: s.PadW, OutH: pool.OutH(), OutW: pool.OutW(),
	}
	_, ok = kernels.ConvSmallForwardLaunch(1, shape)
	return shape, ok
}

// newConvSmall makes the plan for a shape.
func (d *Device) newConvSmall(s device.Conv2DSpec, shape kernels.ConvSmallShape, relu bool) (*convSmall, error) {
	return build(d, "conv2d with max pooling", func(b *builder) *convSmall { return b.newConvSmall(s, shape, relu) })
}

func (b *builder) newConvSmall(s device.Conv2DSpec, shape kernels.ConvSmallShape, relu bool) *convSmall {
	l, _ := kernels.ConvSmallForwardLaunch(s.N, shape)
	p := &convSmall{shape: shape, relu: relu, inBits: !relu && !s.Bias, forward: b.family(kernels.ConvSmallForward, s.DType)}
	if l.Moments && !s.NoBackward {
		p.arrived = b.zeros(4 * l.Grid.Y)
		b.reserve(3 * 4 * kernels.MaxConvSmallBlocks * int64(s.OutC))
	}
	_, filter := kernels.ConvSmallFilterLaunch(s.N, 1, shape)
	_, data := kernels.ConvSmallDataLaunch(s.N, shape)
	if p.gradients = !s.NoBackward && !s.Bias && !relu && filter && (data || s.NoBackwardData); !p.gradients {
		return p
	}
	p.filter, p.done = b.family(kernels.ConvSmallFilter, s.DType), b.family(kernels.ConvSmallFinish, s.DType)
	b.reserve(p.partialSums(s.N, 1))
	if !s.NoBackwardData {
		p.data = b.family(kernels.ConvSmallData, s.DType)
	}
	return p
}

// moments reports whether the pass can compute the moments of a batch normalisation.
func (p *convSmall) moments() bool { return p.arrived != nil }

// partialSums returns the bytes of the partial sums of the filters' gradient for n images, with so many sums per element.
func (p *convSmall) partialSums(n, sums int) int64 {
	l, _ := kernels.ConvSmallFilterLaunch(n, sums, p.shape)
	s := p.shape
	return 4 * int64(l.Grid.X*sums) * int64(s.OutC*s.KH*s.KW*s.InC)
}

// smallInput is what a convolution's x is computed from: itself or, unless filters is nil, the images and the operands of a whitening
// layer.
type smallInput struct{ x, filters, bias *device.Tensor }

// arguments adds the arguments that make an Input of conv_small.cu.
func (in smallInput) arguments(d *Device, a *cuda.Args) *cuda.Args {
	return a.Pointer(d.data(in.x)).Pointer(d.optional(in.filters)).Pointer(d.optional(in.bias))
}

// run queues the pass. arg is the address of the maxima's positions, or 0. Unless norm is nil, the pass computes the moments of y, too.
func (p *convSmall) run(d *Device, y *device.Tensor, in smallInput, w, bias *device.Tensor, arg cu.DevicePtr, norm *batchNorm,
	runningMean, runningVar *device.Tensor) {
	l, _ := kernels.ConvSmallForwardLaunch(y.Rows(), p.shape)
	a := in.arguments(d, d.arguments().Pointer(d.data(y)).Pointer(arg)).Pointer(d.data(w)).Pointer(d.optional(bias)).
		Int32(int32(l.Bands)).Int32(flag(p.relu)).Int32(flag(p.inBits))
	p.geometry(a, l, in)
	if norm == nil {
		for range 6 {
			a.Pointer(0)
		}
		a.Float32(0)
	} else {
		d.hold(norm.kept)
		a.Pointer(norm.mean).Pointer(norm.variance).Pointer(d.data(runningMean)).Pointer(d.data(runningVar)).
			Pointer(d.scratch()).Pointer(d.at(p.arrived)).Float32(norm.spec.Momentum)
	}
	d.launch(p.forward, l.Grid)
}

// geometry adds the arguments that make a Convolution of conv_small.cu.
func (p *convSmall) geometry(a *cuda.Args, l kernels.ConvSmallLaunch, in smallInput) {
	s := p.shape
	for _, v := range [...]int{s.H, s.W, s.InC, s.OutC, s.KH, s.KW, s.PadH, s.PadW, s.OutH, s.OutW, l.Rows, l.Stride} {
		a.Int32(int32(v))
	}
	a.Int32(flag(l.Vector))
	packs := s.InC
	switch {
	case in.filters != nil:
		packs = 1 // all channels of a pixel are computed together
	case l.Vector:
		packs /= 4
	}
	divisor(a, (s.OutH+l.Rows-1)/l.Rows)
	divisor(a, s.OutW)
	divisor(a, min(s.W, 2*s.OutW+s.KW-1-s.PadW)*packs)
	divisor(a, packs)
}

// backwardFilter queues dw unless it is nil and, with slopes, the sums of which the gradient of a whitening layer's bias consists: it
// returns where partial ones are, and how many per element. arg is the address of the maxima's positions.
func (p *convSmall) backwardFilter(d *Device, dw *device.Tensor, slopes bool, dy *device.Tensor, in smallInput, arg cu.DevicePtr,
	through normGradient) (partial cu.DevicePtr, blocks int) {
	kinds := 1
	if slopes && dw != nil {
		kinds = 2
	}
	l, _ := kernels.ConvSmallFilterLaunch(dy.Rows(), kinds, p.shape)
	groups := l.Grid.Y / kinds
	slopeFrom := groups
	if dw == nil {
		slopeFrom = 0
	}
	a := in.arguments(d, d.arguments().Pointer(d.scratch()).Pointer(d.data(through.gradient(dy))).Pointer(arg)).
		Int32(int32(slopeFrom)).Int32(int32(l.Bands))
	p.geometry(a, l, in)
	through.arguments(d, a)
	d.launch(p.filter, l.Grid)
	partial = d.scratch()
	if dw != nil {
		d.arguments().Pointer(d.data(dw)).Pointer(partial).Int32(int32(l.Grid.X)).Int32(int32(dw.Len()))
		d.launch(p.done, kernels.ConvSmallFinishGrid(dw.Len()))
		partial += cu.DevicePtr(4 * l.Grid.X * dw.Len())
	}
	return partial, l.Grid.X
}

// backwardData queues dx. arg is the address of the maxima's positions.
func (p *convSmall) backwardData(d *Device, dx, dy, w *device.Tensor, arg cu.DevicePtr) {
	a := d.arguments().Pointer(d.data(dx)).Pointer(d.data(dy)).Pointer(arg).Pointer(d.data(w))
	d.launch(p.data, p.transposed(a, dx.Rows()))
}

// transposed adds the arguments of a kernel that computes dx for n images, and returns its grid.
func (p *convSmall) transposed(a *cuda.Args, n int) kernels.Grid {
	s := p.shape
	l, _ := kernels.ConvSmallDataLaunch(n, s)
	for _, v := range [...]int{l.Bands, s.H, s.W, s.InC, s.OutC, s.KH, s.KW, s.PadH, s.PadW, s.OutH, s.OutW, l.Rows} {
		a.Int32(int32(v))
	}
	divisor(a, (s.H+l.Rows-1)/l.Rows)
	divisor(a, s.W)
	divisor(a, s.W+s.KW-1)
	return l.Grid
}
