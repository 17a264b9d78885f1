package nn

import (
	"fmt"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// ConvTranspose2D makes an image larger with small filters: every pixel of the input is multiplied by a filter, and the
// products are added up where they overlap in the output. It is the data gradient of a convolution used as a layer (Zeiler
// et al., "Deconvolutional Networks", 2010; Dumoulin and Visin, "A guide to convolution arithmetic for deep learning",
// 2016, section 4), and is also called a fractionally strided convolution or, misleadingly, a deconvolution.
//
// Shapes: x [n, h, w, inC], filters w [inC, kH, kW, outC/groups], bias [outC], and y [n, outH, outW, outC] with, as in
// PyTorch's ConvTranspose2d,
//
//	outH = (h - 1) strideH - padTop - padBottom + dilationH (kH-1) + outputPadH + 1
//
// Forward: pixel (i, j) of x goes to the pixels (i*strideH + a*dilationH - padTop, ...) of y:
//
//	y[n,p,q,o] = bias[o] + sum_{c,a,b} x[n,i,j,c] w[c,a,b,o]  over all i, j with i*strideH + a*dilationH - padTop = p, ...
//
// Padding takes pixels of y away, where a convolution adds some to x. A convolution of stride s gives images of s different
// heights the same output height; OutputPadding says which of these heights y has. The rows that it adds have no zeros of
// their own: they are the products that would otherwise be cut off.
//
// Backward. The sum above is the formula of dx in conv2d.go, with the filters' first and last dimension in the places of
// output and input channels: y = C^T x for the linear map C of a convolution from images like y to images like x. The
// transpose of C^T is C, so dx is that convolution of dy, and w enters C once at every place, as it does there:
//
//	dx[n,i,j,c]  = sum_{a,b,o} dy[n, i*strideH + a*dilationH - padTop, j*strideW + b*dilationW - padLeft, o] w[c,a,b,o]
//	dw[c,a,b,o]  = sum_{n,i,j} x[n,i,j,c] dy[n, i*strideH + a*dilationH - padTop, j*strideW + b*dilationW - padLeft, o]
//	dbias[o]     = sum_{n,p,q} dy[n,p,q,o]
//
// So all three passes are those of the plan of C: its data gradient, its forward pass, and its filter gradient with the
// images exchanged.
//
// Code: composed of nn/device/reference/conv2d.go, nn/device/reference/map.go (the bias) and nn/device/reference/reduce.go
// (its gradient).
type ConvTranspose2D struct {
	OutC         int
	Kernel       Pair
	Stride       Pair
	Padding      Pair // rows and columns taken away above and at the left, and by default as many below and at the right
	ExtraPadding Pair // how many more are taken away below and at the right than Padding says; may be negative
	// SameUpper and SameLower set the padding that makes the output stride times as high and wide as the input; if it is
	// odd, one more row and column is taken away below and at the right with SameUpper (TensorFlow's SAME), and above and
	// at the left with SameLower. Where filters are smaller than the stride, output padding fills the rest.
	SameUpper, SameLower bool
	OutputPadding        Pair // rows and columns added below and at the right; less than the stride or the dilation
	Dilation             Pair // distance between neighbouring elements of the filter
	Groups               int
	NoBias               bool
	Init                 Initializer // of the filters; nil means PyTorchDefault
	BiasInit             Initializer // nil means PyTorchDefault
}

func convTranspose2DKind() LayerKind {
	return LayerKind{
		Name: "conv2d-transpose", Doc: "transposed convolution, which makes an image larger", Family: WithWeights,
		New: func() Layer { return ConvTranspose2D{} },
	}
}

// Settings declares the keys of recipes.
func (c *ConvTranspose2D) Settings(s *setting.List) {
	one := setting.AtLeast(1)
	s.Int(&c.OutC, "out", 0, one, "channels of the output").Require()
	s.Pair(&c.Kernel.H, &c.Kernel.W, "kernel", 0, one, "height and width of the filters: 3 or [3, 5]").Require().Show("%s")
	s.Pair(&c.Stride.H, &c.Stride.W, "stride", 1, one, "rows and columns of the output for each of the input").Show("stride %d")
	c.paddings().declare(s, "rows and columns taken away on each side, or [top, left, bottom, right]")
	s.Pair(&c.OutputPadding.H, &c.OutputPadding.W, "output-padding", 0, setting.AtLeast(0), "rows and columns added below and at the right").
		Show("output padding %d")
	s.Pair(&c.Dilation.H, &c.Dilation.W, "dilation", 1, one, "distance between the elements of a filter").Show("dilation %d")
	s.Int(&c.Groups, "groups", 1, one, "split of the channels into independent convolutions").Show("%d groups")
	s.Unless(&c.NoBias, "bias", "add a bias to each output")
	s.Nested(&c.Init, "init", "pytorch", "initial weights, see initialisers")
	s.Nested(&c.BiasInit, "bias-init", "pytorch", "initial bias, see initialisers")
}

func (c *ConvTranspose2D) paddings() paddingSettings {
	return paddingSettings{&c.Padding, &c.ExtraPadding, nil, &c.SameUpper, &c.SameLower}
}

// Check returns an error if the settings contradict each other.
func (c *ConvTranspose2D) Check() error {
	most := Pair{max(c.Stride.H, c.Dilation.H) - 1, max(c.Stride.W, c.Dilation.W) - 1}
	if c.OutputPadding.H > most.H || c.OutputPadding.W > most.W {
		return &setting.Error{
			Key: "output-padding",
			Msg: fmt.Sprintf("is %v, needs at most %v: less than the stride or the dilation, whichever is larger", c.OutputPadding, most),
		}
	}
	if (c.SameUpper || c.SameLower) && c.OutputPadding != (Pair{}) {
		return &setting.Error{Key: "output-padding", Msg: fmt.Sprintf("is %v, needs 0 beside a padding that sets the output's size", c.OutputPadding)}
	}
	return c.paddings().check()
}

// Kind returns "conv2d-transpose".
func (c ConvTranspose2D) Kind() string { return "conv2d-transpose" }

// Stem returns "conv-transpose".
func (c ConvTranspose2D) Stem() string { return "conv-transpose" }

// transposed is one direction of a transposed convolution: the size of the output, what is taken away before and after it,
// and the output padding.
type transposed struct{ out, before, after, output int }

// end is the padding at the end of the convolution from images like the output to images like the input: it must give an
// image of the input's size, so what output padding adds to its own input is taken from its padding.
func (t transposed) end() int { return t.after - t.output }

// direction returns one direction for an input of the given size.
func (f fit) direction(size, kernel, stride, dilation, before, extra, output int) transposed {
	reach := dilation * (kernel - 1)
	if f != fitNone {
		surplus := (size-1)*stride + reach + 1 - size*stride
		before, extra = f.split(max(surplus, 0))
		output = max(-surplus, 0)
	}
	return transposed{(size-1)*stride + reach + 1 + output - 2*before - extra, before, before + extra, output}
}

// directions returns both directions for an input of h x w.
func (c ConvTranspose2D) directions(h, w int) (rows, columns transposed) {
	setting.Complete(&c)
	f := fitOf(c.SameUpper, c.SameLower)
	return f.direction(h, c.Kernel.H, c.Stride.H, c.Dilation.H, c.Padding.H, c.ExtraPadding.H, c.OutputPadding.H),
		f.direction(w, c.Kernel.W, c.Stride.W, c.Dilation.W, c.Padding.W, c.ExtraPadding.W, c.OutputPadding.W)
}

// OutputShape returns [outH outW outC].
func (c ConvTranspose2D) OutputShape(in Shape) (Shape, error) {
	if err := setting.Check(&c); err != nil {
		return nil, err
	}
	h, w, inC, err := in.image()
	if err != nil {
		return nil, err
	}
	setting.Complete(&c)
	if inC%c.Groups != 0 || c.OutC%c.Groups != 0 {
		return nil, fmt.Errorf("got %d channels for %d output channels in %d groups, needs both divisible by the groups", inC, c.OutC, c.Groups)
	}
	rows, columns := c.directions(h, w)
	if rows.out < 1 || columns.out < 1 {
		return nil, fmt.Errorf("got an image of %dx%d, whose output would be %v, needs less padding or a larger kernel or stride",
			h, w, Pair{rows.out, columns.out})
	}
	padded := Pair{rows.out + max(rows.before, 0) + max(rows.end(), 0), columns.out + max(columns.before, 0) + max(columns.end(), 0)}
	if err := checkElements("with the padding that is taken away its output", padded.H, padded.W, c.OutC); err != nil {
		return nil, err
	}
	return Shape{rows.out, columns.out, c.OutC}, checkElements("the filters", inC, c.Kernel.H, c.Kernel.W, c.OutC/c.Groups)
}

// spec returns the device's description of the convolution from images like y to images like x.
func (c ConvTranspose2D) spec(b *Builder, in Shape) device.Conv2DSpec {
	setting.Complete(&c)
	rows, columns := c.directions(in[0], in[1])
	return device.Conv2DSpec{
		N: b.batch, H: rows.out, W: columns.out, InC: c.OutC,
		OutC: in[2], KH: c.Kernel.H, KW: c.Kernel.W, StrideH: c.Stride.H, StrideW: c.Stride.W,
		PadH: rows.before, PadW: columns.before, ExtraPadH: rows.end() - rows.before, ExtraPadW: columns.end() - columns.before,
		DilationH: c.Dilation.H, DilationW: c.Dilation.W, Groups: c.Groups, DType: b.dtype,
	}.Simplified()
}

// Build allocates weight, bias and output.
func (c ConvTranspose2D) Build(b *Builder, in Shape) (BuiltLayer, error) {
	spec := c.spec(b, in)
	out := Shape{spec.H, spec.W, c.OutC}
	k := &composer{b: b}
	u := &convTranspose2D{bias: &Param{}}
	u.conv = made(k, func() (device.Conv2D, error) { return b.dev.NewConv2D(spec) })
	if k.err != nil {
		return nil, k.err
	}
	b.AddMemory(u.conv.Workspace())
	b.AddFLOPs(spec.FLOPs(1))
	b.InputGradient(in, &u.dx)
	// PyTorch takes the channels of one group of the output for the inputs that an output sums over; so do its initial
	// values.
	taps := c.Kernel.H * c.Kernel.W
	fanIn, fanOut := taps*spec.InC/spec.Groups, taps*spec.OutC/spec.Groups
	u.w = k.param(ParamSpec{
		Name: "weight", Role: Weight, Shape: []int{spec.OutC, c.Kernel.H, c.Kernel.W, spec.InC / spec.Groups},
		Init: orDefault(c.Init), FanIn: fanIn, FanOut: fanOut, HasComputeCopy: true, HasLowPrecisionGrad: true,
	})
	if !c.NoBias {
		pixels := device.ReduceSpec{Kind: device.ReduceSum, Batch: b.batch, Rows: spec.H * spec.W, C: c.OutC, Keep: device.AxisC}
		u.bias = k.param(ParamSpec{Name: "bias", Role: Bias, Shape: []int{c.OutC}, Init: orDefault(c.BiasInit), FanIn: fanIn, FanOut: fanOut})
		u.add = k.mapping(device.MapSpec{Kind: device.MapAdd, Batch: b.batch, Rows: pixels.Rows, C: c.OutC, B: device.AxisC, Alpha: 1, Beta: 1})
		if b.train {
			u.sum = k.reduce(pixels)
		}
	}
	k.output(out, &u.y)
	return u, k.err
}

type convTranspose2D struct {
	conv    device.Conv2D // from images like y to images like x
	add     device.Map    // y + bias; nil without a bias
	sum     device.Reduce // the gradient of the bias
	w, bias *Param        // bias has no tensors if the layer has no bias
	x, y    *device.Tensor
	dx      *device.Tensor // nil if nothing before this layer is trained
}

// Forward computes y.
func (u *convTranspose2D) Forward(x *device.Tensor, _ Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	u.conv.BackwardData(u.y, x, u.w.ComputeCopy)
	if u.add != nil {
		u.add.Run(u.y, u.y, u.bias.Value)
	}
	return u.y
}

// Backward computes dw, dbias and dx.
func (u *convTranspose2D) Backward(dy *device.Tensor) *device.Tensor {
	u.conv.BackwardFilter(u.w.LowPrecisionGrad, nil, u.x, dy)
	if u.bias.Grad != nil {
		u.sum.Run(u.bias.Grad, dy, nil)
	}
	if u.dx == nil {
		return nil
	}
	u.dx.SetRows(dy.Rows())
	u.conv.Forward(u.dx, dy, u.w.ComputeCopy, nil)
	return u.dx
}

// Graph describes the transposed convolution.
func (c ConvTranspose2D) Graph(g *graph.Builder, x graph.Value, in Shape) (graph.Value, error) {
	out, err := c.OutputShape(in)
	if err != nil {
		return x, err
	}
	setting.Complete(&c)
	rows, columns := c.directions(in[0], in[1])
	return g.ConvTranspose(x, out, !c.NoBias, graph.Attributes{
		Kernel: [2]int{c.Kernel.H, c.Kernel.W}, Stride: [2]int{c.Stride.H, c.Stride.W}, Dilation: [2]int{c.Dilation.H, c.Dilation.W},
		Pads: [4]int{rows.before, columns.before, rows.after, columns.after}, OutputPadding: [2]int{rows.output, columns.output}, Groups: c.Groups,
	}), nil
}

// Explain returns the products of each output.
func (c ConvTranspose2D) Explain(in Shape) explain.Rule {
	setting.Complete(&c)
	rows, columns := c.directions(in[0], in[1])
	axis := func(t transposed, kernel, stride, dilation int) device.WindowAxis {
		return device.WindowAxis{Size: t.out, Kernel: kernel, Stride: stride, Dilation: dilation, Before: t.before, After: t.end()}
	}
	w := explain.Convolution{Sliding: explain.Sliding{
		Rows:    axis(rows, c.Kernel.H, c.Stride.H, c.Dilation.H),
		Columns: axis(columns, c.Kernel.W, c.Stride.W, c.Dilation.W), InC: c.OutC,
	}, OutC: in[2], Groups: c.Groups}
	return explain.Linear{
		Formula: explain.Formula{
			Forward:  "y[n,p,q,o] = bias[o] + sum_{c,a,b} x[n,i,j,c] w[c,a,b,o]  over all i, j with i*strideH + a*dilationH - padTop = p, ...",
			Backward: "dx[n,i,j,c]  = sum_{a,b,o} dy[n, i*strideH + a*dilationH - padTop, j*strideW + b*dilationW - padLeft, o] w[c,a,b,o]",
			Weights:  "dw[c,a,b,o]  = sum_{n,i,j} x[n,i,j,c] dy[n, i*strideH + a*dilationH - padTop, j*strideW + b*dilationW - padLeft, o]\ndbias[o]     = sum_{n,p,q} dy[n,p,q,o]",
		},
		Weight: "weight", Bias: explainIf(!c.NoBias, "bias"), Products: w.Transposed,
	}
}
