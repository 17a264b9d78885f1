package kernels_test

import (
	"math"
	"testing"

	"trainer/kernels"
	"trainer/nn/device"
	"trainer/nn/device/devicetest"
	"trainer/nn/device/reference"
)

// batchNorm is batch normalisation of [rows, c] values in float64, with the bounds of nn/device/devicetest:
// errors of the mean and of the variance affect everything computed from them.
type batchNorm struct {
	rows, c           int
	epsilon, momentum float64
}

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

// running returns (1-momentum)*old + momentum*new, with the unbiased variance.
func (b batchNorm) running(newMean, newVar sums, oldMean, oldVar []float64) (mean, variance sums) {
	unbiased := float64(b.rows) / max(float64(b.rows-1), 1)
	mean, variance = newSums(b.c, newMean.ulps), newSums(b.c, newVar.ulps)
	for j := range b.c {
		mean.set(j, (1-b.momentum)*oldMean[j]+b.momentum*newMean.value[j], math.Abs(oldMean[j])+b.momentum*newMean.magnitude[j])
		variance.set(j, (1-b.momentum)*oldVar[j]+b.momentum*newVar.value[j]*unbiased, math.Abs(oldVar[j])+b.momentum*newVar.magnitude[j]*unbiased)
	}
	return mean, variance
}

// spread returns the relative error of 1/sqrt(var+epsilon) that a relative error of the variance causes.
func (b batchNorm) spread(variance sums, j int) float64 {
	return 1 + variance.magnitude[j]/(variance.value[j]+b.epsilon)/2
}

func (b batchNorm) normalize(x, gamma, beta []float64, mean, variance sums) sums {
	z := newSums(len(x), mean.ulps+elementwiseUlps)
	for i, v := range x {
		j := i % b.c
		scale, centred := gamma[j]/math.Sqrt(variance.value[j]+b.epsilon), v-mean.value[j]
		z.set(i, scale*centred+beta[j],
			math.Abs(scale)*(math.Abs(v)+mean.magnitude[j])+b.spread(variance, j)*math.Abs(scale*centred)+math.Abs(beta[j]))
	}
	return z
}

func (b batchNorm) backward(dz, x, gamma []float64) (dx, dgamma, dbeta sums) {
	mean, variance := b.moments(x)
	rows := float64(b.rows)
	dgamma, dbeta, dx = newSums(b.c, 2*sumUlps(b.rows)), newSums(b.c, sumUlps(b.rows)), newSums(len(x), 2*sumUlps(b.rows))
	xhat := newSums(len(x), 0)
	for i, v := range x {
		j := i % b.c
		scale, centred := 1/math.Sqrt(variance.value[j]+b.epsilon), v-mean.value[j]
		xhat.set(i, scale*centred, scale*(math.Abs(v)+mean.magnitude[j])+b.spread(variance, j)*math.Abs(scale*centred))
		dbeta.add(j, dz[i])
		dgamma.value[j] += dz[i] * xhat.value[i]
		dgamma.magnitude[j] += math.Abs(dz[i]) * xhat.magnitude[i]
	}
	for i := range x {
		j := i % b.c
		scale := gamma[j] / math.Sqrt(variance.value[j]+b.epsilon)
		dx.set(i, scale*(dz[i]-dbeta.value[j]/rows-xhat.value[i]*dgamma.value[j]/rows),
			math.Abs(scale)*b.spread(variance, j)*(math.Abs(dz[i])+dbeta.magnitude[j]/rows+
				(math.Abs(xhat.value[i])*dgamma.magnitude[j]+xhat.magnitude[i]*math.Abs(dgamma.value[j]))/rows))
	}
	return dx, dgamma, dbeta
}

// through returns f(z): the error of z is multiplied by the slope.
func through(s device.ActivationSpec, z sums) sums {
	if s.Function == nil {
		return z
	}
	y := refActivation(s, z.value)
	y.ulps = max(y.ulps, z.ulps)
	slope, _ := devicetest.LargestSlopes(s)
	for i := range y.magnitude {
		y.magnitude[i] += slope * z.magnitude[i]
	}
	return y
}

// batchNormCase is the data and the launch of one case.
type batchNormCase struct {
	batchNorm
	offset          float64 // added to x, to move it far from zero
	rowsPerBlock    int     // 0: as Columns says
	scalar          bool    // use scalar loads, although four channels could be loaded together
	x, dy           []float64
	gamma, beta     []float64
	oldMean, oldVar []float64
}

func (c batchNormCase) fill(s kernels.Storage, f *device.Function) batchNormCase {
	src := newSource(name("batchnorm", c.rows, c.c, f))
	c.epsilon, c.momentum = 1e-5, 0.25
	n := c.rows * c.c
	c.x = src.between(n, c.offset-2, c.offset+2, s)
	c.dy = src.values(n, s)
	c.gamma, c.beta = src.between(c.c, 0.5, 2, kernels.Float32), src.values(c.c, kernels.Float32)
	c.oldMean, c.oldVar = src.values(c.c, kernels.Float32), src.between(c.c, 0.5, 2, kernels.Float32)
	if f != nil {
		c.avoidKink()
	}
	return c
}

// avoidKink changes beta until no z is so close to 0 that rounding could change the slope of ReLU.
func (c batchNormCase) avoidKink() {
	const margin = 2e-5
	for again := true; again; {
		again = false
		mean, variance := c.moments(c.x)
		for i, z := range c.normalize(c.x, c.gamma, c.beta, mean, variance).value {
			if math.Abs(z) < margin {
				c.beta[i%c.c] = formatOf(kernels.Float32).round(c.beta[i%c.c] + 4*margin)
				again = true
			}
		}
	}
}

func TestBatchNorm(t *testing.T) {
	cases := []batchNormCase{
		{batchNorm: batchNorm{rows: 1, c: 1}},
		{batchNorm: batchNorm{rows: 300, c: 1}},
		{batchNorm: batchNorm{rows: 2, c: 3}},
		{batchNorm: batchNorm{rows: 105, c: 24}},
		{batchNorm: batchNorm{rows: 105, c: 24}, scalar: true},
		{batchNorm: batchNorm{rows: 37, c: 130}, rowsPerBlock: 5},
		{batchNorm: batchNorm{rows: 90, c: 260}, rowsPerBlock: 17},
		{batchNorm: batchNorm{rows: 1111, c: 8}, rowsPerBlock: 16}, // more blocks than lanes that merge them
		{batchNorm: batchNorm{rows: 2100, c: 8}},
	}
	for _, c := range cases {
		for _, s := range storages() {
			if c.rowsPerBlock > 0 && s != kernels.Float16 {
				continue // many blocks are slow under AddressSanitizer
			}
			t.Run(name(c.rows, c.c, c.rowsPerBlock, c.scalar, s), func(t *testing.T) {
				testBatchNorm(t, c.fill(s, nil), unactivated(), s)
			})
		}
	}
	for _, a := range activations(t) {
		if a.normalize == "" {
			continue
		}
		for _, s := range storages() {
			for _, c := range []batchNormCase{{batchNorm: batchNorm{rows: 61, c: 12}}, {batchNorm: batchNorm{rows: 61, c: 5}}} {
				t.Run(name(a.spec.Function, c.c, s), func(t *testing.T) { testBatchNorm(t, c.fill(s, a.spec.Function), a, s) })
			}
		}
	}
}

// The variance must stay accurate far from zero: the standard deviation is 1.2 at a mean of 4096. The
// allowed error is the rounding of the mean, 2^-12, times the distances between the means that are merged.
// In float32, the mean of the squares minus the square of the mean would be off by 4096^2 * 2^-24 = 1.
func TestBatchNormFarFromZero(t *testing.T) {
	c := batchNormCase{batchNorm: batchNorm{rows: 2100, c: 8}, offset: 4096}.fill(kernels.Float32, nil)
	testBatchNorm(t, c, unactivated(), kernels.Float32)
	results := run(t, func(h *host) []pointer { return c.forward(h, unactivated(), kernels.Float32).results() })
	_, variance := c.moments(c.x)
	for j, got := range decode(kernels.Float32, results[1]) {
		if want := variance.value[j]; math.Abs(got-want) > 1e-4*want {
			t.Errorf("the variance of channel %d is %v, want %v", j, got, want)
		}
	}
}

// batchNormBuffers are the buffers on the device.
type batchNormBuffers struct {
	mean, variance, runningMean, runningVar, y  pointer
	x, gamma, beta                              pointer
	launch                                      kernels.ColumnsLaunch
	partial                                     pointer
	inference, sums, dgamma, dbeta, dx, inPlace pointer
}

func (b batchNormBuffers) results() []pointer {
	return []pointer{b.mean, b.variance, b.runningMean, b.runningVar, b.y}
}

// forward launches the same kernels as the forward pass of a training step.
func (c batchNormCase) forward(h *host, a activationKernels, s kernels.Storage) batchNormBuffers {
	h.t.Helper()
	var b batchNormBuffers
	b.launch = kernels.Columns(c.rows, c.c)
	if c.scalar {
		b.launch.Vector, b.launch.Grid.Y = false, (c.c+31)/32
	}
	if c.rowsPerBlock > 0 {
		b.launch.RowsPerBlock, b.launch.Grid.X = c.rowsPerBlock, (c.rows+c.rowsPerBlock-1)/c.rowsPerBlock
	}
	f32 := kernels.Float32
	b.x, b.gamma, b.beta = h.upload(encode(s, c.x)), h.upload(encode(f32, c.gamma)), h.upload(encode(f32, c.beta))
	b.runningMean, b.runningVar = h.upload(encode(f32, c.oldMean)), h.upload(encode(f32, c.oldVar))
	b.mean, b.variance, b.y = h.blank(4*c.c), h.blank(4*c.c), h.blank(len(encode(s, c.x)))
	b.partial = h.blank(4 * 2 * b.launch.Grid.X * c.c)
	h.launch(kernels.BatchNormMoments.In(s), b.launch.Grid, b.partial, b.x, c.rows, c.c, b.launch.RowsPerBlock, b.launch.Vector)
	h.launch(kernels.BatchNormStatistics.In(s), kernels.ColumnsFinish(c.c), b.mean, b.variance, b.runningMean, b.runningVar, b.partial,
		b.launch.Grid.X, c.rows, c.c, b.launch.RowsPerBlock, float32(c.momentum))
	h.launch(a.normalize.In(s), b.launch.Grid, b.y, b.x, b.gamma, b.beta, b.mean, b.variance, float32(c.epsilon), c.rows, c.c, b.launch.RowsPerBlock, b.launch.Vector)
	return b
}

func testBatchNorm(t *testing.T, c batchNormCase, a activationKernels, s kernels.Storage) {
	f32 := kernels.Float32
	results := run(t, func(h *host) []pointer {
		b := c.forward(h, a, s)
		l, epsilon := b.launch, float32(c.epsilon)
		fixedMean, fixedVar := h.upload(encode(f32, c.oldMean)), h.upload(encode(f32, c.oldVar))
		b.inference = h.blank(b.y.size)
		h.launch(a.normalize.In(s), l.Grid, b.inference, b.x, b.gamma, b.beta, fixedMean, fixedVar, epsilon, c.rows, c.c, l.RowsPerBlock, l.Vector)

		dy := h.upload(encode(s, c.dy))
		b.inPlace, b.dx = h.upload(encode(s, c.dy)), h.blank(b.y.size)
		b.sums, b.dgamma, b.dbeta = h.blank(4*2*c.c), h.blank(4*c.c), h.blank(4*c.c)
		h.launch(a.sums.In(s), l.Grid, b.partial, dy, b.x, b.gamma, b.beta, b.mean, b.variance, epsilon, c.rows, c.c, l.RowsPerBlock, l.Vector)
		h.launch(kernels.BatchNormGradients.In(s), kernels.ColumnsFinish(c.c), b.sums, b.dgamma, b.dbeta, b.partial, l.Grid.X, c.c)
		h.launch(kernels.BatchNormGradients.In(s), kernels.ColumnsFinish(c.c), b.sums, null, null, b.partial, l.Grid.X, c.c)
		for _, dx := range []pointer{b.dx, b.inPlace} {
			from := dy
			if dx == b.inPlace {
				from = dx
			}
			h.launch(a.gradients.In(s), l.Grid, dx, from, b.x, b.gamma, b.beta, b.mean, b.variance, b.sums, epsilon, c.rows, c.c, l.RowsPerBlock, l.Vector)
		}
		return append(b.results(), b.inference, b.dx, b.inPlace, b.dgamma, b.dbeta)
	})
	mean, variance := c.moments(c.x)
	runningMean, runningVar := c.running(mean, variance, c.oldMean, c.oldVar)
	z := c.normalize(c.x, c.gamma, c.beta, mean, variance)
	fixed := [2]sums{newSums(c.c, elementwiseUlps), newSums(c.c, elementwiseUlps)}
	for j := range c.c {
		fixed[0].add(j, c.oldMean[j])
		fixed[1].add(j, c.oldVar[j])
	}
	inference := through(a.spec, c.normalize(c.x, c.gamma, c.beta, fixed[0], fixed[1]))
	dx, dgamma, dbeta := c.gradients(a.spec, z)
	for i, w := range []struct {
		what string
		want sums
		as   kernels.Storage
	}{
		{"mean", mean, f32}, {"variance", variance, f32}, {"running mean", runningMean, f32}, {"running variance", runningVar, f32},
		{"y", through(a.spec, z), s}, {"inference", inference, s}, {"dx", dx, s}, {"dx in place", dx, s}, {"dgamma", dgamma, f32}, {"dbeta", dbeta, f32},
	} {
		w.want.check(t, w.what, w.as, results[i])
	}
}

// gradients returns the gradients of y = f(z). An error of z changes the slope by that error times the second derivative.
func (c batchNormCase) gradients(s device.ActivationSpec, z sums) (dx, dgamma, dbeta sums) {
	if s.Function == nil {
		return c.backward(c.dy, c.x, c.gamma)
	}
	s.Alpha = 0 // the fused kernels have none
	dx, dgamma, dbeta = c.backward(refActivationBackward(s, c.dy, z.value).value, c.x, c.gamma)
	off := make([]float64, len(c.dy))
	_, second := devicetest.LargestSlopes(s)
	for i, d := range c.dy {
		off[i] = math.Abs(d) * (reference.SlopeMagnitude(s, z.value[i]) + second*z.magnitude[i])
	}
	extraX, extraGamma, extraBeta := c.backward(off, c.x, c.gamma)
	for _, w := range [][2]sums{{dx, extraX}, {dgamma, extraGamma}, {dbeta, extraBeta}} {
		for i := range w[0].magnitude {
			w[0].magnitude[i] += w[1].magnitude[i]
		}
	}
	return dx, dgamma, dbeta
}
