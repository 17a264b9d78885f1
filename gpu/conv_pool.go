//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// convPool is the plan of a convolution with bias, max pooling by 2x2, and ReLU if asked for. The convolution is a plan without
// bias; the rest of the forward pass is one launch of a kernel in conv_pool.cu, and so is what comes before the convolution's
// own backward passes:
//
//	Forward          m = x * w;  y = maxpool(m) + bias, with ReLU max(maxpool(m) + bias, 0)
//	BackwardFilter   dm = dy at the maxima, otherwise 0;  dbias = sum of dm;  dw from dm and x
//	BackwardData     dx from dm and w
type convPool struct {
	device.Conv2D     // x * w
	d                 *Device
	spec              device.Conv2DSpec // with the bias
	pool              device.Pool2DSpec
	relu              bool
	between           *device.Tensor // m, and in the backward passes dm
	spread            bool           // between is dm: BackwardFilter was called since the last Forward
	arg               *memory        // positions of the maxima
	arrived           *memory        // uint32 for each group of columns; 0 between launches
	forward, backward *cuda.Kernel
}

// NewConv2DMaxPool makes a plan for a convolution and a pooling. The error is an ErrNotSupported for poolings other than by 2x2
// that tile the image, and without bias and ReLU, of which nothing would be fused.
func (d *Device) NewConv2DMaxPool(s device.Conv2DSpec, pool device.Pool2DSpec, relu bool) (device.Conv2D, error) {
	s.Check()
	pool.Check()
	if pool.N != s.N || pool.H != s.OutH() || pool.W != s.OutW() || pool.C != s.OutC {
		panic(fmt.Sprintf("gpu: NewConv2DMaxPool: the convolution gives [%d %d %d %d], the pooling is of [%d %d %d %d]",
			s.N, s.OutH(), s.OutW(), s.OutC, pool.N, pool.H, pool.W, pool.C))
	}
	if !s.Bias && !relu || !tilesBy2(pool) || isDepthwise(s) {
		return nil, fmt.Errorf("conv2d with this pooling: %w", device.ErrNotSupported)
	}
	s.DType = floatType("NewConv2DMaxPool", s.DType)
	inner := s
	inner.Bias = false
	p := &convPool{d: d, spec: s, pool: pool, relu: relu}
	var err error
	if p.Conv2D, err = d.newConv2D(inner, false); err != nil {
		return nil, err
	}
	if p.between, err = d.NewTensor(s.DType, s.N, pool.H, pool.W, s.OutC); err != nil {
		return nil, err
	}
	return build(d, "conv2d with max pooling", func(b *builder) device.Conv2D {
		windows := s.N * pool.OutH() * pool.OutW()
		b.elements(p.between.Len())
		p.forward = b.family(kernels.ConvPoolForward, s.DType)
		if s.NoBackward {
			return p
		}
		p.backward = b.family(kernels.ConvPoolBackward, s.DType)
		p.arg, p.arrived = b.memory(windows*s.OutC), b.zeros(4*kernels.Columns(1, s.OutC).Grid.Y)
		b.reserve(columnSums(windows, s.OutC))
		return p
	})
}

// tilesBy2 reports whether windows of 2x2 cover every pixel once.
func tilesBy2(p device.Pool2DSpec) bool {
	tiles := func(a device.WindowAxis, size, out int) bool {
		return a.Dilation <= 1 && a.Before == 0 && 2*out == size
	}
	return p.Mode == device.MaxPool && p.KH == 2 && p.KW == 2 && p.StrideH == 2 && p.StrideW == 2 &&
		tiles(p.Rows(), p.H, p.OutH()) && tiles(p.Columns(), p.W, p.OutW())
}

// Algorithm names the algorithms of the convolution.
func (p *convPool) Algorithm() string { return p.Conv2D.Algorithm() + ", then bias and pooling" }

// Workspace returns the bytes that the plan owns.
func (p *convPool) Workspace() int64 {
	bytes := p.Conv2D.Workspace() + int64(p.between.Len()*p.spec.DType.Size())
	if p.arg != nil {
		bytes += p.arg.bytes
	}
	return bytes
}

// checkPooled panics unless t is an output, or its gradient, and returns its number of images.
func (p *convPool) checkPooled(op, operand string, t *device.Tensor) int {
	return device.CheckRows(op, operand, t, p.spec.DType, p.spec.N, p.pool.OutH(), p.pool.OutW(), p.spec.OutC)
}

func (p *convPool) Forward(y, x, w, bias *device.Tensor) {
	const op = "conv2d with max pooling forward"
	s, d := p.spec, p.d
	n := p.checkPooled(op, "y", y)
	if (bias != nil) != s.Bias {
		panic(fmt.Sprintf("%s: bias given: %v, by the spec: %v", op, bias != nil, s.Bias))
	}
	if bias != nil {
		device.Check(op, "bias", bias, device.Float32, s.OutC)
	}
	p.spread = false
	p.between.SetRows(n)
	p.Conv2D.Forward(p.between, x, w, nil)
	if !d.begin(op) {
		return
	}
	defer d.end()
	a := d.arguments().Pointer(d.data(y))
	if p.arg != nil {
		a.Pointer(d.at(p.arg))
	} else {
		a.Pointer(0)
	}
	a.Pointer(d.data(p.between)).Pointer(d.optional(bias)).Int32(int32(y.Len() / s.OutC)).Int32(int32(p.pool.OutW())).Int32(int32(s.OutC)).
		Int32(flag(p.relu)).Int32(flag(packs(s.DType, s.OutC)))
	d.launch(p.forward, kernels.VectorPerThread(y.Len(), storage(s.DType)))
}

func (p *convPool) BackwardFilter(dw, dbias, dy, x *device.Tensor) {
	const op = "conv2d with max pooling backward filter"
	if dbias != nil && !p.spec.Bias {
		panic(op + ": dbias given, but the spec has no bias")
	}
	p.unpool(op, dbias, dy)
	if dw != nil {
		p.Conv2D.BackwardFilter(dw, nil, p.between, x)
	}
}

func (p *convPool) BackwardData(dx, dy, w *device.Tensor) {
	if !p.spread {
		p.unpool("conv2d with max pooling backward data", nil, dy)
	}
	p.Conv2D.BackwardData(dx, p.between, w)
}

// unpool computes dm, and dbias unless it is nil.
func (p *convPool) unpool(op string, dbias, dy *device.Tensor) {
	s, d := p.spec, p.d
	if s.NoBackward {
		panic(op + ": the plan was made without it")
	}
	n := p.checkPooled(op, "dy", dy)
	if dbias != nil {
		device.Check(op, "dbias", dbias, device.Float32, s.OutC)
	}
	p.spread = true
	p.between.SetRows(n)
	if !d.begin(op) {
		return
	}
	defer d.end()
	windows := dy.Len() / s.OutC
	l := kernels.Columns(windows, s.OutC)
	d.arguments().Pointer(d.data(p.between)).Pointer(d.optional(dbias)).Pointer(d.scratch()).Pointer(d.at(p.arrived)).Pointer(d.data(dy)).Pointer(d.at(p.arg)).
		Int32(int32(windows)).Int32(int32(p.pool.OutW())).Int32(int32(s.OutC)).Int32(int32(l.RowsPerBlock)).Int32(flag(l.Vector))
	d.launch(p.backward, l.Grid)
}
