package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// Scale multiplies by a constant. Before the loss, the constant is an inverse temperature:
// a small one keeps the softmax soft while the weights are still random.
//
// x and y have the same shape, which may be any.
//
//	y = a x        dx = a dy
//
// Code: nn/device/reference/weightedsum.go (the formula in loops), cpu/weightedsum.go, kernels/weighted_sum.cu. Test:
// nn/device/devicetest/weightedsum.go.
type Scale struct {
	By float32 // a; not 0
}

func scaleKind() LayerKind {
	return LayerKind{Name: "scale", Doc: "x times a constant", Family: Scaling, New: func() Layer { return Scale{} }}
}

// Settings declares the keys of recipes.
func (s *Scale) Settings(l *setting.List) {
	l.Float32(&s.By, "by", 0, setting.NotZero, "the constant").Require().Show("× %.3g")
}

// Kind returns "scale".
func (s Scale) Kind() string { return "scale" }

// OutputShape returns the input's shape.
func (s Scale) OutputShape(in Shape) (Shape, error) {
	return in, setting.Check(&s)
}

// Build allocates the output.
func (s Scale) Build(b *Builder, in Shape) (BuiltLayer, error) {
	plan, err := b.dev.NewWeightedSum(device.WeightedSumSpec{Len: b.batch * in.Len(), Alpha: s.By, DType: b.dtype})
	if err != nil {
		return nil, err
	}
	u := &scale{plan: plan, needs: b.NeedsInputGradient()}
	return u, b.Output(in, &u.y)
}

type scale struct {
	plan  device.WeightedSum
	y     *device.Tensor
	needs bool // something before this layer is trained
}

// Forward computes y = a x.
func (u *scale) Forward(x *device.Tensor, _ Mode) *device.Tensor {
	u.y.SetRows(x.Rows())
	u.plan.Run(u.y, x, nil)
	return u.y
}

// Backward computes dx = a dy in place of dy.
func (u *scale) Backward(dy *device.Tensor) *device.Tensor {
	if !u.needs {
		return nil
	}
	u.plan.Run(dy, dy, nil)
	return dy
}

// Graph describes the product.
func (s Scale) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	setting.Complete(&s)
	return g.Affine(x, float64(s.By), 0), nil
}

// Explain describes the product.
func (s Scale) Explain(Shape) explain.Rule {
	return explain.Linear{Formula: explain.Formula{Forward: "y = a x", Backward: "dx = a dy"}, Products: explain.Scaled(float64(s.By))}
}
