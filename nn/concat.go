package nn

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// Concat passes its input to several branches and concatenates their outputs along the channels (Szegedy et al., "Going
// Deeper with Convolutions", 2015). If one branch is the identity, later layers see the input together with the
// features computed from it (Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks",
// 2017).
//
// Shapes: x [n, ...]; branch k gives [n, h, w, c_k], or [n, c_k], with the same h and w; y [n, h, w, sum of c_k].
//
// Forward, with o_k the number of channels of all branches before k:
//
//	y[n,i,j, o_k + m] = branch_k(x)[n,i,j,m]
//
// Backward. The channels of dy that belong to a branch are the gradient with respect to its output, and dx is the sum
// of what all branches send back:
//
//	dx = sum_k branch_k'^T(dy[.., o_k : o_k + c_k])
//
// The layers inside are named concat1.1.conv1, concat1.2.conv1 and so on.
//
// Code: composed of nn/device/reference/copycolumns.go and nn/device/reference/weightedsum.go.
type Concat struct {
	Branches []Layer // nil, or a chain without layers, for the identity
}

func concatKind() LayerKind {
	return LayerKind{Name: "concat", Doc: "outputs of several branches side by side, as channels", Family: Joining, New: func() Layer { return Concat{} }}
}

// Settings declares the keys of recipes.
func (l *Concat) Settings(s *setting.List) {
	s.Nested(&l.Branches, "branches", "", "list of lists of layers, [] for the input itself").Require()
}

// Kind returns "concat".
func (l Concat) Kind() string { return "concat" }

// isIdentity reports whether a branch has no layers.
func isIdentity(l Layer) bool {
	s, ok := l.(*Sequential)
	return l == nil || ok && len(s.Layers) == 0
}

// branchShape returns the shape of branch k's output.
func (l Concat) branchShape(k int, in Shape) (Shape, error) {
	if isIdentity(l.Branches[k]) {
		return in, nil
	}
	out, err := chain(l.Branches[k]).OutputShape(in)
	if err != nil {
		return nil, inLayer(strconv.Itoa(k+1), err)
	}
	return out, nil
}

// OutputShape returns the shape of the branches' outputs, with the sum of their channels.
func (l Concat) OutputShape(in Shape) (Shape, error) {
	if len(l.Branches) == 0 {
		return nil, errors.New("concat has no branches")
	}
	var out Shape
	for k := range l.Branches {
		s, err := l.branchShape(k, in)
		if err != nil {
			return nil, err
		}
		last := len(s) - 1
		if k == 0 {
			out = slices.Clone(s)
			continue
		}
		if !slices.Equal(s[:last], out[:len(out)-1]) {
			return nil, fmt.Errorf("got %v, of which branch 1 makes %v and branch %d %v; needs the same from all, except for the channels", in, first(l.branchShape(0, in)), k+1, s)
		}
		out[last] += s[last]
	}
	return out, nil
}

// first returns the first of two results.
func first[T any](v T, _ error) T { return v }

// Build builds the branches one after the other in the same buffers. These are not the buffers of the enclosing chain,
// because every branch needs x and its channels of dy.
func (l Concat) Build(b *Builder, in Shape) (BuiltLayer, error) {
	out, err := l.OutputShape(in)
	if err != nil {
		return nil, err
	}
	c := &composer{b: b}
	u := &concat{dev: b.dev}
	before := b.upstream
	u.needs = b.NeedsInputGradient()
	b.InputGradient(in, &u.dx)
	level := b.openBranch()
	defer b.closeBranch()
	channels, rows, trained := out[len(out)-1], out.Len()/out[len(out)-1], before
	from := 0
	for k, branch := range l.Branches {
		shape, err := l.branchShape(k, in)
		if err != nil {
			return nil, err
		}
		b.upstream = before
		p := &part{}
		if !isIdentity(branch) {
			if p.layer, err = buildBranch(b, strconv.Itoa(k+1), branch, in); err != nil {
				return nil, err
			}
		}
		trained = trained || b.upstream
		width := shape[len(shape)-1]
		s := device.CopyColumnsSpec{Rows: b.batch * rows, Width: width, YC: channels, YFrom: from, XC: width}
		p.put = c.copyColumns(s)
		if b.train {
			p.take = c.copyColumns(device.CopyColumnsSpec{Rows: b.batch * rows, Width: width, YC: width, XC: channels, XFrom: from})
			b.claim(shape, &p.dy)
		}
		from += width
		u.parts = append(u.parts, p)
	}
	b.resumeChain(level)
	b.upstream = trained
	u.add = c.weightedSum(device.WeightedSumSpec{Len: b.batch * in.Len(), Alpha: 1, Beta: 1})
	c.output(out, &u.y)
	return u, c.err
}

type concat struct {
	dev   device.Device
	parts []*part
	add   device.WeightedSum
	y, dx *device.Tensor
	needs bool // something before this layer is trained
}

// part is a branch with its place in y.
type part struct {
	layer     BuiltLayer // nil for the identity
	put, take device.CopyColumns
	dy        *device.Tensor // its channels of dy
}

// Forward computes the branches and copies each one's output to its place.
func (u *concat) Forward(x *device.Tensor, mode Mode) *device.Tensor {
	u.y.SetRows(x.Rows())
	for _, p := range u.parts {
		y := x
		if p.layer != nil {
			y = p.layer.Forward(x, mode)
		}
		p.put.Run(u.y, y)
	}
	return u.y
}

// Backward computes dx as the sum of the gradients that the branches send back.
func (u *concat) Backward(dy *device.Tensor) *device.Tensor {
	for k, p := range u.parts {
		p.dy.SetRows(dy.Rows())
		p.take.Run(p.dy, dy)
		back := p.dy
		if p.layer != nil {
			back = p.layer.Backward(p.dy)
		}
		if u.needs {
			u.collect(back, k == 0)
		}
	}
	if !u.needs {
		return nil
	}
	return u.dx
}

// collect adds a branch's gradient to dx, or sets dx to it for the first branch.
func (u *concat) collect(share *device.Tensor, begin bool) {
	u.dx.SetRows(share.Rows())
	if begin {
		u.dev.Copy(u.dx, share)
		return
	}
	u.add.Run(u.dx, u.dx, share)
}

// Graph describes the branches and their union.
func (l Concat) Graph(g *graph.Builder, x graph.Value, in Shape) (graph.Value, error) {
	var parts []graph.Value
	for k, branch := range l.Branches {
		y, err := x, error(nil)
		if !isIdentity(branch) {
			if y, err = graphBranch(g, strconv.Itoa(k+1), branch, x, in); err != nil {
				return x, err
			}
		}
		parts = append(parts, y)
	}
	return g.Concat(parts), nil
}

// Explain describes the place of each branch's channels; a slot is a branch.
func (l Concat) Explain(in Shape) explain.Rule {
	var widths []int
	total := 0
	for k := range l.Branches {
		shape, _ := l.branchShape(k, in) // OutputShape has accepted it
		widths = append(widths, shape[len(shape)-1])
		total += widths[k]
	}
	return explain.Linear{
		Formula: explain.Formula{Forward: "y[n,i,j, o_k + m] = branch_k(x)[n,i,j,m]", Backward: "dx = sum_k branch_k'^T(dy[.., o_k : o_k + c_k])"},
		Products: func(at explain.Product, yield func(explain.Product)) {
			offset := 0
			for slot, width := range widths {
				switch {
				case at.Output == explain.Any && slot == at.Slot:
					output := at.Input/width*total + offset + at.Input%width
					yield(explain.Product{Output: output, Slot: slot, Input: at.Input, Weight: explain.Any, Factor: 1})
				case at.Output != explain.Any && at.Output%total >= offset && at.Output%total < offset+width:
					input := at.Output/total*width + at.Output%total - offset
					yield(explain.Product{Output: at.Output, Slot: slot, Input: input, Weight: explain.Any, Factor: 1})
				}
				offset += width
			}
		},
	}
}
