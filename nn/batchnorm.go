package nn

import (
	"fmt"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// BatchNorm gives every channel mean 0 and variance 1 over the batch, and then applies a
// learnt scale gamma and a learnt shift beta (Ioffe and Szegedy, "Batch Normalization",
// 2015).
//
// Shapes: x, y [n, h, w, c] or [n, c]; gamma, beta, running mean and variance [c]. Below,
// i runs over the m = n*h*w (or n) elements of one channel.
//
// Forward, in training:
//
//	mean = 1/m sum_i x[i]        var = 1/m sum_i (x[i] - mean)^2
//	xhat[i] = (x[i] - mean) / sqrt(var + epsilon)
//	y[i] = gamma xhat[i] + beta
//	running = (1 - momentum) running + momentum batch      (the variance as m/(m-1) var)
//
// and in inference the running mean and variance stand in for the batch's. Training needs m >= 2, because one value
// has no variance (Builder.NormalizesOverBatch).
//
// Backward:
//
//	dbeta = sum_i dy[i]        dgamma = sum_i dy[i] xhat[i]
//	dx[i] = gamma / sqrt(var + epsilon) (dy[i] - dbeta/m - xhat[i] dgamma/m)
//
// In a frozen layer (Options.Freeze) the running mean and variance, which stay as they are, stand in for the batch's in
// training too. Then mean and var don't depend on x, and
//
//	dx[i] = gamma / sqrt(var + epsilon) dy[i]
//
// which is the inference of dy with mean 0 and beta 0.
//
// Otherwise, the two subtracted terms come from mean and var, which depend on every x: normalising
// makes y blind to a shift and to a scaling of x, so dx is what remains of dy without its
// components along the constant vector and along xhat.
//
// Code: nn/device/reference/batchnorm.go (the formula in loops), cpu/batchnorm.go, kernels/batchnorm.cu;
// nn/batchnorm_pool.go for a max pooling beside it. Test: nn/device/devicetest/batchnorm.go and batchnormpool.go.
type BatchNorm struct {
	Epsilon     float32
	Momentum    float32 // weight of the new statistics
	FrozenScale bool    // gamma stays 1
}

func batchNormKind() LayerKind {
	return LayerKind{
		Name: "batch-norm", Doc: "normalisation of each channel over the batch, then scale and shift",
		Family: Normalisation, New: func() Layer { return BatchNorm{} },
	}
}

// Settings declares the keys of recipes.
func (l *BatchNorm) Settings(s *setting.List) {
	s.Float32(&l.Epsilon, "epsilon", 1e-5, setting.Positive, "added to the variance")
	s.Float32(&l.Momentum, "momentum", 0.1, setting.AboveZeroToOne, "weight of the new batch in the running statistics")
	s.Bool(&l.FrozenScale, "frozen-scale", "keep the scale at 1")
}

// Kind returns "batch-norm".
func (l BatchNorm) Kind() string { return "batch-norm" }

// Stem returns "norm".
func (l BatchNorm) Stem() string { return "norm" }

// OutputShape returns the input's shape.
func (l BatchNorm) OutputShape(in Shape) (Shape, error) {
	if len(in) != 1 && len(in) != 3 {
		return nil, fmt.Errorf("got %v, needs an image, [h w c], or a vector, [features]", in)
	}
	return in, setting.Check(&l)
}

func (l BatchNorm) spec(b *Builder, in Shape) device.BatchNormSpec {
	setting.Complete(&l)
	c := in[len(in)-1]
	return device.BatchNormSpec{
		Rows: b.batch * in.Len() / c, C: c,
		Epsilon: l.Epsilon, Momentum: l.Momentum, DType: b.dtype, NoBackward: !b.train,
	}
}

// Build allocates gamma ("weight"), beta ("bias"), the running statistics and the output.
func (l BatchNorm) Build(b *Builder, in Shape) (BuiltLayer, error) {
	plan, err := b.dev.NewBatchNorm(l.spec(b, in))
	if err != nil {
		return nil, err
	}
	u, err := l.unit(b, in, plan, in)
	if err != nil || b.sync == nil {
		return u, err
	}
	return l.synchronized(b, in, u)
}

// buildFused normalises and activates in one pass over memory, if the device fuses the function that follows, and with a
// max pooling after that if it fuses this, too. A function with an alpha, which the fused operation isn't given, stays on
// its own.
func (l BatchNorm) buildFused(b *Builder, in Shape, next []Layer) (BuiltLayer, int, error) {
	dev, ok := b.dev.(device.FusedBatchNorm)
	if !ok || b.frozen() || b.sync != nil { // whose passes are others
		return nil, 0, nil
	}
	a, ok := next[0].(ActivationLayer)
	if !ok || a.Activation().Alpha != 0 {
		return nil, 0, nil
	}
	if len(next) > 1 {
		if u, ok, err := l.buildPooled(b, in, a.Activation().Function, next[1]); ok || err != nil {
			return u, 2, err
		}
	}
	plan, err := dev.NewBatchNormActivation(l.spec(b, in), a.Activation().Function)
	if err != nil {
		if declined(err) {
			return nil, 0, nil
		}
		return nil, 0, err
	}
	u, err := l.unit(b, in, plan, in)
	return u, 1, err
}

// unit completes a plan with its tensors; out is the shape of its output.
func (l BatchNorm) unit(b *Builder, in Shape, plan device.BatchNorm, out Shape) (*batchNorm, error) {
	u := &batchNorm{plan: plan, needs: b.NeedsInputGradient()}
	c := in[len(in)-1]
	var err error
	if u.freeze, u.zeros, err = l.frozen(b, c); err != nil {
		return nil, err
	}
	if u.freeze == nil || u.freeze.thaws {
		if err = b.NormalizesOverBatch(in.Len() / c); err != nil {
			return nil, err
		}
	}
	if u.gamma, err = b.Param(ParamSpec{
		Name: "weight", Role: Gain, Shape: []int{c}, Init: Ones(), FanIn: 1, FanOut: 1, Frozen: l.FrozenScale,
	}); err != nil {
		return nil, err
	}
	if u.beta, err = b.Param(ParamSpec{
		Name: "bias", Role: Bias, Shape: []int{c}, Init: Zeros(), FanIn: 1, FanOut: 1,
	}); err != nil {
		return nil, err
	}
	if u.mean, err = b.State("running_mean", 0, c); err != nil {
		return nil, err
	}
	if u.variance, err = b.State("running_var", 1, c); err != nil {
		return nil, err
	}
	return u, b.Output(out, &u.y)
}

// frozen returns what a frozen layer needs: the state of the freeze and c zeros; nil for any other layer.
func (l BatchNorm) frozen(b *Builder, c int) (*freeze, *device.Tensor, error) {
	if !b.train || !b.frozen() {
		return nil, nil, nil
	}
	zeros, err := b.Constant(make([]float32, c), c)
	return b.freeze, zeros, err
}

type batchNorm struct {
	plan           device.BatchNorm
	gamma, beta    *Param
	mean, variance *Param // running
	x, y           *device.Tensor
	needs          bool // something before this layer is trained
	freeze         *freeze
	zeros          *device.Tensor // [c]; nil without freeze

	before     *pool2D                  // a pooling whose work is done here in training; nil without
	joined     device.PoolBatchNorm     // of before and plan
	conv       *conv2D                  // the same of a convolution that pools; nil without
	joinedConv device.ConvPoolBatchNorm // of conv and plan

	dx *device.Tensor // if the output is pooled, and something before this layer is trained; nil otherwise
}

// isFrozen reports whether the running statistics are used in training.
func (u *batchNorm) isFrozen() bool { return u.freeze != nil && u.freeze.on }

// Forward normalises with the batch's statistics in training, unless the layer is frozen, and with the running statistics
// otherwise.
func (u *batchNorm) Forward(x *device.Tensor, mode Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	if u.joined != nil && mode == Training {
		u.joined.Forward(u.y, x, u.before.x, u.gamma.Value, u.beta.Value, u.mean.Value, u.variance.Value)
		return u.y
	}
	if u.joinedConv != nil && mode == Training {
		_, images := u.conv.forward(mode)
		u.joinedConv.Forward(u.y, x, images, u.conv.w.ComputeCopy, u.gamma.Value, u.beta.Value, u.mean.Value, u.variance.Value)
		return u.y
	}
	run := u.plan.Forward
	if mode == Inference || u.isFrozen() {
		run = u.plan.Inference
	}
	run(u.y, x, u.gamma.Value, u.beta.Value, u.mean.Value, u.variance.Value)
	return u.y
}

// Backward computes dgamma, dbeta and, in place of dy, dx.
func (u *batchNorm) Backward(dy *device.Tensor) *device.Tensor {
	if u.isFrozen() {
		if !u.needs {
			return nil
		}
		u.plan.Inference(dy, dy, u.gamma.Value, u.zeros, u.zeros, u.variance.Value)
		return dy
	}
	if u.joined != nil {
		dx := u.before.dx
		dx.SetRows(dy.Rows())
		u.joined.Backward(dx, u.gamma.Grad, u.beta.Grad, dy, u.x, u.gamma.Value, u.beta.Value)
		return dx
	}
	if u.joinedConv != nil {
		u.joinedConv.Backward(dy, u.gamma.Grad, u.beta.Grad, dy, u.x, u.gamma.Value, u.beta.Value)
		return dy
	}
	dx := dy
	if u.dx != nil {
		dx = u.dx
		dx.SetRows(dy.Rows())
	}
	u.plan.Backward(dx, u.gamma.Grad, u.beta.Grad, dy, u.x, u.gamma.Value, u.beta.Value)
	if !u.needs {
		return nil
	}
	return dx
}

// Graph describes the normalisation by the running statistics.
func (l BatchNorm) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	setting.Complete(&l)
	return g.BatchNorm(x, "running_mean", "running_var", float64(l.Epsilon)), nil
}

// Explain describes the normalisation by the running statistics.
func (l BatchNorm) Explain(Shape) explain.Rule {
	setting.Complete(&l)
	return explain.Normalization{
		Formula: explain.Formula{
			Forward:  "xhat[i] = (x[i] - mean) / sqrt(var + epsilon)\ny[i] = gamma xhat[i] + beta",
			Backward: "dx[i] = gamma / sqrt(var + epsilon) dy[i]",
			Weights:  "dbeta = sum_i dy[i]        dgamma = sum_i dy[i] xhat[i]",
		},
		Epsilon: float64(l.Epsilon), Mean: "running_mean", Variance: "running_var",
	}
}
