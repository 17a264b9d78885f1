package nn

import (
	"errors"
	"fmt"
	"slices"

	"trainer/nn/device"
)

// Synchronised batch normalisation takes mean and variance over the whole batch, of which each of several processes has a
// part (Options.Sync; Peng et al., "MegDet: A Large Mini-Batch Object Detector", CVPR 2018, section 3.3). Below, part k has n_k of
// the n images, m_k = n_k*h*w of the m elements of a channel, and w_k = n_k/n.
//
// Forward, with the mean and the variance of each part from the device's own batch normalisation (with momentum 1, as running
// statistics, so that var_k is unbiased), which all processes learn:
//
//	mean = sum_k w_k mean_k
//	var  = sum_k w_k (mean_k - mean)^2 + sum_k w_k (m_k-1)/m_k var_k             (Chan, Golub and LeVeque 1983)
//	xhat = (x - mean) / sqrt(var + epsilon)           y = gamma xhat + beta
//
// Backward: process k has the gradient of its own loss L_k, of which the loss of the batch is sum_k w_k L_k, or sum_k L_k if it is
// a sum. Its parameters' gradients are those of L_k, which are weighted and summed with all others (shards.go):
//
//	dbeta_k = sum dy        dgamma_k = sum dy xhat                                over the part
//
// dx also needs these sums over the whole batch. Seen from L_k, which the whole loss has with weight a_k (w_k or 1):
//
//	B = sum_k a_k dbeta_k        G = sum_k a_k dgamma_k
//	dx = gamma / sqrt(var + epsilon) (dy - (B + xhat G) / (a_k m))
//
// Every process computes the same mean, variance and sums, to the bit. The layer costs two exchanges of 2c numbers per step and a few
// more passes over memory than batch normalisation by parts.
type syncBatchNorm struct {
	*batchNorm
	dev    device.Device
	sync   *synchronizer
	values int // h*w

	moments                 device.BatchNorm // of this part
	partMean, partVar       *device.Tensor   // [c], of this part
	rowOfMean, rowOfVar     *device.Tensor   // the same as rows
	means, variances        *device.Tensor   // [parts, c]
	rowsOfMeans, rowsOfVars *device.Tensor   // the same as one row
	terms                   *device.Tensor   // [parts, c]
	batchMean, batchVar     *device.Tensor   // [c], of the batch
	shift                   *device.Tensor   // [c], a term of batchVar
	collect                 device.AllReduce // of means and variances, which are 0 in the rows of other parts

	dbeta, dgamma     *device.Tensor // [c], of this part
	sumBeta, sumGamma *device.Tensor // [c], B and G
	sums              device.AllReduce
	scale             *device.Tensor // [c], gamma/sqrt(var + epsilon)
	one, zero         *device.Tensor // [c]

	factors       *device.Tensor // [factorParts]
	ofMean, ofVar *device.Tensor // [parts]: w_k, and w_k (m_k-1)/m_k
	work          syncPlans
}

// The elements of syncBatchNorm.factors.
const (
	factorUnbias = iota // m/(m-1), of the running variance
	factorOwn           // a_k
	factorMean          // -1/(a_k m)
	factorParts         // their number
)

// syncPlans are the small plans of a syncBatchNorm.
type syncPlans struct {
	put     device.CopyColumns // this part's row of [parts, c]
	sumRows device.Reduce      // [parts, c] to [c]

	weigh, center, square                             device.Map // over [parts, c]
	add, average, unbias, own, byMean, times, inverse device.Map // over [c]

	sumDY, sumProducts device.Reduce // of the part, per channel
	scaleX, addX, addC device.Map    // over the part: y = a*b, y += a*b, y = a + b, with b [c]
}

// synchronizer is what the layers that normalise over the batches of several processes share.
type synchronizer struct {
	device.Collective
	isSum  bool
	layers []*syncBatchNorm
	sizes  []int // images of each part, as the layers know them
	err    error // of a layer's exchange
}

func newSynchronizer(opt Options) *synchronizer {
	if opt.Sync == nil || opt.Sync.Size() == 1 || !opt.Training {
		return nil
	}
	return &synchronizer{Collective: opt.Sync, isSum: opt.Loss.Summed()}
}

// SetParts tells layers that normalise over the batches of all processes (Options.Sync) how many images of the next batch
// each process has. It must be called before BeginShard.
func (n *Network) SetParts(sizes []int) error {
	s := n.sync
	if s == nil || slices.Equal(s.sizes, sizes) {
		return nil
	}
	for _, l := range s.layers {
		if err := l.setParts(sizes); err != nil {
			return fmt.Errorf("batch normalisation over all processes: %w", err)
		}
	}
	s.sizes = append(s.sizes[:0], sizes...)
	return nil
}

// SyncFault returns the fault of an exchange of layers that normalise over the batches of all processes.
func (n *Network) SyncFault() error {
	if n.sync == nil {
		return nil
	}
	return n.sync.err
}

// exchange sums over the processes.
func (s *synchronizer) exchange(sum device.AllReduce) {
	if err := sum.Run(); err != nil && s.err == nil {
		s.err = err
	}
}

// synchronized makes a layer with a plan and its tensors one that normalises over the batches of all processes.
func (l BatchNorm) synchronized(b *Builder, in Shape, u *batchNorm) (BuiltLayer, error) {
	c := in[len(in)-1]
	s := &syncBatchNorm{batchNorm: u, dev: b.dev, sync: b.sync, values: in.Len() / c}
	spec := l.spec(b, in)
	parts := b.sync.Size()
	compose := &composer{b: b}
	for _, t := range []**device.Tensor{
		&s.partMean, &s.partVar, &s.batchMean, &s.batchVar, &s.shift, &s.dbeta, &s.dgamma, &s.sumBeta, &s.sumGamma, &s.scale, &s.zero,
	} {
		*t = compose.tensor(device.Float32, c)
	}
	for _, t := range []**device.Tensor{&s.means, &s.variances, &s.terms} {
		*t = compose.tensor(device.Float32, parts, c)
	}
	s.factors = compose.tensor(device.Float32, factorParts)
	s.ofMean, s.ofVar = compose.tensor(device.Float32, parts), compose.tensor(device.Float32, parts)
	s.work.build(compose, spec, parts, b.sync.Rank(), s.values)
	if compose.err != nil {
		return nil, compose.err
	}
	s.rowOfMean, s.rowOfVar = s.partMean.View(1, c), s.partVar.View(1, c)
	s.rowsOfMeans, s.rowsOfVars = s.means.View(1, parts*c), s.variances.View(1, parts*c)
	spec.Momentum, spec.NoBackward = 1, true
	var err error
	if s.moments, err = b.dev.NewBatchNorm(spec); err != nil {
		return nil, err
	}
	if s.one, err = b.Constant(slices.Repeat([]float32{1}, c), c); err != nil {
		return nil, err
	}
	if s.collect, err = b.sync.NewAllReduce(device.AllReduceSpec{Tensors: []*device.Tensor{s.means, s.variances}}); err != nil {
		return nil, err
	}
	s.sums, err = b.sync.NewAllReduce(device.AllReduceSpec{Tensors: []*device.Tensor{s.sumBeta, s.sumGamma}})
	b.sync.layers = append(b.sync.layers, s)
	return s, err
}

// build makes the plans.
func (w *syncPlans) build(c *composer, s device.BatchNormSpec, parts, rank, values int) {
	vector := func(kind device.MapKind, b device.Axes, index int, alpha, beta float32) device.Map { // over [c]
		return c.mapping(device.MapSpec{Kind: kind, Batch: 1, Rows: 1, C: s.C, B: b, BIndex: index, Alpha: alpha, Beta: beta, DType: device.Float32})
	}
	rows := func(kind device.MapKind, b device.Axes, alpha, beta float32) device.Map { // over [parts, c]
		return c.mapping(device.MapSpec{Kind: kind, Batch: 1, Rows: parts, C: s.C, B: b, Alpha: alpha, Beta: beta, DType: device.Float32})
	}
	image := func(kind device.MapKind, alpha, beta float32, accumulate bool) device.Map { // over the part, with b [c]
		return c.mapping(device.MapSpec{
			Kind: kind, Batch: c.b.batch, Rows: values, C: s.C, B: device.AxisC, Alpha: alpha, Beta: beta, Accumulate: accumulate,
		})
	}
	w.put = c.copyColumns(device.CopyColumnsSpec{Rows: 1, Width: s.C, YC: parts * s.C, YFrom: rank * s.C, XC: s.C, DType: device.Float32})
	w.sumRows = c.reduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: 1, Rows: parts, C: s.C, Keep: device.AxisC, DType: device.Float32})
	w.weigh = rows(device.MapMul, device.AxisRows, 1, 0)
	w.center = rows(device.MapAdd, device.AxisC, 1, -1)
	w.square = rows(device.MapSquare, 0, 1, 0)
	w.add = vector(device.MapAdd, device.AllAxes, 0, 1, 1)
	w.average = vector(device.MapAdd, device.AllAxes, 0, 1-s.Momentum, s.Momentum)
	w.unbias = vector(device.MapMul, device.NoAxes, factorUnbias, 1, 0)
	w.own = vector(device.MapMul, device.NoAxes, factorOwn, 1, 0)
	w.byMean = vector(device.MapMul, device.NoAxes, factorMean, 1, 0)
	w.times = vector(device.MapMul, device.AllAxes, 0, 1, 0)
	w.inverse = vector(device.MapRsqrt, 0, 0, 1, s.Epsilon)
	w.sumDY = c.reduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: c.b.batch, Rows: values, C: s.C, Keep: device.AxisC})
	w.sumProducts = c.reduce(device.ReduceSpec{Kind: device.ReduceSumProducts, Batch: c.b.batch, Rows: values, C: s.C, Keep: device.AxisC})
	w.scaleX = image(device.MapMul, 1, 0, false)
	w.addX = image(device.MapMul, 1, 0, true)
	w.addC = image(device.MapAdd, 1, 1, false)
}

// setParts uploads what depends on the number of images of each part.
func (u *syncBatchNorm) setParts(sizes []int) error {
	n := 0
	for _, size := range sizes {
		n += size
	}
	m := float64(n * u.values)
	var factors [factorParts]float32
	factors[factorUnbias] = float32(m / max(m-1, 1))
	own := float64(sizes[u.sync.Rank()]) / float64(n)
	if u.sync.isSum {
		own = 1
	}
	factors[factorOwn], factors[factorMean] = float32(own), float32(-1/(own*m))
	ofMean, ofVar := make([]float32, len(sizes)), make([]float32, len(sizes))
	for k, size := range sizes {
		w, mk := float64(size)/float64(n), float64(size*u.values)
		ofMean[k], ofVar[k] = float32(w), float32(w*(mk-1)/mk)
	}
	return errors.Join(
		u.dev.Upload(u.factors, device.Bytes(factors[:])),
		u.dev.Upload(u.ofMean, device.Bytes(ofMean)), u.dev.Upload(u.ofVar, device.Bytes(ofVar)),
	)
}

// Forward normalises with the statistics of all parts in training, unless the layer is frozen.
func (u *syncBatchNorm) Forward(x *device.Tensor, mode Mode) *device.Tensor {
	if mode == Inference || u.isFrozen() {
		return u.batchNorm.Forward(x, mode)
	}
	u.x = x
	u.y.SetRows(x.Rows())
	u.statistics(x)
	u.work.average.Run(u.mean.Value, u.mean.Value, u.batchMean)
	u.work.unbias.Run(u.shift, u.batchVar, u.factors)
	u.work.average.Run(u.variance.Value, u.variance.Value, u.shift)
	u.plan.Inference(u.y, x, u.gamma.Value, u.beta.Value, u.batchMean, u.batchVar)
	return u.y
}

// statistics computes mean and variance of the whole batch.
func (u *syncBatchNorm) statistics(x *device.Tensor) {
	w, dev := &u.work, u.dev
	for _, t := range []*device.Tensor{u.partMean, u.partVar, u.means, u.variances} {
		dev.Zero(t)
	}
	u.moments.Forward(u.y, x, u.gamma.Value, u.beta.Value, u.partMean, u.partVar)
	w.put.Run(u.rowsOfMeans, u.rowOfMean)
	w.put.Run(u.rowsOfVars, u.rowOfVar)
	u.sync.exchange(u.collect)

	w.weigh.Run(u.terms, u.means, u.ofMean)
	w.sumRows.Run(u.batchMean, u.terms, nil)
	w.center.Run(u.terms, u.means, u.batchMean)
	w.square.Run(u.terms, u.terms, nil)
	w.weigh.Run(u.terms, u.terms, u.ofMean)
	w.sumRows.Run(u.shift, u.terms, nil)
	w.weigh.Run(u.terms, u.variances, u.ofVar)
	w.sumRows.Run(u.batchVar, u.terms, nil)
	w.add.Run(u.batchVar, u.batchVar, u.shift)
}

// Backward computes this part's dgamma and dbeta and, in place of dy, dx. xhat takes the place of y, which nothing reads any more.
func (u *syncBatchNorm) Backward(dy *device.Tensor) *device.Tensor {
	if u.isFrozen() {
		return u.batchNorm.Backward(dy)
	}
	w, xhat := &u.work, u.y
	u.plan.Inference(xhat, u.x, u.one, u.zero, u.batchMean, u.batchVar)
	w.sumDY.Run(u.dbeta, dy, nil)
	w.sumProducts.Run(u.dgamma, dy, xhat)
	for _, g := range []struct {
		p   *Param
		sum *device.Tensor
	}{{u.beta, u.dbeta}, {u.gamma, u.dgamma}} {
		if g.p.Grad != nil {
			u.dev.Copy(g.p.Grad, g.sum)
		}
	}
	w.own.Run(u.sumBeta, u.dbeta, u.factors)
	w.own.Run(u.sumGamma, u.dgamma, u.factors)
	u.sync.exchange(u.sums) // also if nothing before is trained: other processes wait
	if !u.needs {
		return nil
	}
	w.inverse.Run(u.scale, u.batchVar, nil)
	w.times.Run(u.scale, u.scale, u.gamma.Value)
	for _, sum := range []*device.Tensor{u.sumBeta, u.sumGamma} { // of -scale*sum/(a_k m)
		w.byMean.Run(sum, sum, u.factors)
		w.times.Run(sum, sum, u.scale)
	}
	w.scaleX.Run(dy, dy, u.scale)
	w.addX.Run(dy, xhat, u.sumGamma)
	w.addC.Run(dy, dy, u.sumBeta)
	return dy
}
