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
// in one launch, and without bias and ReLU, if the kernels have room for the filters, the gradients, with dz = dy at the maxima, otherwise 0:
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
	gradients    bool         // the passes below are there, and positions of maxima are 2 bits
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
	p := &convSmall{shape: shape, relu: relu, forward: b.family(kernels.ConvSmallForward, s.DType)}
	if l.Moments && !s.NoBackward {
		p.arrived = b.zeros(4 * l.Grid.Y)
		b.reserve(3 * 4 * kernels.MaxConvSmallBlocks * int64(s.OutC))
	}
	f, filter := kernels.ConvSmallFilterLaunch(s.N, shape)
	_, data := kernels.ConvSmallDataLaunch(s.N, shape)
	if p.gradients = !s.NoBackward && !s.Bias && !relu && filter && (data || s.NoBackwardData); !p.gradients {
		return p
	}
	p.filter, p.done = b.family(kernels.ConvSmallFilter, s.DType), b.family(kernels.ConvSmallFinish, s.DType)
	b.reserve(4 * int64(f.Grid.X) * int64(s.OutC*s.KH*s.KW*s.InC))
	if !s.NoBackwardData {
		p.data = b.family(kernels.ConvSmallData, s.DType)
	}
	return p
}

// moments reports whether the pass can compute the moments of a batch normalisation.
func (p *convSmall) moments() bool { return p.arrived != nil }

// run queues the pass over n images. arg is the address of the maxima's positions, or 0. Unless norm is nil, the pass computes the
// moments of y, too.
func (p *convSmall) run(d *Device, y, x, w, bias *device.Tensor, arg cu.DevicePtr, norm *batchNorm, runningMean, runningVar *device.Tensor) {
	l, _ := kernels.ConvSmallForwardLaunch(x.Rows(), p.shape)
	a := d.arguments().Pointer(d.data(y)).Pointer(arg).Pointer(d.data(x)).Pointer(d.data(w)).Pointer(d.optional(bias)).
		Int32(int32(l.Bands)).Int32(flag(p.relu)).Int32(flag(p.gradients))
	p.geometry(a, l)
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
func (p *convSmall) geometry(a *cuda.Args, l kernels.ConvSmallLaunch) {
	s := p.shape
	for _, v := range [...]int{s.H, s.W, s.InC, s.OutC, s.KH, s.KW, s.PadH, s.PadW, s.OutH, s.OutW, l.Rows, l.Stride} {
		a.Int32(int32(v))
	}
	a.Int32(flag(l.Vector))
	packs := s.InC
	if l.Vector {
		packs /= 4
	}
	divisor(a, (s.OutH+l.Rows-1)/l.Rows)
	divisor(a, s.OutW)
	divisor(a, min(s.W, 2*s.OutW+s.KW-1-s.PadW)*packs)
	divisor(a, packs)
}

// backwardFilter queues dw. arg is the address of the maxima's positions.
func (p *convSmall) backwardFilter(d *Device, dw, dy, x *device.Tensor, arg cu.DevicePtr) {
	l, _ := kernels.ConvSmallFilterLaunch(x.Rows(), p.shape)
	a := d.arguments().Pointer(d.scratch()).Pointer(d.data(dy)).Pointer(arg).Pointer(d.data(x)).Int32(int32(l.Bands))
	p.geometry(a, l)
	d.launch(p.filter, l.Grid)
	d.arguments().Pointer(d.data(dw)).Pointer(d.scratch()).Int32(int32(l.Grid.X)).Int32(int32(dw.Len()))
	d.launch(p.done, kernels.ConvSmallFinishGrid(dw.Len()))
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
