package reference

import (
	"math"

	"trainer/nn/device"
)

// BatchNorm is batch normalisation of [rows, c] values in float64.
type BatchNorm struct {
	Rows, C           int
	Epsilon, Momentum float64
}

// moments returns the mean and the biased variance of each of n groups of m = len(x)/n elements; of returns the group of
// element i:
//
//	mean = 1/m sum x      var = 1/m sum (x-mean)^2
//
// The variance's magnitude includes an error of the mean in every square.
func moments(x []float64, n int, of func(i int) int) (mean, variance Sums) {
	m := len(x) / n
	mean, variance = NewSums(n, SumUlps(m)), NewSums(n, SumUlps(m))
	for i, v := range x {
		mean.Add(of(i), v/float64(m))
	}
	for i, v := range x {
		g := of(i)
		d := v - mean.Value[g]
		variance.Value[g] += d * d / float64(m)
		variance.Magnitude[g] += (d*d + 2*math.Abs(d)*Ulp*mean.Magnitude[g]) / float64(m)
	}
	for g := range variance.Value {
		variance.Magnitude[g] += mean.Magnitude[g] * mean.Magnitude[g] * Ulp * mean.Ulps
	}
	return mean, variance
}

// moments returns the mean and the biased variance of each channel.
func (b BatchNorm) moments(x []float64) (mean, variance Sums) {
	return moments(x, b.C, func(i int) int { return i % b.C })
}

// Running returns (1-momentum)*old + momentum*new for the two running statistics,
// with the new variance divided by max(rows-1, 1) instead of rows.
func (b BatchNorm) Running(x, oldMean, oldVar []float64) (mean, variance Sums) {
	newMean, newVar := b.moments(x)
	unbiased := float64(b.Rows) / max(float64(b.Rows-1), 1)
	mean, variance = NewSums(b.C, SumUlps(b.Rows)), NewSums(b.C, SumUlps(b.Rows))
	for j := 0; j < b.C; j++ {
		mean.Value[j] = (1-b.Momentum)*oldMean[j] + b.Momentum*newMean.Value[j]
		mean.Magnitude[j] = math.Abs(oldMean[j]) + b.Momentum*newMean.Magnitude[j]
		variance.Value[j] = (1-b.Momentum)*oldVar[j] + b.Momentum*newVar.Value[j]*unbiased
		variance.Magnitude[j] = math.Abs(oldVar[j]) + b.Momentum*newVar.Magnitude[j]*unbiased
	}
	return mean, variance
}

// normalize returns y = gamma*(x-mean)/sqrt(var+epsilon) + beta.
func (b BatchNorm) normalize(x, gamma, beta []float64, mean, variance Sums) Sums {
	y := NewSums(len(x), mean.Ulps+ElementwiseUlps)
	for i, v := range x {
		j := i % b.C
		scale := gamma[j] / math.Sqrt(variance.Value[j]+b.Epsilon)
		centred := v - mean.Value[j]
		y.Set(i, scale*centred+beta[j],
			math.Abs(scale)*(math.Abs(v)+mean.Magnitude[j])+spread(variance, j, b.Epsilon)*math.Abs(scale*centred)+math.Abs(beta[j]))
	}
	return y
}

// spread is the relative error of 1/sqrt(var+epsilon) of a group due to an error of the variance: half of the ratio of the
// variance's magnitude to var+epsilon, plus one rounding.
func spread(variance Sums, group int, epsilon float64) float64 {
	return 1 + variance.Magnitude[group]/(variance.Value[group]+epsilon)/2
}

// Forward returns y, normalised with the statistics of x.
func (b BatchNorm) Forward(x, gamma, beta []float64) Sums {
	mean, variance := b.moments(x)
	return b.normalize(x, gamma, beta, mean, variance)
}

// Inference returns y, normalised with the running statistics.
func (b BatchNorm) Inference(x, gamma, beta, runningMean, runningVar []float64) Sums {
	mean, variance := NewSums(b.C, ElementwiseUlps), NewSums(b.C, ElementwiseUlps)
	for j := 0; j < b.C; j++ {
		mean.Add(j, runningMean[j])
		variance.Add(j, runningVar[j])
	}
	return b.normalize(x, gamma, beta, mean, variance)
}

// Backward returns the gradients: with Sums over the rows of one channel,
//
//	dbeta = sum dy      dgamma = sum dy*xhat
//	dx = gamma/sqrt(var+epsilon) * (dy - dbeta/rows - xhat*dgamma/rows)
func (b BatchNorm) Backward(dy, x, gamma []float64) (dx, dgamma, dbeta Sums) {
	mean, variance := b.moments(x)
	rows := float64(b.Rows)
	dgamma, dbeta = NewSums(b.C, 2*SumUlps(b.Rows)), NewSums(b.C, SumUlps(b.Rows))
	xhat := NewSums(len(x), 0)
	for i, v := range x {
		j := i % b.C
		scale := 1 / math.Sqrt(variance.Value[j]+b.Epsilon)
		centred := v - mean.Value[j]
		xhat.Set(i, scale*centred, scale*(math.Abs(v)+mean.Magnitude[j])+spread(variance, j, b.Epsilon)*math.Abs(scale*centred))
		dbeta.Add(j, dy[i])
		dgamma.Value[j] += dy[i] * xhat.Value[i]
		dgamma.Magnitude[j] += math.Abs(dy[i]) * xhat.Magnitude[i]
	}
	dx = NewSums(len(x), 2*SumUlps(b.Rows))
	for i := range x {
		j := i % b.C
		scale := gamma[j] / math.Sqrt(variance.Value[j]+b.Epsilon)
		dx.Set(i,
			scale*(dy[i]-dbeta.Value[j]/rows-xhat.Value[i]*dgamma.Value[j]/rows),
			math.Abs(scale)*spread(variance, j, b.Epsilon)*(math.Abs(dy[i])+dbeta.Magnitude[j]/rows+
				(math.Abs(xhat.Value[i])*dgamma.Magnitude[j]+xhat.Magnitude[i]*math.Abs(dgamma.Value[j]))/rows))
	}
	return dx, dgamma, dbeta
}

type batchNorm struct {
	*Operations
	s device.BatchNormSpec
}

// NewBatchNorm makes a plan of a batch normalisation.
func (o *Operations) NewBatchNorm(s device.BatchNormSpec) (device.BatchNorm, error) {
	require("batchnorm", s.Rows > 0 && s.C > 0, "%+v", s)
	return made[device.BatchNorm](o, "batchnorm", batchNorm{o, s}, o.accepts(s.DType))
}

// formula checks the operands and returns the formula for their number of rows.
func (p batchNorm) formula(op string, x, y *device.Tensor, yName string, vectors map[string]*device.Tensor) BatchNorm {
	c, dtype := p.s.C, p.s.DType.OrFloat32()
	n := device.CheckUpTo(op, "x", x, dtype, p.s.Rows*c)
	require(op, x.Dim(len(x.Shape())-1) == c, "x is %v, want %d channels", x, c)
	device.CheckLen(op, yName, y, dtype, n)
	for name, v := range vectors {
		device.Check(op, name, v, device.Float32, c)
	}
	return BatchNorm{Rows: n / c, C: c, Epsilon: float64(p.s.Epsilon), Momentum: float64(p.s.Momentum)}
}

func (p batchNorm) Forward(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	const op = "batchnorm forward"
	f := p.formula(op, x, y, "y", map[string]*device.Tensor{"gamma": gamma, "beta": beta, "runningMean": runningMean, "runningVar": runningVar})
	if !p.begin(op) {
		return
	}
	mean, variance := f.Running(p.load(x), p.load(runningMean), p.load(runningVar))
	p.store(op, y, f.Forward(p.load(x), p.load(gamma), p.load(beta)).Value)
	p.store(op+" statistics", runningMean, mean.Value)
	p.store(op+" statistics", runningVar, variance.Value)
}

func (p batchNorm) Inference(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	const op = "batchnorm inference"
	f := p.formula(op, x, y, "y", map[string]*device.Tensor{"gamma": gamma, "beta": beta, "runningMean": runningMean, "runningVar": runningVar})
	if p.begin(op) {
		p.store(op, y, f.Inference(p.load(x), p.load(gamma), p.load(beta), p.load(runningMean), p.load(runningVar)).Value)
	}
}

func (p batchNorm) Backward(dx, dgamma, dbeta, dy, x, gamma, beta *device.Tensor) {
	const op = "batchnorm backward"
	f := p.formula(op, x, dx, "dx", map[string]*device.Tensor{"gamma": gamma, "beta": beta})
	device.CheckLen(op, "dy", dy, p.s.DType.OrFloat32(), x.Len())
	for name, gradient := range map[string]*device.Tensor{"dgamma": dgamma, "dbeta": dbeta} {
		if gradient != nil {
			device.Check(op, name, gradient, device.Float32, p.s.C)
		}
	}
	require(op, !p.s.NoBackward, "the plan was made with NoBackward")
	if !p.begin(op) {
		return
	}
	wantX, wantGamma, wantBeta := f.Backward(p.load(dy), p.load(x), p.load(gamma))
	p.store(op, dx, wantX.Value)
	p.store(op, dgamma, wantGamma.Value)
	p.store(op, dbeta, wantBeta.Value)
}
