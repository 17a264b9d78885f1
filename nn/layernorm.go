package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// LayerNorm gives the channels of each pixel, or the features of each vector, mean 0 and variance 1, and then applies a
// learnt scale gamma and a learnt shift beta per channel (Ba, Kiros and Hinton, "Layer Normalization", 2016). Examples
// don't depend on each other, so a batch of one is enough, and training and inference are the same.
//
// It is PyTorch's LayerNorm(c) over the last dimension, with images [n, h, w, c]. To normalise whole images, use
// GroupNorm with one group.
//
// Shapes: x, y [n, h, w, c] or [n, c]; gamma, beta [c]. Below, i and the sums run over the c channels of one pixel, or
// features of one vector.
//
// Forward:
//
//	mean = 1/c sum_i x[i]        var = 1/c sum_i (x[i] - mean)^2
//	xhat[i] = (x[i] - mean) / sqrt(var + epsilon)
//	y[i] = gamma[i] xhat[i] + beta[i]
//
// Backward. gamma[i] and beta[i] are used at every pixel of the batch, so their gradients are sums over all of them:
//
//	dbeta[i] = sum dy[i]        dgamma[i] = sum dy[i] xhat[i]        g[i] = gamma[i] dy[i]
//	dx[i] = 1 / sqrt(var + epsilon) (g[i] - 1/c sum_k g[k] - xhat[i] 1/c sum_k g[k] xhat[k])
//
// The two subtracted terms come from mean and var, which depend on every x of the pixel: xhat doesn't change if the pixel's
// x are shifted or scaled together, so dx is what remains of g without its components along the constant vector and along
// xhat.
//
// It is group normalisation of each pixel with one group.
//
// Code: nn/device/reference/groupnorm.go (the formula in loops), cpu/groupnorm_rows.go, kernels/groupnorm.cu. Test:
// nn/device/devicetest/groupnorm.go.
type LayerNorm struct {
	Epsilon float32
}

func layerNormKind() LayerKind {
	return LayerKind{
		Name: "layer-norm", Doc: "normalisation of each pixel over its channels, then scale and shift",
		Family: Normalisation, New: func() Layer { return LayerNorm{} },
	}
}

// Settings declares the keys of recipes.
func (l *LayerNorm) Settings(s *setting.List) {
	s.Float32(&l.Epsilon, "epsilon", 1e-5, setting.Positive, "added to the variance")
}

// Kind returns "layer-norm".
func (l LayerNorm) Kind() string { return "layer-norm" }

// Stem returns "norm".
func (l LayerNorm) Stem() string { return "norm" }

// OutputShape returns the input's shape.
func (l LayerNorm) OutputShape(in Shape) (Shape, error) { return in, setting.Check(&l) }

// Build allocates gamma ("weight"), beta ("bias") and the output.
func (l LayerNorm) Build(b *Builder, in Shape) (BuiltLayer, error) {
	setting.Complete(&l)
	channels := in[len(in)-1]
	return buildGroupNorm(b, in, device.GroupNormSpec{Batch: b.batch * in.Len() / channels, Rows: 1, C: channels, Groups: 1, Epsilon: l.Epsilon})
}

// Graph describes the normalisation.
func (l LayerNorm) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	setting.Complete(&l)
	return g.LayerNorm(x, float64(l.Epsilon)), nil
}

// Explain describes the normalisation of each pixel.
func (l LayerNorm) Explain(in Shape) explain.Rule {
	setting.Complete(&l)
	channels := in[len(in)-1]
	return explain.Normalization{
		Formula: explain.Formula{
			Forward:  "xhat[i] = (x[i] - mean) / sqrt(var + epsilon)\ny[i] = gamma[i] xhat[i] + beta[i]",
			Backward: "dx[i] = 1 / sqrt(var + epsilon) (g[i] - 1/c sum_k g[k] - xhat[i] 1/c sum_k g[k] xhat[k])",
			Weights:  "dbeta[i] = sum dy[i]        dgamma[i] = sum dy[i] xhat[i]        g[i] = gamma[i] dy[i]",
		},
		Epsilon: float64(l.Epsilon),
		Group: func(element int) []int {
			group := make([]int, channels)
			for c := range group {
				group[c] = element - element%channels + c
			}
			return group
		},
	}
}
