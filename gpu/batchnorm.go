//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// batchNorm is the plan of batch normalisation of x [rows, c] over the rows (Ioffe and
// Szegedy, "Batch Normalization", 2015), with an activation f after it in the fused form.
// For each channel, m being the number of rows:
//
//	mean = 1/m sum x      var = 1/m sum (x-mean)^2      xhat = (x-mean) / sqrt(var+epsilon)
//	y = f(z)              z = gamma*xhat + beta
//
// and backward, with dz = dy f'(z), computed again from x:
//
//	dbeta = sum dz        dgamma = sum dz*xhat
//	dx = gamma/sqrt(var+epsilon) (dz - dbeta/m - xhat*dgamma/m)
//
// by the kernels of batchnorm.cu. cuDNN's batch normalisation refuses small epsilons, and fuses no
// activation but ReLU. Partial sums lie in the workspace. Each pass is two launches: the first one's last blocks finish its
// sums, and leave in memory what the second reads.
type batchNorm struct {
	d    *Device
	spec device.BatchNormSpec

	function           *device.Function // nil without an activation
	moments, normalize *cuda.Kernel
	sums, backward     *cuda.Kernel

	mean, variance cu.DevicePtr // [c] each, of the last Forward
	total          cu.DevicePtr // [2, c], the gradients' sums of the last Backward
	arrived        cu.DevicePtr // counters of blocks, one per group of columns: 0 between launches
	kept           *memory      // where they are
	partial        cu.DevicePtr // offset in the workspace: [2, blocks, c]
	forwardRows    int          // of the last Forward
}

// normKernels are the kernels of batch normalisation that depend on the activation.
type normKernels struct{ normalize, sums, backward kernels.Family }

// NewBatchNorm makes a plan for batch normalisation.
func (d *Device) NewBatchNorm(s device.BatchNormSpec) (device.BatchNorm, error) {
	return d.newBatchNorm(s, nil, normKernels{kernels.BatchNormNormalize, kernels.BatchNormSums, kernels.BatchNormBackward})
}

// NewBatchNormActivation makes a plan for batch normalisation with an activation after it, one that kernels apply.
func (d *Device) NewBatchNormActivation(s device.BatchNormSpec, f *device.Function) (device.BatchNorm, error) {
	normalize, sums, backward, ok := kernels.BatchNormActivation(f.Name)
	if !ok {
		return nil, d.error("batchnorm with "+f.Name, device.ErrNotSupported)
	}
	return d.newBatchNorm(s, f, normKernels{normalize, sums, backward})
}

func (d *Device) newBatchNorm(s device.BatchNormSpec, f *device.Function, k normKernels) (device.BatchNorm, error) {
	if s.Rows < 1 || s.C < 1 || !(s.Epsilon >= 0) {
		panic(fmt.Sprintf("gpu: NewBatchNorm: [%d %d], epsilon %v", s.Rows, s.C, s.Epsilon))
	}
	s.DType = floatType("NewBatchNorm", s.DType)
	return build(d, "batchnorm", func(b *builder) device.BatchNorm {
		b.elements(s.Rows * s.C)
		p := &batchNorm{
			d: d, spec: s, function: f,
			moments: b.family(kernels.BatchNormMoments, s.DType), normalize: b.family(k.normalize, s.DType),
		}
		var kept, work layout
		p.mean, p.variance, p.total = kept.place(4*s.C), kept.place(4*s.C), kept.place(2*4*s.C)
		p.arrived = kept.place(4 * kernels.BatchNorm(s.Rows, s.C, storage(s.DType)).Grid.Y)
		if p.kept = b.zeros(int(kept.bytes)); p.kept != nil {
			p.mean, p.variance = p.mean+p.kept.address, p.variance+p.kept.address
			p.total, p.arrived = p.total+p.kept.address, p.arrived+p.kept.address
		}
		p.partial = work.place(2 * 4 * s.C * kernels.MaxBatchNormBlocks(s.Rows, s.C, storage(s.DType)))
		b.reserve(work.bytes)
		if !s.NoBackward {
			p.sums, p.backward = b.family(k.sums, s.DType), b.family(k.backward, s.DType)
		}
		return p
	})
}

func (p *batchNorm) Forward(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	const op = "batchnorm forward"
	rows := p.checkForward(op, y, x, gamma, beta, runningMean, runningVar)
	p.forwardRows = rows
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	p.momentsOf(x, runningMean, runningVar, rows, nil, nil)
	p.apply(y, x, gamma, beta, p.mean, p.variance, rows)
}

// momentsOf queues the batch's mean and variance, and the update of the running ones. Unless pool is nil, x is its input,
// and its output is stored in pooled.
func (p *batchNorm) momentsOf(x, runningMean, runningVar *device.Tensor, rows int, pool *pool2D, pooled *device.Tensor) {
	d, l := p.d, p.share(rows)
	d.hold(p.kept)
	a := d.arguments().Pointer(p.mean).Pointer(p.variance).Pointer(d.data(runningMean)).Pointer(d.data(runningVar)).
		Pointer(d.scratch() + p.partial).Pointer(p.arrived).Pointer(d.data(x)).
		Int32(int32(rows)).Int32(int32(p.spec.C)).Int32(int32(l.RowsPerBlock)).Float32(p.spec.Momentum).Int32(flag(l.Vector))
	var images device.Pool2DSpec
	if pool != nil {
		images = pool.spec
		a.Pointer(d.data(pooled)).Pointer(pool.positions())
	} else {
		a.Pointer(0).Pointer(0)
	}
	imageArguments(a, images)
	d.launch(p.moments, l.Grid)
}

func (p *batchNorm) Inference(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	const op = "batchnorm inference"
	rows := p.checkForward(op, y, x, gamma, beta, runningMean, runningVar)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	p.apply(y, x, gamma, beta, d.data(runningMean), d.data(runningVar), rows)
}

// apply queues y = f(gamma (x-mean)/sqrt(variance+epsilon) + beta).
func (p *batchNorm) apply(y, x, gamma, beta *device.Tensor, mean, variance cu.DevicePtr, rows int) {
	d, l := p.d, p.share(rows)
	a := d.arguments().Pointer(d.data(y)).Pointer(d.data(x)).Pointer(d.data(gamma)).Pointer(d.data(beta)).
		Pointer(mean).Pointer(variance)
	p.columns(a, l, rows)
	d.launch(p.normalize, l.Grid)
}

// share returns how blocks share the rows.
func (p *batchNorm) share(rows int) kernels.ColumnsLaunch {
	return kernels.BatchNorm(rows, p.spec.C, storage(p.spec.DType))
}

// columns adds epsilon and how the rows are shared out.
func (p *batchNorm) columns(a *cuda.Args, l kernels.ColumnsLaunch, rows int) {
	a.Float32(p.spec.Epsilon).Int32(int32(rows)).Int32(int32(p.spec.C)).Int32(int32(l.RowsPerBlock)).Int32(flag(l.Vector))
}

// checkForward panics unless the operands fit, and returns the number of rows.
func (p *batchNorm) checkForward(op string, y, x, gamma, beta, runningMean, runningVar *device.Tensor) int {
	c := p.spec.C
	rows := p.checkChannels(op, "x", x)
	device.CheckLen(op, "y", y, p.spec.DType, rows*c)
	p.checkVectors(op, gamma, beta, runningMean, runningVar)
	return rows
}

// checkVectors panics unless the parameters and the running statistics fit.
func (p *batchNorm) checkVectors(op string, gamma, beta, runningMean, runningVar *device.Tensor) {
	c := p.spec.C
	device.Check(op, "gamma", gamma, device.Float32, c)
	device.Check(op, "beta", beta, device.Float32, c)
	device.Check(op, "runningMean", runningMean, device.Float32, c)
	device.Check(op, "runningVar", runningVar, device.Float32, c)
}

// checkChannels panics unless t is of the spec's type, [..., c] with at most the spec's rows, and
// returns how many it has.
func (p *batchNorm) checkChannels(op, operand string, t *device.Tensor) int {
	c := p.spec.C
	n := device.CheckUpTo(op, operand, t, p.spec.DType, p.spec.Rows*c)
	if shape := t.Shape(); shape[len(shape)-1] != c {
		panic(fmt.Sprintf("%s: %s is %v, want %d as the last dimension", op, operand, t, c))
	}
	return n / c
}

func (p *batchNorm) Backward(dx, dgamma, dbeta, dy, x, gamma, beta *device.Tensor) {
	const op = "batchnorm backward"
	rows := p.checkBackward(op, dx, dgamma, dbeta, dy, x, gamma, beta)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	l := p.sumsOf(dgamma, dbeta, dy, x, gamma, beta, rows)
	p.columns(p.gradientArguments(dx, dy, x, gamma, beta), l, rows)
	d.launch(p.backward, l.Grid)
}

// sumsOf queues the gradients of the parameters.
func (p *batchNorm) sumsOf(dgamma, dbeta, dy, x, gamma, beta *device.Tensor, rows int) kernels.ColumnsLaunch {
	d, l := p.d, p.share(rows)
	p.columns(p.normArguments(p.sumArguments(dgamma, dbeta).Pointer(d.data(dy)), x, gamma, beta), l, rows)
	d.launch(p.sums, l.Grid)
	return l
}

// sumArguments returns the arguments with which kernels of the gradients' sums begin.
func (p *batchNorm) sumArguments(dgamma, dbeta *device.Tensor) *cuda.Args {
	d := p.d
	d.hold(p.kept)
	return d.arguments().Pointer(p.total).Pointer(d.optional(dgamma)).Pointer(d.optional(dbeta)).
		Pointer(d.scratch() + p.partial).Pointer(p.arrived)
}

// gradientArguments returns the arguments with which kernels of dx begin.
func (p *batchNorm) gradientArguments(dx, dy, x, gamma, beta *device.Tensor) *cuda.Args {
	d := p.d
	return p.normArguments(d.arguments().Pointer(d.data(dx)).Pointer(d.data(dy)), x, gamma, beta).Pointer(p.total)
}

// normArguments adds x, the parameters and the batch's statistics.
func (p *batchNorm) normArguments(a *cuda.Args, x, gamma, beta *device.Tensor) *cuda.Args {
	d := p.d
	return a.Pointer(d.data(x)).Pointer(d.data(gamma)).Pointer(d.data(beta)).Pointer(p.mean).Pointer(p.variance)
}

// checkBackward panics unless the operands fit, and returns the number of rows.
func (p *batchNorm) checkBackward(op string, dx, dgamma, dbeta, dy, x, gamma, beta *device.Tensor) int {
	rows := p.checkParameters(op, dgamma, dbeta, x, gamma, beta)
	device.CheckLen(op, "dx", dx, p.spec.DType, rows*p.spec.C)
	device.CheckLen(op, "dy", dy, p.spec.DType, rows*p.spec.C)
	return rows
}

// checkParameters panics unless x fits the last Forward and the others x, and returns the number of rows.
func (p *batchNorm) checkParameters(op string, dgamma, dbeta, x, gamma, beta *device.Tensor) int {
	if p.spec.NoBackward {
		panic(op + ": the plan was made with NoBackward")
	}
	c := p.spec.C
	rows := p.checkChannels(op, "x", x)
	device.Check(op, "gamma", gamma, device.Float32, c)
	device.Check(op, "beta", beta, device.Float32, c)
	if dgamma != nil {
		device.Check(op, "dgamma", dgamma, device.Float32, c)
	}
	if dbeta != nil {
		device.Check(op, "dbeta", dbeta, device.Float32, c)
	}
	if rows != p.forwardRows {
		panic(fmt.Sprintf("%s: x is %v, the last Forward had %d rows", op, x, p.forwardRows))
	}
	return rows
}
