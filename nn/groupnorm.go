package nn

import (
	"fmt"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// GroupNorm divides the channels of each image into groups of neighbours, gives each group mean 0 and variance 1 over
// its channels and all pixels, and then applies a learnt scale gamma and a learnt shift beta per channel (Wu and He,
// "Group Normalization", 2018). Examples don't depend on each other, so small batches do no harm, and training and
// inference are the same. With one group it normalises whole images; with as many groups as channels it normalises each
// channel of each image (instance normalisation).
//
// Shapes: x, y [n, h, w, c] or [n, c]; gamma, beta [c]. Below, i runs over the m = h*w*c/groups elements of one group of
// one example.
//
// Forward:
//
//	mean = 1/m sum_i x[i]        var = 1/m sum_i (x[i] - mean)^2
//	xhat[i] = (x[i] - mean) / sqrt(var + epsilon)
//	y[i] = gamma xhat[i] + beta                          (of i's channel)
//
// Backward. gamma and beta of a channel are used at every pixel of the batch, so their gradients are sums over all of
// them:
//
//	dbeta = sum dy        dgamma = sum dy xhat        g[i] = gamma dy[i]
//	dx[i] = 1 / sqrt(var + epsilon) (g[i] - 1/m sum_k g[k] - xhat[i] 1/m sum_k g[k] xhat[k])
//
// The two subtracted terms come from mean and var, which depend on every x of the group: xhat doesn't change if the group's
// x are shifted or scaled together, so dx is what remains of g without its components along the constant vector and along
// xhat.
//
// Code: nn/device/reference/groupnorm.go (the formula in loops), cpu/groupnorm.go, kernels/groupnorm.cu. Test:
// nn/device/devicetest/groupnorm.go.
type GroupNorm struct {
	Groups  int // divides the channels
	Epsilon float32
}

func groupNormKind() LayerKind {
	return LayerKind{
		Name: "group-norm", Doc: "normalisation of groups of channels of each image, then scale and shift",
		Family: Normalisation, New: func() Layer { return GroupNorm{} },
	}
}

// Settings declares the keys of recipes.
func (l *GroupNorm) Settings(s *setting.List) {
	s.Int(&l.Groups, "groups", 32, setting.AtLeast(1), "number of groups, which divides the channels")
	s.Float32(&l.Epsilon, "epsilon", 1e-5, setting.Positive, "added to the variance")
}

// Kind returns "group-norm".
func (l GroupNorm) Kind() string { return "group-norm" }

// Stem returns "norm".
func (l GroupNorm) Stem() string { return "norm" }

// OutputShape returns the input's shape.
func (l GroupNorm) OutputShape(in Shape) (Shape, error) {
	if err := setting.Check(&l); err != nil {
		return nil, err
	}
	setting.Complete(&l)
	if c := in[len(in)-1]; c%l.Groups != 0 {
		return nil, fmt.Errorf("got %v, whose %d channels can't be divided into %d groups: needs a number of groups that divides them", in, c, l.Groups)
	}
	return in, nil
}

// Build allocates gamma ("weight"), beta ("bias") and the output.
func (l GroupNorm) Build(b *Builder, in Shape) (BuiltLayer, error) {
	setting.Complete(&l)
	channels := in[len(in)-1]
	return buildGroupNorm(b, in, device.GroupNormSpec{
		Batch: b.batch, Rows: in.Len() / channels, C: channels, Groups: l.Groups, Epsilon: l.Epsilon,
	})
}

// buildGroupNorm builds a layer that is a group normalisation: GroupNorm or LayerNorm.
func buildGroupNorm(b *Builder, in Shape, s device.GroupNormSpec) (BuiltLayer, error) {
	c, u := &composer{b: b}, &groupNorm{needs: b.NeedsInputGradient()}
	s.DType, s.NoBackward = b.dtype, !b.train
	u.plan = made(c, func() (device.GroupNorm, error) { return b.dev.NewGroupNorm(s) })
	u.gamma = c.param(ParamSpec{Name: "weight", Role: Gain, Shape: []int{s.C}, Init: Ones(), FanIn: 1, FanOut: 1})
	u.beta = c.param(ParamSpec{Name: "bias", Role: Bias, Shape: []int{s.C}, Init: Zeros(), FanIn: 1, FanOut: 1})
	c.output(in, &u.y)
	return u, c.err
}

type groupNorm struct {
	plan        device.GroupNorm
	gamma, beta *Param
	x, y        *device.Tensor
	needs       bool // something before this layer is trained
}

// Forward computes y. Training and inference are the same.
func (u *groupNorm) Forward(x *device.Tensor, _ Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	u.plan.Forward(u.y, x, u.gamma.Value, u.beta.Value)
	return u.y
}

// Backward computes dgamma, dbeta and, in place of dy, dx.
func (u *groupNorm) Backward(dy *device.Tensor) *device.Tensor {
	dx := dy
	if !u.needs {
		dx = nil
	}
	u.plan.Backward(dx, u.gamma.Grad, u.beta.Grad, dy, u.x, u.gamma.Value)
	return dx
}

// Graph describes the normalisation.
func (l GroupNorm) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	setting.Complete(&l)
	return g.GroupNorm(x, l.Groups, float64(l.Epsilon)), nil
}

// Explain describes the normalisation of each group.
func (l GroupNorm) Explain(in Shape) explain.Rule {
	setting.Complete(&l)
	channels := in[len(in)-1]
	width := channels / l.Groups
	return explain.Normalization{
		Formula: explain.Formula{
			Forward:  "xhat[i] = (x[i] - mean) / sqrt(var + epsilon)\ny[i] = gamma xhat[i] + beta                          (of i's channel)",
			Backward: "dx[i] = 1 / sqrt(var + epsilon) (g[i] - 1/m sum_k g[k] - xhat[i] 1/m sum_k g[k] xhat[k])",
			Weights:  "dbeta = sum dy        dgamma = sum dy xhat        g[i] = gamma dy[i]",
		},
		Epsilon: float64(l.Epsilon),
		Group: func(element int) []int {
			var group []int
			first := element % channels / width * width
			for pixel := range in.Len() / channels {
				for c := range width {
					group = append(group, pixel*channels+first+c)
				}
			}
			return group
		},
	}
}
