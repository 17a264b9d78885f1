package nn

import (
	"fmt"

	"trainer/nn/device"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// MaxPool2D keeps the largest element of each window, channel by channel: whether a feature
// is present matters more than its exact position.
//
// Shapes: x [n, h, w, c], y [n, outH, outW, c] with outH = floor((h + 2 padH - kH) / strideH) + 1.
//
// Forward:
//
//	y[n,i,j,c] = max_{a,b} x[n, i*strideH + a - padH, j*strideW + b - padW, c]
//
// over the elements inside the image: padding never wins. If several elements are equal,
// the first in row-major order counts as the maximum.
//
// Backward. A small change of the maximum changes y as much; of the others, not at all:
//
//	dx[n,p,q,c] = sum of dy[n,i,j,c] over the windows (i,j) whose maximum is at (p,q)
//
// Code: nn/device/reference/pool2d.go (the formula in loops), cpu/pool2d_max.go, kernels/pool2d.cu. Test: nn/device/devicetest/pool2d.go.
type MaxPool2D struct {
	Kernel  Pair
	Stride  Pair // default: the kernel, so that windows lie side by side
	Padding Pair // smaller than the kernel
}

func maxPool2DKind() LayerKind {
	return LayerKind{Name: "max-pool2d", Doc: "largest value of each window", Family: Pooling, New: func() Layer { return MaxPool2D{} }}
}

// Settings declares the keys of recipes.
func (p *MaxPool2D) Settings(s *setting.List) {
	poolingSettings(s, &p.Kernel, &p.Stride, &p.Padding)
}

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
	return pooling{device.MaxPool, window{p.Kernel, p.Stride, p.Padding, Square(1)}}
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

// poolingSettings declares the keys that pooling layers share.
func poolingSettings(s *setting.List, kernel, stride, padding *Pair) {
	window := s.Pair(&kernel.H, &kernel.W, "kernel", 0, setting.AtLeast(1), "height and width of the window: 3 or [3, 5]").Require().Show("%s")
	s.PairLike(&stride.H, &stride.W, "stride", window, setting.AtLeast(1), "rows and columns from one window to the next").Show("stride %d")
	s.Pair(&padding.H, &padding.W, "padding", 0, setting.AtLeast(0), "rows and columns added on each side").Show("padding %d")
}

func (p pooling) outputShape(in Shape) (Shape, error) {
	h, w, c, err := in.image()
	if err != nil {
		return nil, err
	}
	outH, outW, err := p.output(h, w)
	if err != nil {
		return nil, err
	}
	if p.padding.H >= p.kernel.H || p.padding.W >= p.kernel.W {
		return nil, fmt.Errorf("padding is %v, needs less than the kernel, %v: a window of padding alone has no value", p.padding, p.kernel)
	}
	return Shape{outH, outW, c}, nil
}

func (p pooling) spec(b *Builder, in Shape) device.Pool2DSpec {
	return device.Pool2DSpec{
		Mode: p.mode, N: b.batch, H: in[0], W: in[1], C: in[2],
		KH: p.kernel.H, KW: p.kernel.W, StrideH: p.stride.H, StrideW: p.stride.W,
		PadH: p.padding.H, PadW: p.padding.W, DType: b.dtype, NoBackward: !b.train,
	}
}

// newPool2D completes a pooling's plan with its tensors.
func newPool2D(b *Builder, in Shape, spec device.Pool2DSpec, plan device.Pool2D) (BuiltLayer, error) {
	u := &pool2D{plan: plan}
	b.InputGradient(in, &u.dx)
	return u, b.Output(Shape{spec.OutH(), spec.OutW(), spec.C}, &u.y)
}

type pool2D struct {
	plan     device.Pool2D
	x, y, dx *device.Tensor // dx nil if nothing before this layer is trained
}

// Forward computes y, with ReLU if it is fused.
func (u *pool2D) Forward(x *device.Tensor, _ Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	u.plan.Forward(u.y, x)
	return u.y
}

// Backward computes dx.
func (u *pool2D) Backward(dy *device.Tensor) *device.Tensor {
	if u.dx == nil {
		return nil
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
	return g.Pool(graph.MaxPool, x, out, p.pooling().attributes()), nil
}
