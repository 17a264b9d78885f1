package nn

import (
	"fmt"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// MaxPool2D keeps the largest element of each window, channel by channel: whether a feature
// is present matters more than its exact position.
//
// Shapes: x [n, h, w, c], y [n, outH, outW, c] with
//
//	outH = floor((h + padTop + padBottom - dilationH (kH-1) - 1) / strideH) + 1
//
// or, with CeilMode, the quotient rounded up, unless the last window would start at or after the end of the image.
//
// Forward:
//
//	y[n,i,j,c] = max_{a,b} x[n, i*strideH + a*dilationH - padTop, j*strideW + b*dilationW - padLeft, c]
//
// over the elements inside the image: padding never wins. If several elements are equal,
// the first in row-major order counts as the maximum.
//
// Backward. A small change of the maximum changes y as much; of the others, not at all:
//
//	dx[n,p,q,c] = sum of dy[n,i,j,c] over the windows (i,j) whose maximum is at (p,q)
//
// Code: nn/device/reference/pool2d.go (the formula in loops), cpu/pool2d_max.go, kernels/pool2d.cu. Test:
// nn/device/devicetest/pool2d.go.
type MaxPool2D struct {
	Kernel       Pair
	Stride       Pair // default: the kernel, so that windows lie side by side
	Padding      Pair // above and at the left, and by default as much below and at the right; smaller than the kernel
	ExtraPadding Pair // how much more is below and at the right than Padding says; may be negative
	// SameUpper and SameLower set the padding that makes the output ceil(size/stride) high and wide. If it is odd, there is
	// one more row below and column at the right with SameUpper (TensorFlow's SAME), and above and at the left with
	// SameLower.
	SameUpper, SameLower bool
	Dilation             Pair // distance between neighbouring elements of a window
	CeilMode             bool // PyTorch's ceil_mode
}

func maxPool2DKind() LayerKind {
	return LayerKind{Name: "max-pool2d", Doc: "largest value of each window", Family: Pooling, New: func() Layer { return MaxPool2D{} }}
}

// Settings declares the keys of recipes.
func (p *MaxPool2D) Settings(s *setting.List) {
	p.fields().declare(s)
}

func (p *MaxPool2D) fields() poolingFields {
	return poolingFields{
		&p.Kernel, &p.Stride, &p.Dilation, &p.CeilMode,
		paddingSettings{&p.Padding, &p.ExtraPadding, nil, &p.SameUpper, &p.SameLower},
	}
}

// Check returns an error if the settings contradict each other.
func (p *MaxPool2D) Check() error { return p.fields().padding.check() }

// Kind returns "max-pool2d".
func (p MaxPool2D) Kind() string { return "max-pool2d" }

// Stem returns "pool".
func (p MaxPool2D) Stem() string { return "pool" }

// OutputShape returns [outH outW c].
func (p MaxPool2D) OutputShape(in Shape) (Shape, error) {
	if err := setting.Check(&p); err != nil {
		return nil, err
	}
	return p.pooling().outputShape(in)
}

func (p MaxPool2D) pooling() pooling {
	setting.Complete(&p)
	return pooling{device.MaxPool, p.fields().window()}
}

// Build allocates the output.
func (p MaxPool2D) Build(b *Builder, in Shape) (BuiltLayer, error) {
	spec := p.pooling().spec(b, in)
	plan, err := b.dev.NewPool2D(spec)
	if err != nil {
		return nil, err
	}
	return newPool2D(b, in, spec, plan)
}

// buildFused fuses the pooling with a following ReLU.
func (p MaxPool2D) buildFused(b *Builder, in Shape, next []Layer) (BuiltLayer, int, error) {
	dev, ok := b.dev.(device.FusedPool2D)
	if !ok || !isReLU(next[0]) {
		return nil, 0, nil
	}
	spec := p.pooling().spec(b, in)
	plan, err := dev.NewPool2DReLU(spec)
	if err != nil {
		if declined(err) {
			return nil, 0, nil
		}
		return nil, 0, err
	}
	u, err := newPool2D(b, in, spec, plan)
	return u, 1, err
}

// pooling holds the settings that max and average pooling share.
type pooling struct {
	mode device.PoolMode
	window
}

// poolingFields are the fields that pooling layers share.
type poolingFields struct {
	kernel, stride, dilation *Pair
	ceil                     *bool
	padding                  paddingSettings
}

// declare declares the keys of recipes.
func (p poolingFields) declare(s *setting.List) {
	one := setting.AtLeast(1)
	window := s.Pair(&p.kernel.H, &p.kernel.W, "kernel", 0, one, "height and width of the window: 3 or [3, 5]").Require().Show("%s")
	s.PairLike(&p.stride.H, &p.stride.W, "stride", window, one, "rows and columns from one window to the next").Show("stride %d")
	p.padding.declare(s, "rows and columns added on each side, or [top, left, bottom, right]")
	s.Pair(&p.dilation.H, &p.dilation.W, "dilation", 1, one, "distance between the elements of a window").Show("dilation %d")
	s.Bool(p.ceil, "ceil-mode", "round the size of the output up: the last windows may reach beyond the image").Show("ceil")
}

// window returns the window that the fields describe.
func (p poolingFields) window() window {
	return window{
		kernel: *p.kernel, stride: *p.stride, dilation: *p.dilation, padding: *p.padding.padding, extra: *p.padding.extra,
		ceil: *p.ceil, fit: fitOf(*p.padding.upper, *p.padding.lower),
	}
}

func (p pooling) outputShape(in Shape) (Shape, error) {
	h, w, c, err := in.image()
	if err != nil {
		return nil, err
	}
	outH, outW, err := p.output(h, w, c)
	if err != nil {
		return nil, err
	}
	if rows, columns := p.rows(h), p.columns(w); rows.Empty() || columns.Empty() {
		return nil, fmt.Errorf("padding is %v (top, left, bottom, right) for a kernel of %v, needs less: a window of padding alone has no value",
			[4]int{rows.Before, columns.Before, rows.After, columns.After}, p.kernel)
	}
	return Shape{outH, outW, c}, checkElements("the window", p.kernel.H, p.kernel.W, c)
}

func (p pooling) spec(b *Builder, in Shape) device.Pool2DSpec {
	v := p.at(in[0], in[1])
	return device.Pool2DSpec{
		Mode: p.mode, N: b.batch, H: in[0], W: in[1], C: in[2],
		KH: v.kernel.H, KW: v.kernel.W, StrideH: v.stride.H, StrideW: v.stride.W,
		PadH: v.padding.H, PadW: v.padding.W, ExtraPadH: v.extra.H, ExtraPadW: v.extra.W,
		DilationH: v.dilation.H, DilationW: v.dilation.W, Ceil: v.ceil, DType: b.dtype, NoBackward: !b.train,
	}
}

// newPool2D completes a pooling's plan with its tensors.
func newPool2D(b *Builder, in Shape, spec device.Pool2DSpec, plan device.Pool2D) (BuiltLayer, error) {
	u := &pool2D{plan: plan, max: spec.Mode == device.MaxPool}
	b.InputGradient(in, &u.dx)
	return u, b.Output(Shape{spec.OutH(), spec.OutW(), spec.C}, &u.y)
}

type pool2D struct {
	plan     device.Pool2D
	x, y, dx *device.Tensor // dx nil if nothing before this layer is trained
	max      bool           // the largest elements, with or without ReLU
	joined   bool           // a batch normalisation after this layer does its work in training: see joinPooling
}

// Forward computes y, with ReLU if it is fused.
func (u *pool2D) Forward(x *device.Tensor, mode Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	if !u.joined || mode == Inference {
		u.plan.Forward(u.y, x)
	}
	return u.y
}

// Backward computes dx.
func (u *pool2D) Backward(dy *device.Tensor) *device.Tensor {
	if u.dx == nil {
		return nil
	}
	if u.joined {
		return dy // which is dx
	}
	u.dx.SetRows(dy.Rows())
	u.plan.Backward(u.dx, dy, u.y, u.x)
	return u.dx
}

// Graph describes the pooling.
func (p MaxPool2D) Graph(g *graph.Builder, x graph.Value, in Shape) (graph.Value, error) {
	out, err := p.OutputShape(in)
	if err != nil {
		return x, err
	}
	return g.Pool(graph.MaxPool, x, out, p.pooling().attributes(in)), nil
}

// Explain returns the inputs of each window.
func (p MaxPool2D) Explain(in Shape) explain.Rule {
	w := p.pooling().sliding(in)
	return explain.Maximum{
		Formula: explain.Formula{
			Forward:  "y[n,i,j,c] = max_{a,b} x[n, i*strideH + a*dilationH - padTop, j*strideW + b*dilationW - padLeft, c]",
			Backward: "dx[n,p,q,c] = sum of dy[n,i,j,c] over the windows (i,j) whose maximum is at (p,q)",
		},
		Candidates: w.Candidates, Window: w.Window,
	}
}

// sliding returns the window over inputs of the shape.
func (p pooling) sliding(in Shape) explain.Pooling {
	return explain.Pooling{Sliding: explain.Sliding{Rows: p.rows(in[0]), Columns: p.columns(in[1]), InC: in[2]}}
}
