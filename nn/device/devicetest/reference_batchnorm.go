package devicetest

import "math"

// batchNorm is batch normalisation of [rows, c] values in float64.
type batchNorm struct {
	rows, c           int
	epsilon, momentum float64
}

// moments returns for each channel the mean and the biased variance over the rows,
//
//	mean = 1/rows sum x      var = 1/rows sum (x-mean)^2
//
// The variance's magnitude counts an error of the mean in every square.
func (b batchNorm) moments(x []float64) (mean, variance sums) {
	mean, variance = newSums(b.c, sumUlps(b.rows)), newSums(b.c, sumUlps(b.rows))
	for i, v := range x {
		mean.add(i%b.c, v/float64(b.rows))
	}
	for i, v := range x {
		d := v - mean.value[i%b.c]
		variance.value[i%b.c] += d * d / float64(b.rows)
		variance.magnitude[i%b.c] += (d*d + 2*math.Abs(d)*ulp*mean.magnitude[i%b.c]) / float64(b.rows)
	}
	for j := range variance.value {
		variance.magnitude[j] += mean.magnitude[j] * mean.magnitude[j] * ulp * mean.ulps
	}
	return mean, variance
}

// running returns (1-momentum)*old + momentum*new for the two running statistics,
// with the new variance divided by max(rows-1, 1) instead of rows.
func (b batchNorm) running(x, oldMean, oldVar []float64) (mean, variance sums) {
	newMean, newVar := b.moments(x)
	unbiased := float64(b.rows) / max(float64(b.rows-1), 1)
	mean, variance = newSums(b.c, sumUlps(b.rows)), newSums(b.c, sumUlps(b.rows))
	for j := 0; j < b.c; j++ {
		mean.value[j] = (1-b.momentum)*oldMean[j] + b.momentum*newMean.value[j]
		mean.magnitude[j] = math.Abs(oldMean[j]) + b.momentum*newMean.magnitude[j]
		variance.value[j] = (1-b.momentum)*oldVar[j] + b.momentum*newVar.value[j]*unbiased
		variance.magnitude[j] = math.Abs(oldVar[j]) + b.momentum*newVar.magnitude[j]*unbiased
	}
	return mean, variance
}

// normalize returns y = gamma*(x-mean)/sqrt(var+epsilon) + beta.
func (b batchNorm) normalize(x, gamma, beta []float64, mean, variance sums) sums {
	y := newSums(len(x), mean.ulps+elementwiseUlps)
	for i, v := range x {
		j := i % b.c
		scale := gamma[j] / math.Sqrt(variance.value[j]+b.epsilon)
		centred := v - mean.value[j]
		y.set(i, scale*centred+beta[j],
			math.Abs(scale)*(math.Abs(v)+mean.magnitude[j])+b.spread(variance, j)*math.Abs(scale*centred)+math.Abs(beta[j]))
	}
	return y
}

// spread is the relative error of 1/sqrt(var+epsilon) for one of the variance: half
// of what the variance's magnitude is to var+epsilon, and one more rounding.
func (b batchNorm) spread(variance sums, j int) float64 {
	return 1 + variance.magnitude[j]/(variance.value[j]+b.epsilon)/2
}

// forward returns y, normalised by the statistics of x.
func (b batchNorm) forward(x, gamma, beta []float64) sums {
	mean, variance := b.moments(x)
	return b.normalize(x, gamma, beta, mean, variance)
}

// inference returns y, normalised by the running statistics.
func (b batchNorm) inference(x, gamma, beta, runningMean, runningVar []float64) sums {
	mean, variance := newSums(b.c, elementwiseUlps), newSums(b.c, elementwiseUlps)
	for j := 0; j < b.c; j++ {
		mean.add(j, runningMean[j])
		variance.add(j, runningVar[j])
	}
	return b.normalize(x, gamma, beta, mean, variance)
}

// backward returns the gradients: with sums over the rows of one channel,
//
//	dbeta = sum dy      dgamma = sum dy*xhat
//	dx = gamma/sqrt(var+epsilon) * (dy - dbeta/rows - xhat*dgamma/rows)
func (b batchNorm) backward(dy, x, gamma []float64) (dx, dgamma, dbeta sums) {
	mean, variance := b.moments(x)
	rows := float64(b.rows)
	dgamma, dbeta = newSums(b.c, 2*sumUlps(b.rows)), newSums(b.c, sumUlps(b.rows))
	xhat := newSums(len(x), 0)
	for i, v := range x {
		j := i % b.c
		scale := 1 / math.Sqrt(variance.value[j]+b.epsilon)
		centred := v - mean.value[j]
		xhat.set(i, scale*centred, scale*(math.Abs(v)+mean.magnitude[j])+b.spread(variance, j)*math.Abs(scale*centred))
		dbeta.add(j, dy[i])
		dgamma.value[j] += dy[i] * xhat.value[i]
		dgamma.magnitude[j] += math.Abs(dy[i]) * xhat.magnitude[i]
	}
	dx = newSums(len(x), 2*sumUlps(b.rows))
	for i := range x {
		j := i % b.c
		scale := gamma[j] / math.Sqrt(variance.value[j]+b.epsilon)
		dx.set(i,
			scale*(dy[i]-dbeta.value[j]/rows-xhat.value[i]*dgamma.value[j]/rows),
			math.Abs(scale)*b.spread(variance, j)*(math.Abs(dy[i])+dbeta.magnitude[j]/rows+
				(math.Abs(xhat.value[i])*dgamma.magnitude[j]+xhat.magnitude[i]*math.Abs(dgamma.value[j]))/rows))
	}
	return dx, dgamma, dbeta
}
