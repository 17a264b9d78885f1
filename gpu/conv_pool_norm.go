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
// convolution leaves the moments. What the normalisation's backward pass does after its sums depends on the convolution's:
//
//	cuDNN computes the gradients            it writes the gradient of the images before pooling, which those read
//	conv_small.cu does, that of the data    it writes the gradient of the pooled images
//	conv_small.cu does, not of the data     nothing: the convolution's pass computes that gradient as it loads dy (normGradient)
type convPoolBatchNorm struct {
	conv   *convPool
	of     *convOfActivation // whose second convolution conv is; nil without
	norm   *batchNorm
	unpool *cuda.Kernel
}

// NewConvPoolBatchNorm joins the plans of a convolution with pooling by conv_small.cu, without ReLU, and of a batch normalisation with an
// activation.
func (d *Device) NewConvPoolBatchNorm(conv device.ConvForward, norm device.BatchNorm) (device.ConvPoolBatchNorm, error) {
	const op = "conv2d and pooling with batchnorm"
	c, pools := conv.(*convPool)
	of, activated := conv.(*convOfActivation)
	if activated {
		c, pools = of.conv, true
	}
	n, normalizes := norm.(*batchNorm)
	if !pools || !normalizes || c.small == nil || !c.small.moments() || c.relu || c.spec.Bias || n.spec.NoBackward || n.function == nil {
		return nil, d.error(op, device.ErrNotSupported)
	}
	if s := c.pool; n.spec.Rows != s.N*s.OutH()*s.OutW() || n.spec.C != s.C || n.spec.DType != c.spec.DType {
		panic(fmt.Sprintf("gpu: NewConvPoolBatchNorm: pooling gives %v[%d %d], the normalisation is of %v[%d %d]",
			c.spec.DType, s.N*s.OutH()*s.OutW(), s.C, n.spec.DType, n.spec.Rows, n.spec.C))
	}
	return build(d, op, func(b *builder) device.ConvPoolBatchNorm {
		return &convPoolBatchNorm{c, of, n, b.family(kernels.BatchNormUnpool(n.function.Name), c.spec.DType)}
	})
}

func (p *convPoolBatchNorm) Forward(y, pooled, x, w, gamma, beta, runningMean, runningVar *device.Tensor) {
	const op = "conv2d and pooling with batchnorm forward"
	c, d := p.conv, p.conv.d
	in := smallInput{x: x}
	if p.of != nil {
		p.of.check(op, "pooled", pooled, x, w)
		in = p.of.input(x)
	} else {
		c.checkSmall(op, c.checkForward(op, pooled, nil), "x", x, "w", w)
	}
	rows := p.norm.checkForward(op, y, pooled, gamma, beta, runningMean, runningVar)
	c.begin()
	p.norm.forwardRows = rows
	if !d.begin(op) {
		return
	}
	defer d.end()
	c.small.run(d, pooled, in, w, nil, c.positions(), p.norm, runningMean, runningVar)
	p.norm.apply(y, pooled, gamma, beta, p.norm.mean, p.norm.variance, rows)
}

func (p *convPoolBatchNorm) Backward(dpooled, dgamma, dbeta, dy, pooled, gamma, beta *device.Tensor) {
	const op = "conv2d and pooling with batchnorm backward"
	c, d := p.conv, p.conv.d
	leaves := p.norm.function.Name == "gelu" && c.between == nil && (p.of != nil || c.spec.NoBackwardData)
	if c.between == nil && !leaves {
		p.norm.Backward(dpooled, dgamma, dbeta, dy, pooled, gamma, beta)
		return
	}
	rows := p.norm.checkBackward(op, dpooled, dgamma, dbeta, dy, pooled, gamma, beta)
	images := c.checkPooled(op, "pooled", pooled)
	if !d.begin(op) {
		return
	}
	defer d.end()
	l := p.norm.sumsOf(dgamma, dbeta, dy, pooled, gamma, beta, rows)
	if leaves {
		c.through = normGradient{p.norm, dy, pooled, gamma, beta, rows}
		return
	}
	c.between.SetRows(images)
	c.joined = true
	a := p.norm.gradientArguments(c.between, dy, pooled, gamma, beta)
	p.norm.columns(a, l, rows)
	imageArguments(a.Pointer(c.positions()), c.pool)
	d.launch(p.unpool, l.Grid)
}

// normGradient is a batch normalisation with GELU, whose sums have been computed, on the way to the gradient with respect to its input
// y. The zero value is none.
type normGradient struct {
	norm               *batchNorm
	dy, y, gamma, beta *device.Tensor
	rows               int
}

// gradient returns the gradient with respect to the normalisation's output, or without a normalisation dy.
func (g normGradient) gradient(dy *device.Tensor) *device.Tensor {
	if g.norm == nil {
		return dy
	}
	return g.dy
}

// arguments adds the operands of the normalisation's backward pass, as conv_small_filter takes them.
func (g normGradient) arguments(d *Device, a *cuda.Args) {
	if g.norm == nil {
		for range 6 {
			a.Pointer(0)
		}
		a.Float32(0).Int32(0)
		return
	}
	d.hold(g.norm.kept)
	g.norm.normArguments(a, g.y, g.gamma, g.beta).Pointer(g.norm.total).Float32(g.norm.spec.Epsilon).Int32(int32(g.rows))
}
