package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
)

// Flatten turns an image into one vector, row by row, with the channels of a pixel
// together. The elements stay in place in memory; only the shape changes.
//
// Shapes: x [n, h, w, c], y [n, h*w*c].
//
// Forward and backward:
//
//	y[n, (i*w + j)*c + k] = x[n,i,j,k]        dx[n,i,j,k] = dy[n, (i*w + j)*c + k]
type Flatten struct{}

func flattenKind() LayerKind {
	return LayerKind{Name: "flatten", Doc: "image to vector", Family: Reshaping, New: func() Layer { return Flatten{} }}
}

// Kind returns "flatten".
func (Flatten) Kind() string { return "flatten" }

// OutputShape returns [h*w*c].
func (Flatten) OutputShape(in Shape) (Shape, error) { return Shape{in.Len()}, nil }

// Build allocates nothing.
func (Flatten) Build(b *Builder, in Shape) (BuiltLayer, error) {
	return &flatten{
		flat:  views{shape: Shape{in.Len()}},
		image: views{shape: in},
		needs: b.NeedsInputGradient(),
	}, nil
}

type flatten struct {
	flat, image views
	needs       bool
}

// Forward returns x as [n, h*w*c].
func (u *flatten) Forward(x *device.Tensor, _ Mode) *device.Tensor { return u.flat.of(x) }

// Backward returns dy as [n, h, w, c].
func (u *flatten) Backward(dy *device.Tensor) *device.Tensor {
	if !u.needs {
		return nil
	}
	return u.image.of(dy)
}

// maxViews is the number of views that a value of type views keeps: more than the number of
// input buffers between which a loader alternates. All other tensors are the same in every
// step.
const maxViews = 8

// views gives tensors another shape, and caches the views so that a step makes no new ones.
type views struct {
	shape Shape // of one example
	kept  []view
	next  int // index of the view to replace when the cache is full
}

type view struct{ tensor, reshaped *device.Tensor }

// of returns t, [n, ...], as [n, shape...].
func (v *views) of(t *device.Tensor) *device.Tensor {
	for _, k := range v.kept {
		if k.tensor == t {
			k.reshaped.SetRows(t.Rows())
			return k.reshaped
		}
	}
	k := view{t, t.View(v.shape.batch(t.MaxRows())...)}
	if len(v.kept) < maxViews {
		v.kept = append(v.kept, k)
	} else {
		v.kept[v.next] = k
		v.next = (v.next + 1) % maxViews
	}
	k.reshaped.SetRows(t.Rows())
	return k.reshaped
}

// Graph describes the change of shape.
func (Flatten) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	return g.Flatten(x), nil
}

// Explain describes the change of shape.
func (Flatten) Explain(Shape) explain.Rule {
	return explain.Linear{
		Formula:  explain.Formula{Forward: "y[n, (i*w + j)*c + k] = x[n,i,j,k]", Backward: "dx[n,i,j,k] = dy[n, (i*w + j)*c + k]"},
		Products: explain.Scaled(1),
	}
}
