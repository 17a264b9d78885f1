package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
)

// GlobalMaxPool keeps the largest value of each channel over the whole image, and so turns an image of any size into a
// feature vector (Oquab et al., "Is object localization for free?", CVPR 2015): whether a feature is present anywhere.
//
// Shapes: x [n, h, w, c], y [n, c].
//
// Forward:
//
//	y[n,c] = max_{i,j} x[n,i,j,c]
//
// Backward. A small change of the maximum changes y as much; of the others, not at all:
//
//	dx[n,p,q,c] = dy[n,c] if x[n,p,q,c] is the first largest value of its channel, otherwise 0
//
// Code: nn/device/reference/pool2d.go (the formula in loops), cpu/pool2d_max.go, kernels/pool2d.cu. Test:
// nn/device/devicetest/pool2d.go.
type GlobalMaxPool struct{}

func globalMaxPoolKind() LayerKind {
	return LayerKind{Name: "global-max-pool", Doc: "largest value of each channel", Family: Pooling, New: func() Layer { return GlobalMaxPool{} }}
}

// Kind returns "global-max-pool".
func (GlobalMaxPool) Kind() string { return "global-max-pool" }

// Stem returns "pool".
func (GlobalMaxPool) Stem() string { return "pool" }

// OutputShape returns [c].
func (GlobalMaxPool) OutputShape(in Shape) (Shape, error) { return GlobalAvgPool{}.OutputShape(in) }

// Build allocates the output. The computation is max pooling with a single window.
func (GlobalMaxPool) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return buildGlobalPool(b, device.MaxPool, in)
}

// wholeImage is max pooling with a single window over an image.
func wholeImage(in Shape) MaxPool2D { return MaxPool2D{Kernel: Pair{in[0], in[1]}} }

// Graph describes the pooling.
func (GlobalMaxPool) Graph(g *graph.Builder, x graph.Value, in Shape) (graph.Value, error) {
	y, err := wholeImage(in).Graph(g, x, in)
	if err != nil {
		return x, err
	}
	return g.Flatten(y), nil
}

// Explain returns the pixels of each channel.
func (GlobalMaxPool) Explain(in Shape) explain.Rule {
	w := wholeImage(in).pooling().sliding(in)
	return explain.Maximum{
		Formula: explain.Formula{
			Forward:  "y[n,c] = max_{i,j} x[n,i,j,c]",
			Backward: "dx[n,p,q,c] = dy[n,c] if x[n,p,q,c] is the first largest value of its channel, otherwise 0",
		},
		Candidates: w.Candidates, Window: w.Window,
	}
}
