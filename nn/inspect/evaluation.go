package inspect

import (
	"fmt"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/setting"
)

// evaluation returns a layer that computes in both passes what the given one computes in inference.
func evaluation(l nn.Layer) nn.Layer {
	switch l := l.(type) {
	case nn.BatchNorm:
		return fixedNorm{l}
	case *nn.BatchNorm:
		return fixedNorm{*l}
	case nn.Dropout, *nn.Dropout:
		return nn.Dropout{}
	}
	return l
}

// fixedNorm is batch normalisation by the running statistics in both passes:
//
//	y[i] = gamma xhat[i] + beta                       xhat[i] = (x[i] - mean) / sqrt(var + epsilon)
//	dx[i] = gamma / sqrt(var + epsilon) dy[i]         dbeta = sum_i dy[i]        dgamma = sum_i dy[i] xhat[i]
//
// with the fixed mean and var of the channel. xhat and dx are both the device's inference, of x with gamma 1 and beta 0,
// and of dy with mean 0 and beta 0.
type fixedNorm struct{ nn.BatchNorm }

// Build allocates what nn.BatchNorm allocates, under the same names.
func (l fixedNorm) Build(b *nn.Builder, in nn.Shape) (nn.BuiltLayer, error) {
	norm := l.BatchNorm
	setting.Complete(&norm)
	c := in[len(in)-1]
	rows, dev := in.Len()/c, b.Device()
	u := &fixed{}
	var err error
	if u.plan, err = dev.NewBatchNorm(device.BatchNormSpec{Rows: b.Batch() * rows, C: c, Epsilon: norm.Epsilon, Momentum: norm.Momentum, NoBackward: true}); err != nil {
		return nil, err
	}
	s := device.ReduceSpec{Kind: device.ReduceSum, Batch: b.Batch(), Rows: rows, C: c, Keep: device.AxisC}
	if u.sum, err = dev.NewReduce(s); err != nil {
		return nil, err
	}
	s.Kind = device.ReduceSumProducts
	if u.products, err = dev.NewReduce(s); err != nil {
		return nil, err
	}
	if u.gamma, err = b.Param(nn.ParamSpec{Name: "weight", Role: nn.Gain, Shape: []int{c}, Init: nn.Ones(), FanIn: 1, FanOut: 1, Frozen: norm.FrozenScale}); err != nil {
		return nil, err
	}
	if u.beta, err = b.Param(nn.ParamSpec{Name: "bias", Role: nn.Bias, Shape: []int{c}, Init: nn.Zeros(), FanIn: 1, FanOut: 1}); err != nil {
		return nil, err
	}
	if u.mean, err = b.State("running_mean", 0, c); err != nil {
		return nil, err
	}
	if u.variance, err = b.State("running_var", 1, c); err != nil {
		return nil, err
	}
	if err := u.constants(b, c); err != nil {
		return nil, fmt.Errorf("batch normalisation: %w", err)
	}
	if u.xhat, err = b.Tensor(device.Float32, append([]int{b.Batch()}, in...)...); err != nil {
		return nil, err
	}
	return u, b.Output(in, &u.y)
}

type fixed struct {
	plan           device.BatchNorm
	sum, products  device.Reduce
	gamma, beta    *nn.Param
	mean, variance *nn.Param
	ones, zeros    *device.Tensor // [c]
	x, xhat, y     *device.Tensor
}

// constants makes ones and zeros.
func (u *fixed) constants(b *nn.Builder, c int) (err error) {
	ones := make([]float32, c)
	for k := range ones {
		ones[k] = 1
	}
	if u.ones, err = b.Constant(ones, c); err != nil {
		return err
	}
	u.zeros, err = b.Constant(make([]float32, c), c)
	return err
}

// Forward computes y, in either mode.
func (u *fixed) Forward(x *device.Tensor, _ nn.Mode) *device.Tensor {
	u.x = x
	u.plan.Inference(u.y, x, u.gamma.Value, u.beta.Value, u.mean.Value, u.variance.Value)
	return u.y
}

// Backward computes dgamma, dbeta and, in place of dy, dx.
func (u *fixed) Backward(dy *device.Tensor) *device.Tensor {
	if u.gamma.Grad != nil {
		u.plan.Inference(u.xhat, u.x, u.ones, u.zeros, u.mean.Value, u.variance.Value)
		u.products.Run(u.gamma.Grad, dy, u.xhat)
	}
	if u.beta.Grad != nil {
		u.sum.Run(u.beta.Grad, dy, nil)
	}
	u.plan.Inference(dy, dy, u.gamma.Value, u.zeros, u.zeros, u.variance.Value)
	return dy
}
