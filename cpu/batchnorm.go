package cpu

import (
	"fmt"
	"math"

	"trainer/cpu/internal/vector"
	"trainer/nn/device"
)

// batchNorm is the plan of batch normalisation of x [rows, c] over its rows (Ioffe and
// Szegedy, "Batch Normalization", 2015). The fused form applies an activation f afterwards.
// For each channel, with m the number of rows:
//
//	mean = 1/m sum x      var = 1/m sum (x-mean)^2      xhat = (x-mean) / sqrt(var+epsilon)
//	y = f(z)              z = gamma*xhat + beta = scale*x + shift
//
// The backward pass, with dz = dy f'(z):
//
//	dbeta = sum dz        dgamma = sum dz*xhat
//	dx = gamma/sqrt(var+epsilon) (dz - dbeta/m - xhat*dgamma/m) = a*dz + b*x + e
//
// Sums are taken in float64 in one pass, as sum x and sum x^2: products of two float32 are
// exact there, and var = sum x^2/m - mean^2 loses 2 log2(mean/std) of 53 bits, while the
// float32 data themselves have lost log2(mean/std) of their 24 bits because the data are far
// from 0. (Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance", 1983,
// compare this with two-pass formulas, which sums in float32 would need.)
type batchNorm struct {
	d    *Device
	spec device.BatchNormSpec
	columns
	act  vector.Activation // Forward is nil without an activation
	relu bool              // the activation is ReLU: ReLU has its own loops

	partial      []float64 // [tasks, 2, width], two sums per task
	total        []float64 // [2, c]
	mean, invStd []float64 // [c], of the last Forward
	forwardRows  int       // of the last Forward
	// z = scale*x + shift, [width], of the last Forward and of the last Inference.
	scale, shift                   []float32
	inferenceScale, inferenceShift []float32
	a, b, e                        []float32   // dx = a*dz + b*x + e, [width]
	scratch                        [][]float32 // one per worker: z of a chunk

	// Operands of the current call.
	rows                  int
	y, x, dx, dy          []float32
	gamma, beta           []float32
	runningMean           []float32
	runningVar            []float32
	dgamma, dbeta         []float32
	applyScale, applyBias []float32
}

// NewBatchNorm returns a plan for batch normalisation.
func (d *Device) NewBatchNorm(s device.BatchNormSpec) (_ device.BatchNorm, err error) {
	defer returnShortage(&err)
	if err := d.float32Only("batchnorm", s.DType); err != nil {
		return nil, err
	}
	return d.newBatchNorm(s), nil
}

// fusesWithBatchNorm reports whether batch normalisation applies an activation in the same pass: it does so for those that
// built-in recipes use after it.
func fusesWithBatchNorm(f *device.Function) bool { return f.Name == "relu" || f.Name == "gelu" }

// NewBatchNormActivation returns a plan for batch normalisation followed by an activation.
func (d *Device) NewBatchNormActivation(s device.BatchNormSpec, f *device.Function) (_ device.BatchNorm, err error) {
	defer returnShortage(&err)
	if err := d.float32Only("batchnorm", s.DType); err != nil {
		return nil, err
	}
	if !fusesWithBatchNorm(f) {
		return nil, &device.Error{Device: d.Name(), Op: "batchnorm with " + f.Name, Err: device.ErrNotSupported}
	}
	p := d.newBatchNorm(s)
	p.act, p.relu = d.vector.Activations[f.Name], f.Name == "relu"
	if !p.relu && !s.NoBackward {
		p.scratch = make([][]float32, d.pool.Workers())
		for i := range p.scratch {
			p.scratch[i] = make([]float32, p.rowsPerChunk*p.c)
		}
	}
	return p, nil
}

func (d *Device) newBatchNorm(s device.BatchNormSpec) *batchNorm {
	if s.Rows < 1 || s.C < 1 || !(s.Epsilon >= 0) {
		panic(fmt.Sprintf("cpu: NewBatchNorm: [%d %d], epsilon %v", s.Rows, s.C, s.Epsilon))
	}
	p := &batchNorm{d: d, spec: s, columns: newColumns(s.C)}
	p.partial = zeroed[float64](p.sums(s.Rows) * 2 * p.width)
	p.total = make([]float64, 2*s.C)
	p.mean, p.invStd = make([]float64, s.C), make([]float64, s.C)
	for _, f := range []*[]float32{&p.scale, &p.shift, &p.inferenceScale, &p.inferenceShift, &p.a, &p.b, &p.e} {
		*f = aligned[float32](p.width)
	}
	return p
}

func (p *batchNorm) Forward(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	p.takeForward("cpu: batchnorm forward", y, x, gamma, beta, runningMean, runningVar)
	p.forwardRows = p.rows
	p.d.pool.Run(p.sums(p.rows), (*batchMoments)(p))
	p.d.pool.Run(p.merges(), (*batchStatistics)(p))
	p.applyScale, p.applyBias = p.scale, p.shift
	p.d.pool.Run(p.chunks(p.rows), (*batchNormalize)(p))
}

func (p *batchNorm) Inference(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	p.takeForward("cpu: batchnorm inference", y, x, gamma, beta, runningMean, runningVar)
	for j, v := range p.runningVar {
		invStd := 1 / math.Sqrt(float64(v)+float64(p.spec.Epsilon))
		p.setAffine(p.inferenceScale, p.inferenceShift, j, float64(p.runningMean[j]), invStd)
	}
	p.applyScale, p.applyBias = p.inferenceScale, p.inferenceShift
	p.d.pool.Run(p.chunks(p.rows), (*batchNormalize)(p))
}

func (p *batchNorm) takeForward(op string, y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	p.rows = p.checkChannels(op, "x", x)
	device.CheckLen(op, "y", y, device.Float32, p.rows*p.c)
	device.Check(op, "gamma", gamma, device.Float32, p.c)
	device.Check(op, "beta", beta, device.Float32, p.c)
	device.Check(op, "runningMean", runningMean, device.Float32, p.c)
	device.Check(op, "runningVar", runningVar, device.Float32, p.c)
	p.y, p.x, p.gamma, p.beta = floats(y), floats(x), floats(gamma), floats(beta)
	p.runningMean, p.runningVar = floats(runningMean), floats(runningVar)
}

// checkChannels panics unless t is float32 [..., c] with at most as many rows as the spec
// has, and returns the number of rows.
func (p *batchNorm) checkChannels(op, operand string, t *device.Tensor) int {
	n := device.CheckUpTo(op, operand, t, device.Float32, p.spec.Rows*p.c)
	if shape := t.Shape(); shape[len(shape)-1] != p.c {
		panic(fmt.Sprintf("%s: %s is %v, want %d as the last dimension", op, operand, t, p.c))
	}
	return n / p.c
}

func (p *batchNorm) Backward(dx, dgamma, dbeta, dy, x, gamma, beta *device.Tensor) {
	const op = "cpu: batchnorm backward"
	if p.spec.NoBackward {
		panic(op + ": the plan was made with NoBackward")
	}
	rows := p.checkChannels(op, "x", x)
	device.CheckLen(op, "dx", dx, device.Float32, rows*p.c)
	device.CheckLen(op, "dy", dy, device.Float32, rows*p.c)
	device.Check(op, "gamma", gamma, device.Float32, p.c)
	device.Check(op, "beta", beta, device.Float32, p.c)
	if dgamma != nil {
		device.Check(op, "dgamma", dgamma, device.Float32, p.c)
	}
	if dbeta != nil {
		device.Check(op, "dbeta", dbeta, device.Float32, p.c)
	}
	if rows != p.forwardRows {
		panic(fmt.Sprintf("%s: x is %v, the last Forward had %d rows", op, x, p.forwardRows))
	}
	p.rows = rows
	p.dx, p.dy, p.x, p.gamma = floats(dx), floats(dy), floats(x), floats(gamma)
	p.dgamma, p.dbeta = optionalFloats(dgamma), optionalFloats(dbeta)
	p.d.pool.Run(p.sums(rows), (*batchGradientSums)(p))
	p.d.pool.Run(p.merges(), (*batchCoefficients)(p))
	p.d.pool.Run(p.chunks(rows), (*batchGradient)(p))
}

// setAffine sets channel j of z = scale*x + shift.
func (p *batchNorm) setAffine(scale, shift []float32, j int, mean, invStd float64) {
	s := float64(p.gamma[j]) * invStd
	p.repeat(scale, j, float32(s))
	p.repeat(shift, j, float32(float64(p.beta[j])-mean*s))
}

// sumsOf returns the two partial sums of task i, each of width elements, set to 0.
func (p *batchNorm) sumsOf(i int) (first, second []float64) {
	s := p.partial[i*2*p.width:][:2*p.width]
	clear(s)
	return s[:p.width], s[p.width:]
}

// mergeSums adds the partial sums of channels [from, to).
func (p *batchNorm) mergeSums(from, to int) (first, second []float64) {
	first, second = p.total[:p.c], p.total[p.c:]
	count := p.sums(p.rows)
	p.merge(first, p.partial, from, to, 2*p.width, count)
	p.merge(second, p.partial[p.width:], from, to, 2*p.width, count)
	return first, second
}

// batchMoments is the loop over groups of rows for sum x and sum x^2.
type batchMoments batchNorm

func (t *batchMoments) Do(i, _ int) {
	p := (*batchNorm)(t)
	sum, sumSq := p.sumsOf(i)
	from, to := p.sumSpan(i, p.rows)
	p.d.vector.AddMoments(sum, sumSq, p.x[from:to])
}

// batchStatistics is the loop over groups of channels that computes mean, variance and the
// running statistics.
type batchStatistics batchNorm

func (t *batchStatistics) Do(i, _ int) {
	p := (*batchNorm)(t)
	from, to := i*columnsPerMerge, min((i+1)*columnsPerMerge, p.c)
	sum, sumSq := p.mergeSums(from, to)
	m, momentum := float64(p.rows), float64(p.spec.Momentum)
	unbiased := m / max(m-1, 1)
	for j := from; j < to; j++ {
		mean := sum[j] / m
		variance := max(sumSq[j]/m-mean*mean, 0)
		p.mean[j], p.invStd[j] = mean, 1/math.Sqrt(variance+float64(p.spec.Epsilon))
		p.setAffine(p.scale, p.shift, j, mean, p.invStd[j])
		p.runningMean[j] = float32((1-momentum)*float64(p.runningMean[j]) + momentum*mean)
		p.runningVar[j] = float32((1-momentum)*float64(p.runningVar[j]) + momentum*variance*unbiased)
	}
}

// batchNormalize is the loop over groups of rows for y = f(scale*x + shift).
type batchNormalize batchNorm

func (p *batchNormalize) Do(i, _ int) {
	from, to := p.chunkSpan(i, p.rows)
	y, x := p.y[from:to], p.x[from:to]
	if p.relu {
		p.d.vector.AffineReLU(y, x, p.applyScale, p.applyBias)
		return
	}
	p.d.vector.Affine(y, x, p.applyScale, p.applyBias)
	if p.act.Forward != nil {
		p.act.Forward(y, y, 0)
	}
}

// batchGradientSums is the loop over groups of rows for sum dz and sum dz*x. If f is an
// activation other than ReLU, it also stores dz in dx; ReLU is cheap enough to compute
// again.
type batchGradientSums batchNorm

func (t *batchGradientSums) Do(i, worker int) {
	p := (*batchNorm)(t)
	sum, sumX := p.sumsOf(i)
	from, to := p.sumSpan(i, p.rows)
	switch {
	case p.relu:
		p.d.vector.AddProductsReLU(sum, sumX, p.dy[from:to], p.x[from:to], p.scale, p.shift)
		return
	case p.act.Backward == nil:
		p.d.vector.AddProducts(sum, sumX, p.dy[from:to], p.x[from:to])
		return
	}
	for step := p.rowsPerChunk * p.c; from < to; from += step {
		end := min(from+step, to)
		x, dz, z := p.x[from:end], p.dx[from:end], p.scratch[worker][:end-from]
		p.d.vector.Affine(z, x, p.scale, p.shift)
		p.act.Backward(dz, p.dy[from:end], z, 0)
		p.d.vector.AddProducts(sum, sumX, dz, x)
	}
}

// batchCoefficients is the loop over groups of channels that computes dgamma, dbeta and the
// coefficients of dx = a*dz + b*x + e:
//
//	a = gamma*invStd      b = -a*invStd*dgamma/m      e = -a*dbeta/m - b*mean
type batchCoefficients batchNorm

func (t *batchCoefficients) Do(i, _ int) {
	p := (*batchNorm)(t)
	from, to := i*columnsPerMerge, min((i+1)*columnsPerMerge, p.c)
	sum, sumX := p.mergeSums(from, to)
	m := float64(p.rows)
	for j := from; j < to; j++ {
		dbeta, dgamma := sum[j], p.invStd[j]*(sumX[j]-p.mean[j]*sum[j])
		a := float64(p.gamma[j]) * p.invStd[j]
		b := -a * p.invStd[j] * dgamma / m
		p.repeat(p.a, j, float32(a))
		p.repeat(p.b, j, float32(b))
		p.repeat(p.e, j, float32(-a*dbeta/m-b*p.mean[j]))
		if p.dgamma != nil {
			p.dgamma[j] = float32(dgamma)
		}
		if p.dbeta != nil {
			p.dbeta[j] = float32(dbeta)
		}
	}
}

// batchGradient is the loop over groups of rows for dx.
type batchGradient batchNorm

func (p *batchGradient) Do(i, _ int) {
	from, to := p.chunkSpan(i, p.rows)
	dx, dz, x := p.dx[from:to], p.dy[from:to], p.x[from:to]
	switch {
	case p.relu:
		p.d.vector.CombineAffineReLU(dx, dz, x, p.a, p.b, p.e, p.scale, p.shift)
		return
	case p.act.Backward != nil:
		dz = dx
	}
	p.d.vector.CombineAffine(dx, dz, x, p.a, p.b, p.e)
}
