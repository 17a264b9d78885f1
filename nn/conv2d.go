package nn

import (
	"fmt"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// Conv2D slides outC small filters over an image: each output is the inner product of a
// filter with the window of the input under it, plus a bias. (As everywhere in deep
// learning it is a cross-correlation: the filter is not flipped.)
//
// Shapes: x [n, h, w, inC], filters w [outC, kH, kW, inC/groups], bias [outC], and
// y [n, outH, outW, outC] with
//
//	outH = floor((h + padTop + padBottom - dilationH (kH-1) - 1) / strideH) + 1
//
// Forward:
//
//	y[n,i,j,o] = bias[o] + sum_{a,b,c} x[n, i*strideH + a*dilationH - padTop, j*strideW + b*dilationW - padLeft, c] w[o,a,b,c]
//
// with zeros outside the image. With groups, the channels are split into as many parts
// and each filter sees only its own part's inC/groups channels.
//
// Backward. y is linear in w, in x and in the bias, so the gradient of each is the sum,
// over all places where it occurs, of dy times the factor it is multiplied by:
//
//	dbias[o]    = sum_{n,i,j} dy[n,i,j,o]
//	dw[o,a,b,c] = sum_{n,i,j} dy[n,i,j,o] x[n, i*strideH + a*dilationH - padTop, ..., c]
//	dx[n,p,q,c] = sum_{o,a,b} dy[n,i,j,o] w[o,a,b,c]  over all i, j with i*strideH + a*dilationH - padTop = p, ...
//
// The formula for dx is the forward pass with the roles of input and output exchanged:
// every output sends its gradient back to where it came from, along the same weight.
//
// Code: nn/device/reference/conv2d.go (the formula in loops), cpu/conv2d.go, gpu/conv2d.go (cuDNN),
// gpu/conv_small.go (few channels, then pooling). Test:
// nn/device/devicetest/conv2d.go.
type Conv2D struct {
	OutC    int
	Kernel  Pair
	Stride  Pair
	Padding Pair // zeros above and at the left, and by default as many below and at the right
	// ExtraPadding is how many more zeros are below and at the right than Padding says; it may be negative.
	ExtraPadding Pair
	Dilation     Pair // distance between neighbouring elements of the filter
	// Same sets the padding that keeps the image's size at stride 1, dilation*(kernel-1). Half of it is on either side; if
	// it is odd, one more zero is below and at the right, as in PyTorch.
	Same bool
	// SameUpper and SameLower set the padding that makes the output ceil(size/stride) high and wide. If it is odd, one more
	// zero is below and at the right with SameUpper (TensorFlow's SAME), and above and at the left with SameLower.
	SameUpper, SameLower bool

	Groups   int
	NoBias   bool
	Init     Initializer // of the filters; nil means PyTorchDefault
	BiasInit Initializer // nil means PyTorchDefault
	Frozen   bool        // the filters keep their initial values; the bias is still trained
}

func conv2DKind() LayerKind {
	return LayerKind{Name: "conv2d", Doc: "convolution", Family: WithWeights, New: func() Layer { return Conv2D{} }}
}

// Settings declares the keys of recipes.
func (c *Conv2D) Settings(s *setting.List) {
	one := setting.AtLeast(1)
	s.Int(&c.OutC, "out", 0, one, "number of filters, the channels of the output").Require()
	s.Pair(&c.Kernel.H, &c.Kernel.W, "kernel", 0, one, "height and width of the window: 3 or [3, 5]").Require().Show("%s")
	s.Pair(&c.Stride.H, &c.Stride.W, "stride", 1, one, "rows and columns from one window to the next").Show("stride %d")
	c.paddings().declare(s, "rows and columns of zeros on each side, or [top, left, bottom, right]")
	s.Pair(&c.Dilation.H, &c.Dilation.W, "dilation", 1, one, "distance between the elements of a filter").Show("dilation %d")
	s.Int(&c.Groups, "groups", 1, one, "split of the channels into independent convolutions").Show("%d groups")
	s.Unless(&c.NoBias, "bias", "add a bias to each output")
	s.Nested(&c.Init, "init", "pytorch", "initial weights, see initialisers")
	s.Nested(&c.BiasInit, "bias-init", "pytorch", "initial bias, see initialisers")
	s.Bool(&c.Frozen, "frozen", "never train the filters; a bias is still trained").Show("frozen")
}

func (c *Conv2D) paddings() paddingSettings {
	return paddingSettings{&c.Padding, &c.ExtraPadding, &c.Same, &c.SameUpper, &c.SameLower}
}

// Check returns an error if the settings contradict each other.
func (c *Conv2D) Check() error { return c.paddings().check() }

// Kind returns "conv2d".
func (c Conv2D) Kind() string { return "conv2d" }

// Stem returns "conv": "conv1" is easier to read than "conv2d1".
func (c Conv2D) Stem() string { return "conv" }

// OutputShape returns [outH outW outC].
func (c Conv2D) OutputShape(in Shape) (Shape, error) {
	if err := setting.Check(&c); err != nil {
		return nil, err
	}
	h, w, inC, err := in.image()
	if err != nil {
		return nil, err
	}
	setting.Complete(&c)
	if inC%c.Groups != 0 || c.OutC%c.Groups != 0 {
		return nil, fmt.Errorf("got %d channels for %d filters in %d groups, needs both divisible by the groups", inC, c.OutC, c.Groups)
	}
	outH, outW, err := c.window().output(h, w, inC)
	if err != nil {
		return nil, err
	}
	return Shape{outH, outW, c.OutC}, checkElements("the filters", c.OutC, c.Kernel.H, c.Kernel.W, inC/c.Groups)
}

// window is the filter as it moves over the image.
func (c Conv2D) window() window {
	setting.Complete(&c)
	v := window{kernel: c.Kernel, stride: c.Stride, dilation: c.Dilation, padding: c.Padding, extra: c.ExtraPadding, fit: fitOf(c.SameUpper, c.SameLower)}
	if c.Same {
		v.padding.H, v.extra.H = fitUpper.split(v.dilation.H * (c.Kernel.H - 1))
		v.padding.W, v.extra.W = fitUpper.split(v.dilation.W * (c.Kernel.W - 1))
	}
	return v
}

// spec returns the device's description of the convolution.
func (c Conv2D) spec(b *Builder, in Shape) device.Conv2DSpec {
	setting.Complete(&c)
	v := c.window().at(in[0], in[1])
	return device.Conv2DSpec{
		N: b.batch, H: in[0], W: in[1], InC: in[2],
		OutC: c.OutC, KH: c.Kernel.H, KW: c.Kernel.W,
		StrideH: v.stride.H, StrideW: v.stride.W,
		PadH: v.padding.H, PadW: v.padding.W, ExtraPadH: v.extra.H, ExtraPadW: v.extra.W,
		DilationH: v.dilation.H, DilationW: v.dilation.W,
		Groups: c.Groups, Bias: !c.NoBias, DType: b.dtype,
		NoBackward: !b.train, NoBackwardData: !b.NeedsInputGradient(),
	}.Simplified()
}

// Build allocates weight, bias and output.
func (c Conv2D) Build(b *Builder, in Shape) (BuiltLayer, error) {
	spec := c.spec(b, in)
	plan, err := b.dev.NewConv2D(spec)
	if err != nil {
		return nil, err
	}
	return c.unit(b, in, spec, plan, Shape{spec.OutH(), spec.OutW(), c.OutC}, nil)
}

// buildFused fuses the convolution with a following max pooling and ReLU, in either order,
// or with ReLU alone, or with an activation if neither filters nor input need a gradient.
func (c Conv2D) buildFused(b *Builder, in Shape, next []Layer) (u BuiltLayer, fused int, err error) {
	if u, ok, err := c.buildActivated(b, in, next[0]); ok || err != nil {
		return u, 1, err
	}
	if pool, relu, count := poolAndReLU(next); count > 0 {
		if u, ok, err := c.buildPooled(b, in, pool, relu); ok || err != nil {
			return u, count, err
		}
	}
	u, ok, err := c.buildReLU(b, in, next[0])
	if !ok {
		return nil, 0, err
	}
	return u, 1, err
}

// poolAndReLU returns the max pooling at the start of layers, alone, before ReLU or after ReLU, and the number of
// layers that make it up, 0 without a pooling. The order doesn't change the result, because ReLU is monotonic.
func poolAndReLU(layers []Layer) (pool MaxPool2D, relu bool, count int) {
	follows := len(layers) > 1
	if pool, ok := layers[0].(MaxPool2D); ok {
		if follows && isReLU(layers[1]) {
			return pool, true, 2
		}
		return pool, false, 1
	}
	if follows && isReLU(layers[0]) {
		if pool, ok := layers[1].(MaxPool2D); ok {
			return pool, true, 2
		}
	}
	return MaxPool2D{}, false, 0
}

// buildPooled builds the convolution fused with a pooling. ok is false if the device doesn't support that.
func (c Conv2D) buildPooled(b *Builder, in Shape, pool MaxPool2D, relu bool) (u BuiltLayer, ok bool, err error) {
	dev, ok := b.dev.(device.FusedConvPool)
	if !ok {
		return nil, false, nil
	}
	spec := c.spec(b, in)
	between := Shape{spec.OutH(), spec.OutW(), c.OutC}
	out, err := pool.OutputShape(between)
	if err != nil {
		return nil, false, nil // building the pooling by itself reports the error, with the pooling's name
	}
	pooling := pool.pooling().spec(b, between)
	if u, ok, err := c.buildOfActivated(b, in, spec, pooling, relu, out); ok || err != nil {
		return u, ok, err
	}
	plan, err := dev.NewConv2DMaxPool(spec, pooling, relu)
	if err != nil {
		if declined(err) {
			return nil, false, nil
		}
		return nil, false, err
	}
	unit, err := c.unit(b, in, spec, plan, out, nil)
	if err != nil {
		return nil, false, err
	}
	unit.pools = !relu
	return unit, true, nil
}

// buildReLU builds the convolution fused with ReLU. ok is false if the next layer isn't
// ReLU, or if the device doesn't support that.
func (c Conv2D) buildReLU(b *Builder, in Shape, next Layer) (u BuiltLayer, ok bool, err error) {
	dev, ok := b.dev.(device.FusedEpilogue)
	if !ok || !isReLU(next) {
		return nil, false, nil
	}
	spec := c.spec(b, in)
	plan, err := dev.NewConv2DReLU(spec)
	if err != nil {
		if declined(err) {
			return nil, false, nil
		}
		return nil, false, err
	}
	relu, err := b.dev.NewActivation(device.ActivationSpec{Function: reluFunction, Len: b.batch * spec.OutH() * spec.OutW() * spec.OutC, DType: b.dtype})
	if err != nil {
		return nil, false, err
	}
	u, err = c.unit(b, in, spec, plan, Shape{spec.OutH(), spec.OutW(), c.OutC}, relu)
	return u, true, err
}

// unit completes a plan with its tensors; out is the shape of its output. relu is nil
// unless the plan leaves ReLU's derivative to Backward.
func (c Conv2D) unit(b *Builder, in Shape, spec device.Conv2DSpec, plan device.Conv2D, out Shape, relu device.Activation) (*conv2D, error) {
	u := &conv2D{plan: plan, relu: relu}
	b.AddMemory(plan.Workspace())
	b.AddFLOPs(spec.FLOPs(1))
	if !spec.NoBackwardData {
		b.InputGradient(in, &u.dx)
	}
	var err error
	if u.w, u.bias, err = c.params(b, in); err != nil {
		return nil, err
	}
	return u, b.Output(out, &u.y)
}

// params allocates the filters and the bias, which has no tensors if the layer has no bias.
func (c Conv2D) params(b *Builder, in Shape) (w, bias *Param, err error) {
	setting.Complete(&c)
	window := c.Kernel.H * c.Kernel.W
	fanIn, fanOut := window*in[2]/c.Groups, window*c.OutC/c.Groups
	if w, err = b.Param(ParamSpec{
		Name: "weight", Role: Weight, Shape: []int{c.OutC, c.Kernel.H, c.Kernel.W, in[2] / c.Groups},
		Init: orDefault(c.Init), FanIn: fanIn, FanOut: fanOut, Frozen: c.Frozen, HasComputeCopy: true, HasLowPrecisionGrad: true,
	}); err != nil {
		return nil, nil, err
	}
	bias = &Param{}
	if !c.NoBias {
		if bias, err = b.Param(ParamSpec{
			Name: "bias", Role: Bias, Shape: []int{c.OutC},
			Init: orDefault(c.BiasInit), FanIn: fanIn, FanOut: fanOut,
		}); err != nil {
			return nil, nil, err
		}
	}
	return w, bias, nil
}

type conv2D struct {
	plan     device.Conv2D
	relu     device.Activation // nil unless fused without pooling
	w, bias  *Param            // bias has no tensors if the layer has no bias
	x, y, dx *device.Tensor    // dx nil if nothing before this layer is trained

	endsBackward bool                    // nothing before this layer needs a gradient any more
	pools        bool                    // the plan is fused with a max pooling, without ReLU
	before       *activatedConv2D        // whose work is done here in training: see buildOfActivated; nil without
	of           device.ConvOfActivation // of before and plan
	joined       bool                    // a batch normalisation after this layer does its work in training: see joinPooling
}

func (u *conv2D) setInputGradient(on bool) { u.endsBackward = !on }

// Forward computes y, with the fused layers.
func (u *conv2D) Forward(x *device.Tensor, mode Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	if !u.joined || mode == Inference {
		plan, x := u.forward(mode)
		plan.Forward(u.y, x, u.w.ComputeCopy, u.bias.Value)
	}
	return u.y
}

// forward returns the plan of a pass, and its x.
func (u *conv2D) forward(mode Mode) (device.ConvForward, *device.Tensor) {
	if u.before != nil && mode == Training {
		return u.of, u.before.x
	}
	return u.plan, u.x
}

// Backward computes dw, dbias and dx. If ReLU is fused, its derivative follows from the
// output: 1 where y > 0.
func (u *conv2D) Backward(dy *device.Tensor) *device.Tensor {
	if u.relu != nil {
		u.relu.Backward(dy, dy, u.y, u.y)
	}
	if u.before != nil {
		u.backwardOf(dy)
		return nil // nothing before it is trained but the bias
	}
	if u.w.Grad != nil || u.bias.Grad != nil {
		u.plan.BackwardFilter(u.w.LowPrecisionGrad, u.bias.Grad, dy, u.x)
	}
	if u.dx == nil || u.endsBackward {
		return nil
	}
	u.dx.SetRows(dy.Rows())
	u.plan.BackwardData(u.dx, dy, u.w.ComputeCopy)
	return u.dx
}

// backwardOf computes dw, and the gradient of the bias before, unless its training has ended.
func (u *conv2D) backwardOf(dy *device.Tensor) {
	dbias := u.before.bias.Grad
	if u.endsBackward {
		dbias = nil
	}
	u.of.Backward(u.w.LowPrecisionGrad, dbias, dy, u.before.x, u.w.ComputeCopy)
}

// Graph describes the convolution.
func (c Conv2D) Graph(g *graph.Builder, x graph.Value, in Shape) (graph.Value, error) {
	out, err := c.OutputShape(in)
	if err != nil {
		return x, err
	}
	setting.Complete(&c)
	a := c.window().attributes(in)
	a.Groups = c.Groups
	return g.Conv(x, out, !c.NoBias, a), nil
}

// Explain returns the products of each output.
func (c Conv2D) Explain(in Shape) explain.Rule {
	setting.Complete(&c)
	v := c.window()
	w := explain.Convolution{Sliding: explain.Sliding{Rows: v.rows(in[0]), Columns: v.columns(in[1]), InC: in[2]}, OutC: c.OutC, Groups: c.Groups}
	return explain.Linear{
		Formula: explain.Formula{
			Forward:  "y[n,i,j,o] = bias[o] + sum_{a,b,c} x[n, i*strideH + a*dilationH - padTop, j*strideW + b*dilationW - padLeft, c] w[o,a,b,c]",
			Backward: "dx[n,p,q,c] = sum_{o,a,b} dy[n,i,j,o] w[o,a,b,c]  over all i, j with i*strideH + a*dilationH - padTop = p, ...",
			Weights:  "dbias[o]    = sum_{n,i,j} dy[n,i,j,o]\ndw[o,a,b,c] = sum_{n,i,j} dy[n,i,j,o] x[n, i*strideH + a*dilationH - padTop, ..., c]",
		},
		Weight: "weight", Bias: explainIf(!c.NoBias, "bias"), Products: w.Products, Window: w.Window,
	}
}
