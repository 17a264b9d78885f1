//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

var _ device.FusedPoolBatchNorm = (*Device)(nil)

// poolBatchNorm is the plan of a max pooling by 2 x 2 and a batch normalisation after it, whose passes over the pooled
// images it shares: the pooling leaves the moments, and the normalisation's backward pass writes the gradient of the images
// before pooling. Each pass is two launches.
type poolBatchNorm struct {
	pool   *pool2D
	norm   *batchNorm
	unpool *cuda.Kernel
}

// NewPoolBatchNorm joins the plans of a max pooling by 2 x 2 that tiles the image, without ReLU, and of a batch
// normalisation.
func (d *Device) NewPoolBatchNorm(pool device.Pool2D, norm device.BatchNorm) (device.PoolBatchNorm, error) {
	const op = "pooling with batchnorm"
	p, pools := pool.(*pool2D)
	n, normalizes := norm.(*batchNorm)
	if !pools || !normalizes || !p.tiles || !p.inBits || p.arg == nil || n.spec.NoBackward || n.function == nil {
		return nil, d.error(op, device.ErrNotSupported)
	}
	if s := p.spec; n.spec.Rows != s.N*s.OutH()*s.OutW() || n.spec.C != s.C || n.spec.DType != s.DType {
		panic(fmt.Sprintf("gpu: NewPoolBatchNorm: pooling gives %v[%d %d], the normalisation is of %v[%d %d]",
			s.DType, s.N*s.OutH()*s.OutW(), s.C, n.spec.DType, n.spec.Rows, n.spec.C))
	}
	return build(d, op, func(b *builder) device.PoolBatchNorm {
		return &poolBatchNorm{p, n, b.family(kernels.BatchNormUnpool(n.function.Name), p.spec.DType)}
	})
}

func (p *poolBatchNorm) Forward(y, pooled, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	const op = "pooling with batchnorm forward"
	s, d := p.pool.spec, p.pool.d
	images := device.CheckRows(op, "x", x, s.DType, s.N, s.H, s.W, s.C)
	device.Check(op, "pooled", pooled, s.DType, images, s.OutH(), s.OutW(), s.C)
	rows := p.norm.checkForward(op, y, pooled, gamma, beta, runningMean, runningVar)
	p.pool.n, p.norm.forwardRows = images, rows
	if !d.begin(op) {
		return
	}
	defer d.end()
	p.norm.momentsOf(x, runningMean, runningVar, rows, p.pool, pooled)
	p.norm.apply(y, pooled, gamma, beta, p.norm.mean, p.norm.variance, rows)
}

func (p *poolBatchNorm) Backward(dx, dgamma, dbeta, dy, pooled, gamma, beta *device.Tensor) {
	const op = "pooling with batchnorm backward"
	s, d := p.pool.spec, p.pool.d
	rows := p.norm.checkParameters(op, dgamma, dbeta, pooled, gamma, beta)
	device.CheckLen(op, "dy", dy, s.DType, rows*s.C)
	device.Check(op, "dx", dx, s.DType, p.pool.n, s.H, s.W, s.C)
	if !d.begin(op) {
		return
	}
	defer d.end()
	l := p.norm.sumsOf(dgamma, dbeta, dy, pooled, gamma, beta, rows)
	a := p.norm.gradientArguments(dx, dy, pooled, gamma, beta)
	p.norm.columns(a, l, rows)
	imageArguments(a.Pointer(p.pool.positions()), s)
	d.launch(p.unpool, l.Grid)
}

// imageArguments adds the parameters of an Image of tiles.cuh: h, w, outH, outW, and the divisors of outW and outH; zeros
// for the zero spec.
func imageArguments(a *cuda.Args, s device.Pool2DSpec) {
	if s.C == 0 {
		for range 8 {
			a.Int32(0)
		}
		return
	}
	for _, v := range [...]int{s.H, s.W, s.OutH(), s.OutW()} {
		a.Int32(int32(v))
	}
	divisor(a, s.OutW())
	divisor(a, s.OutH())
}

// batchNormPool is the plan of a batch normalisation with GELU and a max pooling by 3 x 3 after it: y and dy are pooled,
// and the normalised images and their gradients are in no memory. Each pass is two launches.
type batchNormPool struct {
	*batchNorm
	pool           device.Pool2DSpec
	pooled         *cuda.Kernel // forward
	sums, backward *cuda.Kernel // in place of batchNorm's
	arg            *memory      // positions of the maxima; nil without a backward pass
}

// NewBatchNormPool makes the plan. The error is an ErrNotSupported unless the windows cover every pixel once.
func (d *Device) NewBatchNormPool(s device.BatchNormSpec, f *device.Function, pool device.Pool2DSpec) (device.BatchNorm, error) {
	const op = "batchnorm with pooling"
	pool.Check()
	if s.Rows != pool.N*pool.H*pool.W || s.C != pool.C || s.DType != pool.DType {
		panic(fmt.Sprintf("gpu: NewBatchNormPool: the normalisation is of %v[%d %d], the pooling of %v[%d %d]",
			s.DType, s.Rows, s.C, pool.DType, pool.N*pool.H*pool.W, pool.C))
	}
	s.DType = floatType("NewBatchNormPool", s.DType)
	pool.DType = s.DType
	_, _, tiles := poolTiles(pool)
	if !tiles || pool.Mode != device.MaxPool || f.Name != "gelu" || pool.KH != 3 || pool.OutH()*3 != pool.H || pool.OutW()*3 != pool.W {
		return nil, d.error(op, device.ErrNotSupported)
	}
	norm, err := d.NewBatchNormActivation(s, f)
	if err != nil {
		return nil, err
	}
	return build(d, op, func(b *builder) device.BatchNorm {
		p := &batchNormPool{batchNorm: norm.(*batchNorm), pool: pool, pooled: b.family(kernels.BatchNormPooledGELU, s.DType)}
		if !s.NoBackward {
			p.sums, p.backward = b.family(kernels.BatchNormPooledSumsGELU, s.DType), b.family(kernels.BatchNormPooledBackwardGELU, s.DType)
			p.arg = b.memory(pool.N * pool.OutH() * pool.OutW() * pool.C)
		}
		return p
	})
}

// check panics unless x, and pooled images, fit, and returns the number of rows of x.
func (p *batchNormPool) check(op string, x *device.Tensor, pooledName string, pooled *device.Tensor) int {
	s := p.pool
	n := device.CheckRows(op, "x", x, s.DType, s.N, s.H, s.W, s.C)
	device.Check(op, pooledName, pooled, s.DType, n, s.OutH(), s.OutW(), s.C)
	return n * s.H * s.W
}

func (p *batchNormPool) Forward(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	const op = "batchnorm with pooling forward"
	rows := p.check(op, x, "y", y)
	p.checkVectors(op, gamma, beta, runningMean, runningVar)
	p.forwardRows = rows
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	p.momentsOf(x, runningMean, runningVar, rows, nil, nil)
	p.pooledOf(y, x, gamma, beta, p.mean, p.variance, p.arg)
}

func (p *batchNormPool) Inference(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	const op = "batchnorm with pooling inference"
	p.check(op, x, "y", y)
	p.checkVectors(op, gamma, beta, runningMean, runningVar)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	p.pooledOf(y, x, gamma, beta, d.data(runningMean), d.data(runningVar), nil)
}

// pooledOf queues y = maxpool(f(gamma (x-mean)/sqrt(variance+epsilon) + beta)), and keeps the maxima's positions in arg
// unless it is nil.
func (p *batchNormPool) pooledOf(y, x, gamma, beta *device.Tensor, mean, variance cu.DevicePtr, arg *memory) {
	d, windows := p.d, y.Len()/p.pool.C
	l := p.share(windows)
	a := d.arguments().Pointer(d.data(y))
	if arg == nil {
		a.Pointer(0)
	} else {
		a.Pointer(d.at(arg))
	}
	a.Pointer(d.data(x)).Pointer(d.data(gamma)).Pointer(d.data(beta)).Pointer(mean).Pointer(variance).Float32(p.spec.Epsilon).
		Int32(int32(windows)).Int32(int32(p.spec.C)).Int32(int32(l.RowsPerBlock))
	imageArguments(a, p.pool)
	d.launch(p.pooled, l.Grid)
}

func (p *batchNormPool) Backward(dx, dgamma, dbeta, dy, x, gamma, beta *device.Tensor) {
	const op = "batchnorm with pooling backward"
	p.check(op, x, "dy", dy)
	rows := p.checkParameters(op, dgamma, dbeta, x, gamma, beta)
	device.CheckLen(op, "dx", dx, p.spec.DType, rows*p.spec.C)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	l := p.share(rows)
	a := p.sumArguments(dgamma, dbeta).Pointer(d.data(dy)).Pointer(d.at(p.arg))
	p.pooledGradient(p.normArguments(a, x, gamma, beta), rows)
	d.launch(p.sums, l.Grid)
	a = d.arguments().Pointer(d.data(dx)).Pointer(d.data(dy)).Pointer(d.at(p.arg))
	p.pooledGradient(p.normArguments(a, x, gamma, beta).Pointer(p.total), rows)
	d.launch(p.backward, l.Grid)
}

// pooledGradient adds epsilon, how the rows are shared out, and the parameters of a PooledGradient of batchnorm.cu.
func (p *batchNormPool) pooledGradient(a *cuda.Args, rows int) {
	s := p.pool
	a.Float32(p.spec.Epsilon)
	for _, v := range [...]int{rows, s.C, p.share(rows).RowsPerBlock, s.KH, s.W, s.OutW()} {
		a.Int32(int32(v))
	}
	divisor(a, s.W)
	divisor(a, s.KW)
}
