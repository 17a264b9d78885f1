package devicetest

import (
	"encoding/binary"
	"math"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// host is a device for testing the suite itself: it computes with the references, including fused forms and 16 bits.
// The suite must pass on it, and must fail once one of its results is corrupted.
type host struct {
	reference.HostMemory
	reference.Mixed
}

// newHost returns a host. spoil, unless nil, is called with the destination after every operation.
func newHost(spoil func(op string, dst *device.Tensor)) host {
	h := host{Mixed: reference.MixedOn(reference.HostMemory{})}
	h.After = spoil
	return h
}

// plainHost hides the optional interfaces of a device, above all MixedPrecision.
type plainHost struct{ device.Device }

// content returns the bytes of t's current shape.
func content(t *device.Tensor) []byte { return reference.HostMemory{}.Elements(t) }

// load returns the numbers in a tensor of a float type.
func load(t *device.Tensor) []float64 { return reference.Unpack(t.DType(), content(t)) }

// store rounds numbers to dst's type and writes them, unless dst is nil.
func store(dst *device.Tensor, numbers []float64) {
	if dst != nil {
		copy(content(dst), reference.Round(dst.DType(), numbers))
	}
}

// applyReLU sets t to max(t, 0).
func applyReLU(t *device.Tensor) {
	v := load(t)
	for i, x := range v {
		v[i] = math.Max(x, 0)
	}
	store(t, v)
}

type convReLU struct{ device.Conv2D }

func (h host) NewConv2DReLU(s device.Conv2DSpec) (device.Conv2D, error) {
	conv, err := h.NewConv2D(s)
	return convReLU{conv}, err
}

func (p convReLU) Forward(y, x, w, bias *device.Tensor) {
	p.Conv2D.Forward(y, x, w, bias)
	applyReLU(y)
}

// convActivation activates before it rounds to the type of y.
type convActivation struct {
	s   device.Conv2DSpec
	act device.ActivationSpec
}

func (h host) NewConv2DActivation(s device.Conv2DSpec, f *device.Function) (device.ConvActivation, error) {
	_, err := h.NewConv2D(s)
	return convActivation{s, device.ActivationSpec{Function: f}}, err
}

func (p convActivation) pre(x, w, bias *device.Tensor) []float64 {
	return reference.Conv2DForward(p.s, x.Rows(), load(x), load(w), load(bias)).Value
}

func (p convActivation) Forward(y, x, w, bias *device.Tensor) {
	store(y, reference.ActivationForward(p.act, p.pre(x, w, bias)).Value)
}

func (p convActivation) BackwardBias(dbias, dy, x, w, bias *device.Tensor) {
	sums := make([]float64, p.s.OutC)
	for i, v := range reference.ActivationBackward(p.act, load(dy), p.pre(x, w, bias)).Value {
		sums[i%p.s.OutC] += v
	}
	store(dbias, sums)
}

type matMulReLU struct{ device.MatMul }

func (h host) NewMatMulReLU(s device.MatMulSpec) (device.MatMul, error) {
	product, err := h.NewMatMul(s)
	return matMulReLU{product}, err
}

func (p matMulReLU) Run(c, a, b, bias *device.Tensor) {
	p.MatMul.Run(c, a, b, bias)
	applyReLU(c)
}

type poolReLU struct {
	h host
	device.Pool2D
}

func (h host) NewPool2DReLU(s device.Pool2DSpec) (device.Pool2D, error) {
	pool, err := h.NewPool2D(s)
	return poolReLU{h, pool}, err
}

func (p poolReLU) Forward(y, x *device.Tensor) {
	p.Pool2D.Forward(y, x)
	applyReLU(y)
}

func (p poolReLU) Backward(dx, dy, y, x *device.Tensor) {
	masked, err := p.h.NewTensor(dy.DType(), dy.Shape()...)
	if err != nil {
		panic(err)
	}
	store(masked, maskByReLU(load(dy), load(y)))
	p.Pool2D.Backward(dx, masked, y, x)
}

// batchNormActivation activates before it rounds to the type of y.
type batchNormActivation struct {
	device.BatchNorm
	s   device.BatchNormSpec
	act device.ActivationSpec
}

func (h host) NewBatchNormActivation(s device.BatchNormSpec, f *device.Function) (device.BatchNorm, error) {
	norm, err := h.NewBatchNorm(s)
	return batchNormActivation{norm, s, device.ActivationSpec{Function: f}}, err
}

func (p batchNormActivation) formula(x *device.Tensor) reference.BatchNorm {
	return reference.BatchNorm{Rows: x.Len() / p.s.C, C: p.s.C, Epsilon: float64(p.s.Epsilon), Momentum: float64(p.s.Momentum)}
}

func (p batchNormActivation) Forward(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	p.BatchNorm.Forward(y, x, gamma, beta, runningMean, runningVar)
	store(y, reference.ActivationForward(p.act, p.formula(x).Forward(load(x), load(gamma), load(beta)).Value).Value)
}

func (p batchNormActivation) Inference(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	pre := p.formula(x).Inference(load(x), load(gamma), load(beta), load(runningMean), load(runningVar))
	store(y, reference.ActivationForward(p.act, pre.Value).Value)
}

func (p batchNormActivation) Backward(dx, dgamma, dbeta, dy, x, gamma, beta *device.Tensor) {
	f := p.formula(x)
	pre := f.Forward(load(x), load(gamma), load(beta)).Value
	wantX, wantGamma, wantBeta := f.Backward(reference.ActivationBackward(p.act, load(dy), pre).Value, load(x), load(gamma))
	store(dx, wantX.Value)
	if dgamma != nil {
		store(dgamma, wantGamma.Value)
	}
	if dbeta != nil {
		store(dbeta, wantBeta.Value)
	}
}

// skippingOptimizer tells spoil when a step is skipped, which writes nothing.
type skippingOptimizer struct {
	device.Optimizer
	s     device.OptimizerSpec
	spoil func(op string, dst *device.Tensor)
}

func (h host) NewOptimizer(s device.OptimizerSpec) (device.Optimizer, error) {
	optimizer, err := h.Mixed.NewOptimizer(s)
	if h.After == nil || s.Scaling == nil || len(s.Slots) == 0 {
		return optimizer, err
	}
	return skippingOptimizer{optimizer, s, h.After}, err
}

func (p skippingOptimizer) Step(hyper *device.Tensor) {
	p.Optimizer.Step(hyper)
	if load(p.s.Scaling)[device.ScalingSkip] != 0 {
		p.spoil("optimizer skipped", p.s.Slots[0].Value)
	}
}

// spoilElement overwrites element i of t with the bits of a float32.
func spoilElement(t *device.Tensor, i int, bits uint32) {
	binary.NativeEndian.PutUint32(t.Memory().([]byte)[4*i:], bits)
}

// convPool pools a convolution's output, and keeps that output for the backward passes.
type convPool struct {
	device.Conv2D
	pool device.Pool2D
	pre  *device.Tensor // the convolution's output, of the largest batch
	y    *device.Tensor // of the last Forward
}

func (h host) NewConv2DMaxPool(s device.Conv2DSpec, pool device.Pool2DSpec, relu bool) (device.Conv2D, error) {
	s.NoBackwardData = false // convOfActivation has need of it
	conv, err := h.NewConv2D(s)
	if err != nil {
		return nil, err
	}
	p := &convPool{Conv2D: conv}
	if p.pre, err = h.NewTensor(s.DType.OrFloat32(), s.N, s.OutH(), s.OutW(), s.OutC); err != nil {
		return nil, err
	}
	if relu {
		p.pool, err = h.NewPool2DReLU(pool)
	} else {
		p.pool, err = h.NewPool2D(pool)
	}
	return p, err
}

func (p *convPool) Forward(y, x, w, bias *device.Tensor) {
	p.pre.SetRows(x.Rows())
	p.Conv2D.Forward(p.pre, x, w, bias)
	p.pool.Forward(y, p.pre)
	p.y = device.WrapTensor(y.DType(), append([]byte(nil), content(y)...), y.Shape()...)
}

// gradient returns the gradient with respect to the convolution's output.
func (p *convPool) gradient(dy *device.Tensor) *device.Tensor {
	dpre := device.WrapTensor(p.pre.DType(), make([]byte, len(content(p.pre))), p.pre.Shape()...)
	p.pool.Backward(dpre, dy, p.y, p.pre)
	return dpre
}

func (p *convPool) BackwardData(dx, dy, w *device.Tensor) {
	p.Conv2D.BackwardData(dx, p.gradient(dy), w)
}

func (p *convPool) BackwardFilter(dw, dbias, dy, x *device.Tensor) {
	p.Conv2D.BackwardFilter(dw, dbias, p.gradient(dy), x)
}

// matMulScaled scales before it rounds to the type of c.
type matMulScaled struct {
	s     device.MatMulSpec
	alpha float64
}

func (h host) NewMatMulScaled(s device.MatMulSpec, alpha float32) (device.MatMul, error) {
	_, err := h.NewMatMul(s)
	return matMulScaled{s, float64(alpha)}, err
}

func (p matMulScaled) Run(c, a, b, bias *device.Tensor) {
	batch, m, k := p.s.CheckOperands(c, a, b, bias)
	product := reference.MatMulBatch(batch, m, p.s.N, k, p.s.TransA, p.s.TransB, load(a), load(b), nil)
	store(c, product.Times(p.alpha).Value)
}

type biasReLUGradient struct{ s device.BiasGradientSpec }

func (h host) NewBiasReLUGradient(s device.BiasGradientSpec) (device.BiasGradient, error) {
	s.Check()
	return biasReLUGradient{s}, nil
}

func (p biasReLUGradient) Run(dx, dbias, dy, y *device.Tensor) {
	p.s.CheckOperands(dx, dbias, dy, y)
	passed, sums := maskByReLU(load(dy), load(y)), make([]float64, p.s.C)
	for i, v := range passed {
		sums[i%p.s.C] += v
	}
	store(dx, passed)
	store(dbias, sums)
}

// trainingLoss rounds the outputs' gradient once.
type trainingLoss struct {
	s     device.LossSpec
	dtype device.DType
}

func (h host) NewTrainingLoss(s device.LossSpec, outputs device.DType) (device.TrainingLoss, error) {
	_, err := h.NewLoss(s)
	return trainingLoss{s, outputs.OrFloat32()}, err
}

func (p trainingLoss) Run(stats, doutputs, outputs, targets *device.Tensor) {
	n := p.s.CheckTraining("training loss", p.dtype, stats, doutputs, outputs, targets)
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32(binary.NativeEndian.Uint32(content(targets)[4*i:]))
	}
	batch, gradient := reference.Loss(p.s, reference.LossBatch{Outputs: load(outputs), Labels: labels, ClassWeights: loadOptional(p.s.ClassWeights)})
	for i, before := range load(stats) {
		batch.Value[i] += before
	}
	if p.s.Scaling != nil {
		gradient = gradient.Times(load(p.s.Scaling)[device.ScalingScale])
	}
	store(stats, batch.Value)
	store(doutputs, gradient.Value)
}

// loadOptional is load, and nil for no tensor.
func loadOptional(t *device.Tensor) []float64 {
	if t == nil {
		return nil
	}
	return load(t)
}

// denseLoss computes the loss of the outputs as they are stored.
type denseLoss struct {
	s    device.DenseSpec
	loss trainingLoss
	spec device.LossSpec
}

func (h host) NewDenseLoss(s device.DenseSpec, l device.LossSpec) (device.DenseLoss, error) {
	s.Check()
	_, err := h.NewLoss(l)
	return denseLoss{s, trainingLoss{l, s.DType.OrFloat32()}, l}, err
}

func (p denseLoss) Run(stats, dy, y, x, w, bias, targets *device.Tensor) {
	n := p.s.CheckLoss(p.spec, stats, dy, y, x, w, bias, targets)
	outputs := reference.MatMul(n, p.s.Out, p.s.In, false, false, load(x), load(w), nil).Value
	for i := range outputs {
		outputs[i] *= float64(p.s.Alpha)
		if bias != nil {
			outputs[i] += load(bias)[i%p.s.Out]
		}
	}
	store(y, outputs)
	p.loss.Run(stats, dy, y, targets)
}

type denseGradients struct{ s device.DenseSpec }

func (h host) NewDenseGradients(s device.DenseSpec) (device.DenseGradients, error) {
	s.Check()
	return denseGradients{s}, nil
}

func (p denseGradients) Run(dx, dw, dbias, dy, x, w *device.Tensor) {
	n := p.s.CheckGradients(dx, dw, dbias, dy, x, w)
	scaled := load(dy)
	sums := make([]float64, p.s.Out)
	for i, v := range scaled {
		sums[i%p.s.Out] += v
		scaled[i] = float64(p.s.Alpha) * v
	}
	store(dx, reference.MatMul(n, p.s.In, p.s.Out, false, true, scaled, load(w), nil).Value)
	store(dw, reference.MatMul(p.s.In, p.s.Out, n, true, false, load(x), scaled, nil).Value)
	store(dbias, sums)
}

// poolBatchNorm runs its two plans one after the other.
type poolBatchNorm struct {
	pool device.Pool2D
	norm device.BatchNorm
	x    *device.Tensor // of the last Forward
}

func (h host) NewPoolBatchNorm(pool device.Pool2D, norm device.BatchNorm) (device.PoolBatchNorm, error) {
	return &poolBatchNorm{pool: pool, norm: norm}, nil
}

func (p *poolBatchNorm) Forward(y, pooled, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	p.pool.Forward(pooled, x)
	p.norm.Forward(y, pooled, gamma, beta, runningMean, runningVar)
	p.x = x
}

func (p *poolBatchNorm) Backward(dx, dgamma, dbeta, dy, pooled, gamma, beta *device.Tensor) {
	inner := device.WrapTensor(dy.DType(), make([]byte, len(content(dy))), dy.Shape()...)
	p.norm.Backward(inner, dgamma, dbeta, dy, pooled, gamma, beta)
	p.pool.Backward(dx, inner, pooled, p.x)
}

// convOfActivation runs its two plans one after the other.
type convOfActivation struct {
	before        device.ConvActivation
	filters, bias *device.Tensor
	conv          device.Conv2D
}

func (h host) NewConvOfActivation(before device.ConvActivation, filters, bias *device.Tensor, conv device.Conv2D) (device.ConvOfActivation, error) {
	return convOfActivation{before, filters, bias, conv}, nil
}

// between returns a tensor for the first one's output, or the gradient with respect to it.
func (p convOfActivation) between(x *device.Tensor) *device.Tensor {
	n, h, width, inC := x.Rows(), x.Shape()[1]-1, x.Shape()[2]-1, p.filters.Shape()[0] // of filters of 2 x 2
	return device.WrapTensor(x.DType(), make([]byte, n*h*width*inC*x.DType().Size()), n, h, width, inC)
}

func (p convOfActivation) Forward(y, x, w, bias *device.Tensor) {
	a := p.between(x)
	p.before.Forward(a, x, p.filters, p.bias)
	p.conv.Forward(y, a, w, bias)
}

func (p convOfActivation) Backward(dw, dbias, dy, x, w *device.Tensor) {
	if dw != nil {
		a := p.between(x)
		p.before.Forward(a, x, p.filters, p.bias)
		p.conv.BackwardFilter(dw, nil, dy, a)
	}
	if dbias != nil {
		da := p.between(x)
		p.conv.BackwardData(da, dy, w)
		p.before.BackwardBias(dbias, da, x, p.filters, p.bias)
	}
}

// convPoolBatchNorm runs its two plans one after the other.
type convPoolBatchNorm struct {
	conv device.ConvForward
	norm device.BatchNorm
}

func (h host) NewConvPoolBatchNorm(conv device.ConvForward, norm device.BatchNorm) (device.ConvPoolBatchNorm, error) {
	return convPoolBatchNorm{conv, norm}, nil
}

func (p convPoolBatchNorm) Forward(y, pooled, x, w, gamma, beta, runningMean, runningVar *device.Tensor) {
	p.conv.Forward(pooled, x, w, nil)
	p.norm.Forward(y, pooled, gamma, beta, runningMean, runningVar)
}

func (p convPoolBatchNorm) Backward(dpooled, dgamma, dbeta, dy, pooled, gamma, beta *device.Tensor) {
	p.norm.Backward(dpooled, dgamma, dbeta, dy, pooled, gamma, beta)
}

// batchNormPool pools what its normalisation stores.
type batchNormPool struct {
	norm   device.BatchNorm
	pool   device.Pool2D
	before *device.Tensor // the normalisation's output, of the largest batch
}

func (h host) NewBatchNormPool(s device.BatchNormSpec, f *device.Function, pool device.Pool2DSpec) (device.BatchNorm, error) {
	norm, err := h.NewBatchNormActivation(s, f)
	if err != nil {
		return nil, err
	}
	p := &batchNormPool{norm: norm}
	if p.pool, err = h.NewPool2D(pool); err != nil {
		return nil, err
	}
	p.before, err = h.NewTensor(s.DType.OrFloat32(), pool.N, pool.H, pool.W, pool.C)
	return p, err
}

func (p *batchNormPool) Forward(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	p.before.SetRows(x.Rows())
	p.norm.Forward(p.before, x, gamma, beta, runningMean, runningVar)
	p.pool.Forward(y, p.before)
}

func (p *batchNormPool) Inference(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	output := device.WrapTensor(x.DType(), make([]byte, len(content(x))), x.Shape()...)
	p.norm.Inference(output, x, gamma, beta, runningMean, runningVar)
	p.pool.Forward(y, output)
}

func (p *batchNormPool) Backward(dx, dgamma, dbeta, dy, x, gamma, beta *device.Tensor) {
	inner := device.WrapTensor(x.DType(), make([]byte, len(content(x))), x.Shape()...)
	p.pool.Backward(inner, dy, dy, p.before)
	p.norm.Backward(dx, dgamma, dbeta, inner, x, gamma, beta)
}
