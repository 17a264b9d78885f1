//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

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
//
// A convolution of few channels and its pooling are one launch, and so are their gradients: see convSmall. Those that convSmall lacks
// are the ones above.
type convPool struct {
	device.Conv2D     // x * w
	d                 *Device
	spec              device.Conv2DSpec // with the bias
	pool              device.Pool2DSpec
	relu              bool
	between           *device.Tensor // m, and in the backward passes dm; nil if nothing needs it
	spread            bool           // between is dm: BackwardFilter was called since the last Forward
	joined            bool           // between is dm, by the normalisation after the pooling: see convPoolBatchNorm
	through           normGradient   // what that normalisation left to the backward pass for the filters
	arg               *memory        // positions of the maxima
	arrived           *memory        // uint32 for each group of columns; 0 between launches
	forward, backward *cuda.Kernel
	small             *convSmall // in place of Conv2D's Forward and of forward; nil for many channels
}

// NewConv2DMaxPool makes a plan for a convolution and a pooling. The error is an ErrNotSupported for poolings other than by 2x2
// that tile the image, and for those of convolutions of many channels without bias and ReLU, of which nothing would be fused.
func (d *Device) NewConv2DMaxPool(s device.Conv2DSpec, pool device.Pool2DSpec, relu bool) (device.Conv2D, error) {
	s.Check()
	pool.Check()
	if pool.N != s.N || pool.H != s.OutH() || pool.W != s.OutW() || pool.C != s.OutC {
		panic(fmt.Sprintf("gpu: NewConv2DMaxPool: the convolution gives [%d %d %d %d], the pooling is of [%d %d %d %d]",
			s.N, s.OutH(), s.OutW(), s.OutC, pool.N, pool.H, pool.W, pool.C))
	}
	s.DType = floatType("NewConv2DMaxPool", s.DType)
	shape, small := d.smallShape(s, pool)
	if small {
		var err error
		if small, err = d.prefersSmall(s, pool, shape, relu); err != nil {
			return nil, err
		}
	}
	if tiles := tilesBy2(pool); isDepthwise(s) || !small && (!s.Bias && !relu || !tiles) || small && s.Bias && !tiles {
		return nil, fmt.Errorf("conv2d with this pooling: %w", device.ErrNotSupported)
	}
	p := &convPool{d: d, spec: s, pool: pool, relu: relu}
	if small {
		var err error
		if p.small, err = d.newConvSmall(s, shape, relu); err != nil {
			return nil, err
		}
	}
	if p.small == nil || !s.NoBackward && !p.small.gradients {
		if err := p.planBetween(); err != nil {
			return nil, err
		}
	}
	return build(d, "conv2d with max pooling", func(b *builder) device.Conv2D {
		windows := s.N * pool.OutH() * pool.OutW()
		b.elements(s.N * max(pool.H*pool.W*s.OutC, s.H*s.W*s.InC))
		if p.small == nil {
			p.forward = b.family(kernels.ConvPoolForward, s.DType)
		}
		if s.NoBackward {
			return p
		}
		p.arg = b.memory(positionBytes(windows*s.OutC, p.inBits()))
		if p.between == nil {
			return p
		}
		if p.unpoolsTiles() {
			p.backward = b.family(kernels.Pool2DMaxBackward2x2, s.DType)
			return p
		}
		p.backward, p.arrived = b.family(kernels.ConvPoolBackward, s.DType), b.zeros(4*kernels.Columns(1, s.OutC).Grid.Y)
		b.reserve(columnSums(windows, s.OutC))
		return p
	})
}

// planBetween makes the plan of the convolution alone, and the memory for its output.
func (p *convPool) planBetween() (err error) {
	inner := p.spec
	inner.Bias = false
	if p.Conv2D, err = p.d.newConv2D(inner, false); err != nil {
		return err
	}
	p.between, err = p.d.NewTensor(p.spec.DType, p.spec.N, p.pool.H, p.pool.W, p.spec.OutC)
	return err
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
func (p *convPool) Algorithm() string {
	switch {
	case p.between == nil:
		return "own, with pooling"
	case p.small != nil:
		return "own forward with pooling; " + p.Conv2D.Algorithm()
	}
	return p.Conv2D.Algorithm() + ", then bias and pooling"
}

// Workspace returns the bytes that the plan owns.
func (p *convPool) Workspace() int64 {
	var bytes int64
	if p.between != nil {
		bytes = p.Conv2D.Workspace() + int64(p.between.Len()*p.spec.DType.Size())
	}
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
	n := p.checkForward(op, y, bias)
	p.begin()
	d := p.d
	if p.small != nil {
		p.checkSmall(op, n, "x", x, "w", w)
		if d.begin(op) {
			defer d.end()
			p.small.run(d, y, smallInput{x: x}, w, bias, p.positions(), nil, nil, nil)
		}
		return
	}
	p.between.SetRows(n)
	p.Conv2D.Forward(p.between, x, w, nil)
	if !d.begin(op) {
		return
	}
	defer d.end()
	s := p.spec
	d.arguments().Pointer(d.data(y)).Pointer(p.positions()).Pointer(d.data(p.between)).Pointer(d.optional(bias)).
		Int32(int32(y.Len() / s.OutC)).Int32(int32(p.pool.OutW())).Int32(int32(s.OutC)).Int32(flag(p.relu)).Int32(flag(packs(s.DType, s.OutC)))
	d.launch(p.forward, kernels.VectorPerThread(y.Len(), storage(s.DType)))
}

// begin forgets the last backward pass, at the beginning of a Forward.
func (p *convPool) begin() { p.spread, p.joined, p.through = false, false, normGradient{} }

// inBits reports whether positions of maxima are packed: see tiles.cuh.
func (p *convPool) inBits() bool { return p.small != nil && p.small.inBits }

// unpoolsTiles reports whether dm comes from the kernel of pool2d_tiles.cu. There is no bias then.
func (p *convPool) unpoolsTiles() bool { return p.inBits() || !tilesBy2(p.pool) }

// positions returns the address of the maxima's positions, or 0 if nothing needs them.
func (p *convPool) positions() cu.DevicePtr {
	if p.arg == nil {
		return 0
	}
	return p.d.at(p.arg)
}

// checkForward panics unless y and bias fit, and returns the number of images.
func (p *convPool) checkForward(op string, y, bias *device.Tensor) int {
	n := p.checkPooled(op, "y", y)
	if (bias != nil) != p.spec.Bias {
		panic(fmt.Sprintf("%s: bias given: %v, by the spec: %v", op, bias != nil, p.spec.Bias))
	}
	if bias != nil {
		device.Check(op, "bias", bias, device.Float32, p.spec.OutC)
	}
	return n
}

// checkSmall panics unless x, or its gradient, and w, or its gradient, fit n images.
func (p *convPool) checkSmall(op string, n int, xName string, x *device.Tensor, wName string, w *device.Tensor) {
	s := p.spec
	device.Check(op, xName, x, s.DType, n, s.H, s.W, s.InC)
	device.Check(op, wName, w, s.DType, s.OutC, s.KH, s.KW, s.InC)
}

func (p *convPool) BackwardFilter(dw, dbias, dy, x *device.Tensor) {
	const op = "conv2d with max pooling backward filter"
	if dbias != nil && !p.spec.Bias {
		panic(op + ": dbias given, but the spec has no bias")
	}
	if p.between == nil {
		p.smallFilter(op, dw, dy, x)
		return
	}
	if !p.joined {
		p.unpool(op, dbias, dy)
	}
	if dw != nil {
		p.Conv2D.BackwardFilter(dw, nil, p.between, x)
	}
}

func (p *convPool) BackwardData(dx, dy, w *device.Tensor) {
	const op = "conv2d with max pooling backward data"
	if p.between == nil {
		p.smallData(op, dx, dy, w)
		return
	}
	if !p.spread && !p.joined {
		p.unpool(op, nil, dy)
	}
	p.Conv2D.BackwardData(dx, p.between, w)
}

// smallFilter is BackwardFilter by convSmall.
func (p *convPool) smallFilter(op string, dw, dy, x *device.Tensor) {
	if p.spec.NoBackward {
		panic(op + ": the plan was made without it")
	}
	n := p.checkPooled(op, "dy", dy)
	if dw == nil {
		return // there is no bias either
	}
	p.checkSmall(op, n, "x", x, "dw", dw)
	if d := p.d; d.begin(op) {
		defer d.end()
		p.small.backwardFilter(d, dw, false, dy, smallInput{x: x}, p.positions(), p.through)
	}
}

// smallData is BackwardData by convSmall.
func (p *convPool) smallData(op string, dx, dy, w *device.Tensor) {
	if p.spec.NoBackward || p.spec.NoBackwardData {
		panic(op + ": the plan was made without it")
	}
	p.checkSmall(op, p.checkPooled(op, "dy", dy), "dx", dx, "w", w)
	if d := p.d; d.begin(op) {
		defer d.end()
		p.small.backwardData(d, dx, dy, w, p.positions())
	}
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
	if p.unpoolsTiles() {
		a := d.arguments().Pointer(d.data(p.between)).Pointer(d.data(dy)).Pointer(d.at(p.arg))
		tileArguments(a, p.pool, n)
		a.Int32(flag(p.inBits()))
		d.launchTiles(p.backward, p.pool, dy.Len())
		return
	}
	l := kernels.Columns(windows, s.OutC)
	d.arguments().Pointer(d.data(p.between)).Pointer(d.optional(dbias)).Pointer(d.scratch()).Pointer(d.at(p.arrived)).Pointer(d.data(dy)).Pointer(d.at(p.arg)).
		Int32(int32(windows)).Int32(int32(p.pool.OutW())).Int32(int32(s.OutC)).Int32(int32(l.RowsPerBlock)).Int32(flag(l.Vector))
	d.launch(p.backward, l.Grid)
}
