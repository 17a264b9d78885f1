package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
)

// GlobalAvgPool takes the mean of each channel over the whole image, and so turns an image
// of any size into a feature vector (Lin, Chen and Yan, "Network In Network", 2014).
//
// Shapes: x [n, h, w, c], y [n, c].
//
// Forward:
//
//	y[n,c] = 1/(h w) sum_{i,j} x[n,i,j,c]
//
// Backward. The derivative of y with respect to every pixel is 1/(h w):
//
//	dx[n,i,j,c] = dy[n,c] / (h w)
//
// Code: nn/device/reference/pool2d.go (the formula in loops), cpu/pool2d_avg.go, kernels/pool2d.cu. Test:
// nn/device/devicetest/pool2d.go.
type GlobalAvgPool struct{}

func globalAvgPoolKind() LayerKind {
	return LayerKind{Name: "global-avg-pool", Doc: "mean of each channel", Family: Pooling, New: func() Layer { return GlobalAvgPool{} }}
}

// Kind returns "global-avg-pool".
func (GlobalAvgPool) Kind() string { return "global-avg-pool" }

// Stem returns "pool".
func (GlobalAvgPool) Stem() string { return "pool" }

// OutputShape returns [c].
func (GlobalAvgPool) OutputShape(in Shape) (Shape, error) {
	_, _, c, err := in.image()
	if err != nil {
		return nil, err
	}
	return Shape{c}, nil
}

// Build allocates the output. The computation is average pooling with a single window.
func (GlobalAvgPool) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return buildGlobalPool(b, device.AvgPool, in)
}

// buildGlobalPool builds a pooling with a single window over the whole image.
func buildGlobalPool(b *Builder, mode device.PoolMode, in Shape) (BuiltLayer, error) {
	size := Pair{in[0], in[1]}
	spec := pooling{mode, window{kernel: size, stride: size, dilation: Square(1)}}.spec(b, in)
	plan, err := b.dev.NewPool2D(spec)
	if err != nil {
		return nil, err
	}
	pool, err := newPool2D(b, in, spec, plan)
	if err != nil {
		return nil, err
	}
	return &globalPool{pool: pool, flat: views{shape: Shape{in[2]}}, image: views{shape: Shape{1, 1, in[2]}}}, nil
}

type globalPool struct {
	pool  BuiltLayer
	flat  views // of the pooling's output, [n,1,1,c], as [n,c]
	image views // of dy, [n,c], as [n,1,1,c]
}

// Forward computes y.
func (u *globalPool) Forward(x *device.Tensor, mode Mode) *device.Tensor {
	return u.flat.of(u.pool.Forward(x, mode))
}

// Backward computes dx.
func (u *globalPool) Backward(dy *device.Tensor) *device.Tensor {
	return u.pool.Backward(u.image.of(dy))
}

// Graph describes the mean.
func (GlobalAvgPool) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	return g.Mean(x), nil
}

// Explain returns the pixels of each channel.
func (GlobalAvgPool) Explain(in Shape) explain.Rule {
	pixels, channels := in[0]*in[1], in[2]
	return explain.Linear{
		Formula: explain.Formula{Forward: "y[n,c] = 1/(h w) sum_{i,j} x[n,i,j,c]", Backward: "dx[n,i,j,c] = dy[n,c] / (h w)"},
		Products: func(at explain.Product, yield func(explain.Product)) {
			factor := 1 / float64(pixels)
			if at.Input != explain.Any {
				yield(explain.Product{Output: at.Input % channels, Input: at.Input, Weight: explain.Any, Factor: factor})
				return
			}
			for p := range pixels {
				yield(explain.Product{Output: at.Output, Input: p*channels + at.Output, Weight: explain.Any, Factor: factor})
			}
		},
		Window: func(output int) explain.Window {
			return explain.Window{Rows: in[0], Columns: in[1], DilationH: 1, DilationW: 1, Channel: output, Channels: 1}
		},
	}
}
