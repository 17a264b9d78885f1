//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

var _ device.FusedConvPoolBatchNorm = (*Device)(nil)

// convPoolBatchNorm is the plan of a convolution of few channels with its pooling, and of a batch normalisation after it: the
// convolution leaves the moments. If cuDNN computes the convolution's gradients, the normalisation's backward pass writes the
// gradient of the images before pooling, which those read. Each pass is two launches, apart from those gradients.
type convPoolBatchNorm struct {
	conv   *convPool
	norm   *batchNorm
	unpool *cuda.Kernel
}

// NewConvPoolBatchNorm joins the plans of a convolution with pooling by conv_small.cu, without ReLU, and of a batch normalisation with an
// activation.
func (d *Device) NewConvPoolBatchNorm(conv device.Conv2D, norm device.BatchNorm) (device.ConvPoolBatchNorm, error) {
	const op = "conv2d and pooling with batchnorm"
	c, pools := conv.(*convPool)
	n, normalizes := norm.(*batchNorm)
	if !pools || !normalizes || c.small == nil || !c.small.moments() || c.relu || c.spec.Bias || n.spec.NoBackward || n.function == nil {
		return nil, d.error(op, device.ErrNotSupported)
	}
	if s := c.pool; n.spec.Rows != s.N*s.OutH()*s.OutW() || n.spec.C != s.C || n.spec.DType != c.spec.DType {
		panic(fmt.Sprintf("gpu: NewConvPoolBatchNorm: pooling gives %v[%d %d], the normalisation is of %v[%d %d]",
			c.spec.DType, s.N*s.OutH()*s.OutW(), s.C, n.spec.DType, n.spec.Rows, n.spec.C))
	}
	return build(d, op, func(b *builder) device.ConvPoolBatchNorm {
		return &convPoolBatchNorm{c, n, b.family(kernels.BatchNormUnpool(n.function.Name), c.spec.DType)}
	})
}

func (p *convPoolBatchNorm) Forward(y, pooled, x, w, gamma, beta, runningMean, runningVar *device.Tensor) {
	const op = "conv2d and pooling with batchnorm forward"
	c, d := p.conv, p.conv.d
	images := c.checkForward(op, pooled, nil)
	c.checkSmall(op, images, "x", x, "w", w)
	rows := p.norm.checkForward(op, y, pooled, gamma, beta, runningMean, runningVar)
	c.spread, c.joined = false, false
	p.norm.forwardRows = rows
	if !d.begin(op) {
		return
	}
	defer d.end()
	c.small.run(d, pooled, x, w, nil, c.positions(), p.norm, runningMean, runningVar)
	p.norm.apply(y, pooled, gamma, beta, p.norm.mean, p.norm.variance, rows)
}

func (p *convPoolBatchNorm) Backward(dpooled, dgamma, dbeta, dy, pooled, gamma, beta *device.Tensor) {
	const op = "conv2d and pooling with batchnorm backward"
	c, d := p.conv, p.conv.d
	if c.between == nil {
		p.norm.Backward(dpooled, dgamma, dbeta, dy, pooled, gamma, beta)
		return
	}
	rows := p.norm.checkBackward(op, dpooled, dgamma, dbeta, dy, pooled, gamma, beta)
	c.between.SetRows(c.checkPooled(op, "pooled", pooled))
	c.joined = true
	if !d.begin(op) {
		return
	}
	defer d.end()
	l := p.norm.sumsOf(dgamma, dbeta, dy, pooled, gamma, beta, rows)
	a := p.norm.gradientArguments(c.between, dy, pooled, gamma, beta)
	p.norm.columns(a, l, rows)
	imageArguments(a.Pointer(c.positions()), c.pool)
	d.launch(p.unpool, l.Grid)
}
