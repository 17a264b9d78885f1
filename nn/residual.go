package nn

import (
	"errors"
	"fmt"
	"slices"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// Residual adds the body's input to the body's output (He, Zhang, Ren and Sun, "Deep
// Residual Learning for Image Recognition", 2016): the body learns a correction, and the
// gradient also flows past the body.
//
// Shapes: x [n, ...]; body and shortcut must give the same shape, which is y's.
//
// Forward:
//
//	y = body(x) + shortcut(x)        shortcut(x) = x when there is none
//
// Backward. Both summands receive dy, and the gradients that both send back to x are added:
//
//	dx = body'^T(dy) + shortcut'^T(dy)
//
// The layers inside are named residual1.body.conv1 and residual1.shortcut.conv1.
//
// Code: nn/device/reference/weightedsum.go (the formula in loops), cpu/weightedsum.go, kernels/weighted_sum.cu. Test:
// nn/device/devicetest/weightedsum.go.
type Residual struct {
	Body     Layer
	Shortcut Layer // nil for the identity
}

func residualKind() LayerKind {
	return LayerKind{Name: "residual", Doc: "sum of a body and a shortcut", Family: Joining, New: func() Layer { return Residual{} }}
}

// Settings declares the keys of recipes.
func (r *Residual) Settings(s *setting.List) {
	s.Nested(&r.Body, "body", "", "list of layers").Require()
	s.Nested(&r.Shortcut, "shortcut", "the input itself", "list of layers")
}

// Kind returns "residual".
func (r Residual) Kind() string { return "residual" }

// OutputShape returns the shape that body and shortcut agree on.
func (r Residual) OutputShape(in Shape) (Shape, error) {
	if r.Body == nil {
		return nil, errors.New("residual has no body")
	}
	out, err := chain(r.Body).OutputShape(in)
	if err != nil {
		return nil, inLayer("body", err)
	}
	short := in
	if r.Shortcut != nil {
		if short, err = chain(r.Shortcut).OutputShape(in); err != nil {
			return nil, inLayer("shortcut", err)
		}
	}
	if !slices.Equal(out, short) {
		return nil, fmt.Errorf("got %v, of which the body makes %v and the shortcut %v; needs the same from both", in, out, short)
	}
	return out, nil
}

// Build builds body and shortcut. The shortcut uses the buffers of the enclosing chain; the
// body gets its own buffers, because it must not overwrite what the shortcut needs.
func (r Residual) Build(b *Builder, in Shape) (BuiltLayer, error) {
	out, err := r.OutputShape(in)
	if err != nil {
		return nil, err
	}
	u := &residual{dev: b.dev}
	before := b.upstream
	level := b.openBranch()
	defer b.closeBranch()
	if u.body, err = buildBranch(b, "body", r.Body, in); err != nil {
		return nil, err
	}
	if b.train {
		// Backward works in place; the body gets a copy of dy.
		b.claim(out, &u.dyBody)
	}
	b.resumeChain(level)
	inBody := b.upstream
	b.upstream = before
	if r.Shortcut != nil {
		if u.shortcut, err = buildBranch(b, "shortcut", r.Shortcut, in); err != nil {
			return nil, err
		}
	}
	b.upstream = b.upstream || inBody
	u.needs = b.train && before
	if u.add, err = b.dev.NewWeightedSum(device.WeightedSumSpec{
		Len: b.batch * max(in.Len(), out.Len()), Alpha: 1, Beta: 1, DType: b.dtype,
	}); err != nil {
		return nil, err
	}
	return u, b.Output(out, &u.y)
}

// buildBranch builds a part of a layer under its name.
func buildBranch(b *Builder, name string, l Layer, in Shape) (BuiltLayer, error) {
	b.path = append(b.path, name)
	defer func() { b.path = b.path[:len(b.path)-1] }()
	u, err := chain(l).Build(b, in)
	if err != nil {
		return nil, inLayer(name, err)
	}
	return u, nil
}

type residual struct {
	dev            device.Device
	body, shortcut BuiltLayer // shortcut nil for the identity
	add            device.WeightedSum
	y, dyBody      *device.Tensor
	needs          bool // something before this layer is trained
}

// Forward computes y = body(x) + shortcut(x). The body runs first, because the shortcut may
// overwrite x.
func (u *residual) Forward(x *device.Tensor, mode Mode) *device.Tensor {
	body, short := u.body.Forward(x, mode), x
	if u.shortcut != nil {
		short = u.shortcut.Forward(x, mode)
	}
	u.y.SetRows(x.Rows())
	u.add.Run(u.y, body, short)
	return u.y
}

// Backward computes dx as the sum of the gradients that body and shortcut send back.
func (u *residual) Backward(dy *device.Tensor) *device.Tensor {
	u.dyBody.SetRows(dy.Rows())
	u.dev.Copy(u.dyBody, dy)
	dxBody, dx := u.body.Backward(u.dyBody), dy
	if u.shortcut != nil {
		dx = u.shortcut.Backward(dy)
	}
	if !u.needs {
		return nil
	}
	u.add.Run(dx, dx, dxBody)
	return dx
}

// Graph describes body, shortcut and sum.
func (r Residual) Graph(g *graph.Builder, x graph.Value, in Shape) (graph.Value, error) {
	body, err := graphBranch(g, "body", r.Body, x, in)
	if err != nil || r.Shortcut == nil {
		return g.Add(body, x), err
	}
	shortcut, err := graphBranch(g, "shortcut", r.Shortcut, x, in)
	return g.Add(body, shortcut), err
}

// Explain describes the sum of the body's output, slot 0, and the shortcut's, slot 1.
func (Residual) Explain(Shape) explain.Rule {
	return explain.Linear{
		Formula: explain.Formula{Forward: "y = body(x) + shortcut(x)", Backward: "dx = body'^T(dy) + shortcut'^T(dy)"},
		Products: func(at explain.Product, yield func(explain.Product)) {
			if at.Output == explain.Any {
				yield(explain.Product{Output: at.Input, Slot: at.Slot, Input: at.Input, Weight: explain.Any, Factor: 1})
				return
			}
			for slot := range 2 {
				yield(explain.Product{Output: at.Output, Slot: slot, Input: at.Output, Weight: explain.Any, Factor: 1})
			}
		},
	}
}
