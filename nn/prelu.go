package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// PReLU is LeakyReLU whose slope is learnt, one per channel or one for all (He, Zhang, Ren and Sun, "Delving Deep into
// Rectifiers", 2015).
//
// Shapes: x, y [n, h, w, c] or [n, c]; slope a [c], or [1] if shared. Below, a is the slope of the element's channel.
//
// Forward:
//
//	y = max(x, 0) + a min(x, 0)
//
// Backward. If x is positive, y doesn't depend on a; otherwise y is proportional to a. At 0 the derivative is taken
// from the negative side, as in ReLU and LeakyReLU:
//
//	da = sum dy min(x, 0)          (over all elements that share a)
//	dx = dy for x > 0, else a dy
//
// Weight decay should not pull the slope to 0, which would turn PReLU into ReLU; so the slope has the role of a
// normalisation's scale, not of a weight.
//
// Code: composed of nn/device/reference/map.go and nn/device/reference/reduce.go.
type PReLU struct {
	Shared  bool    // one slope for all channels
	Initial float32 // initial value of the slope
}

func preluKind() LayerKind {
	return LayerKind{Name: "prelu", Doc: "x above 0, a learnt slope times x below", Family: Activation, New: func() Layer { return PReLU{} }}
}

// Settings declares the keys of recipes.
func (l *PReLU) Settings(s *setting.List) {
	s.Bool(&l.Shared, "shared", "one slope for all channels")
	s.Float32(&l.Initial, "initial", 0.25, setting.AboveZeroToOne, "the slope at first")
}

// Kind returns "prelu".
func (l PReLU) Kind() string { return "prelu" }

// OutputShape returns the input's shape.
func (l PReLU) OutputShape(in Shape) (Shape, error) { return in, setting.Check(&l) }

// Build allocates the slope ("weight") and the output.
func (l PReLU) Build(b *Builder, in Shape) (BuiltLayer, error) {
	setting.Complete(&l)
	channels := in[len(in)-1]
	rows, slopes, axes := in.Len()/channels, channels, device.AxisC
	if l.Shared {
		slopes, axes = 1, device.NoAxes
	}
	c := &composer{b: b}
	u := &prelu{needs: b.NeedsInputGradient()}
	u.slope = c.param(ParamSpec{Name: "weight", Role: Gain, Shape: []int{slopes}, Init: Constant{Value: l.Initial}, FanIn: 1, FanOut: 1})
	u.zero = c.tensor(device.Float32, 1)
	of := func(kind device.MapKind, b device.Axes, accumulate bool) device.Map {
		return c.mapping(device.MapSpec{
			Kind: kind, Batch: c.b.batch, Rows: rows, C: channels, B: b, Alpha: 1, Beta: 0, Accumulate: accumulate,
		})
	}
	u.negative, u.times, u.addPositive = of(device.MapMin, device.NoAxes, false), of(device.MapMul, axes, false), of(device.MapMax, device.NoAxes, true)
	if b.train {
		u.products = c.reduce(device.ReduceSpec{Kind: device.ReduceSumProducts, Batch: b.batch, Rows: rows, C: channels, Keep: axes})
		u.isPositive, u.replace = of(device.MapGreater, device.NoAxes, false), of(device.MapSelect, device.AllAxes, false)
		level := b.openBranch()
		b.claim(in, &u.mask)
		b.claim(in, &u.scaled)
		b.resumeChain(level)
		b.closeBranch()
	}
	c.output(in, &u.y)
	return u, c.err
}

type prelu struct {
	slope *Param
	zero  *device.Tensor // the number 0

	negative, times, addPositive device.Map // min(a, 0), a*slope, y += max(a, 0)
	products                     device.Reduce
	isPositive, replace          device.Map // 1 where a > 0, else 0; y = a where b is 0

	x, y         *device.Tensor
	mask, scaled *device.Tensor // used by Backward
	needs        bool           // something before this layer is trained
}

// Forward computes y.
func (u *prelu) Forward(x *device.Tensor, _ Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	u.negative.Run(u.y, x, u.zero)
	u.times.Run(u.y, u.y, u.slope.Value)
	u.addPositive.Run(u.y, x, u.zero)
	return u.y
}

// Backward computes da and, in place of dy, dx.
func (u *prelu) Backward(dy *device.Tensor) *device.Tensor {
	u.mask.SetRows(dy.Rows())
	u.scaled.SetRows(dy.Rows())
	u.negative.Run(u.mask, u.x, u.zero)
	if u.slope.Grad != nil {
		u.products.Run(u.slope.Grad, dy, u.mask)
	}
	if !u.needs {
		return nil
	}
	u.isPositive.Run(u.mask, u.x, u.zero)
	u.times.Run(u.scaled, dy, u.slope.Value)
	u.replace.Run(dy, u.scaled, u.mask)
	return dy
}

// Graph describes the function.
func (l PReLU) Graph(g *graph.Builder, x graph.Value, in Shape) (graph.Value, error) {
	if l.Shared {
		return g.PRelu(x, 1), nil
	}
	return g.PRelu(x, in[len(in)-1]), nil
}

// Explain describes the function.
func (l PReLU) Explain(Shape) explain.Rule {
	return explain.Function{
		Formula: explain.Formula{Forward: "y = max(x, 0) + a min(x, 0)", Backward: "dx = dy for x > 0, else a dy", Weights: "da = sum dy min(x, 0)"},
		Value:   func(x, a float64) float64 { return max(x, 0) + a*min(x, 0) },
		Slope: func(x, a float64) float64 {
			if x > 0 {
				return 1
			}
			return a
		},
		Weight: "weight", ByA: func(x, _ float64) float64 { return min(x, 0) },
	}
}
