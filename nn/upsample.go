package nn

import (
	"fmt"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// UpSample makes an image Factor times as high and as wide by repeating every pixel: nearest-neighbour interpolation,
// as in PyTorch's Upsample with an integer factor.
//
// Shapes: x [n, h, w, c], y [n, f h, f w, c], where f is the factor.
//
// Forward:
//
//	y[n,i,j,k] = x[n, floor(i/f), floor(j/f), k]
//
// Backward. A pixel of x is used in f x f pixels of y, so its gradient is the sum of their gradients:
//
//	dx[n,i,j,k] = sum_{a,b < f} dy[n, f i + a, f j + b, k]
//
// which is f^2 times average pooling.
//
// Code: composed of nn/device/reference/copycolumns.go, nn/device/reference/pool2d.go and
// nn/device/reference/weightedsum.go.
type UpSample struct {
	Factor int
}

func upSampleKind() LayerKind {
	return LayerKind{
		Name: "up-sample", Doc: "image of several times the height and width, by repeating pixels", Family: Reshaping,
		New: func() Layer { return UpSample{} },
	}
}

// Settings declares the keys of recipes.
func (l *UpSample) Settings(s *setting.List) {
	s.Int(&l.Factor, "factor", 2, setting.AtLeast(1), "rows and columns of the output for each of the input")
}

// Kind returns "up-sample".
func (l UpSample) Kind() string { return "up-sample" }

// maxSide is the largest height or width to which a layer enlarges an image.
const maxSide = 1 << 16

// OutputShape returns [f*h f*w c].
func (l UpSample) OutputShape(in Shape) (Shape, error) {
	h, w, c, err := in.image()
	if err != nil {
		return nil, err
	}
	if err := setting.Check(&l); err != nil {
		return nil, err
	}
	setting.Complete(&l)
	if l.Factor > maxSide/max(h, w) {
		return nil, fmt.Errorf("got %v and a factor of %d, needs an output of at most %d rows and columns", in, l.Factor, maxSide)
	}
	return Shape{l.Factor * h, l.Factor * w, c}, nil
}

// Build allocates the output and an intermediate tensor: first each pixel is repeated within its row, then each row is
// repeated.
func (l UpSample) Build(b *Builder, in Shape) (BuiltLayer, error) {
	setting.Complete(&l)
	c, f := &composer{b: b}, l.Factor
	h, w, channels := in[0], in[1], in[2]
	out := Shape{f * h, f * w, channels}
	u := &upSample{needs: b.NeedsInputGradient()}
	for k := range f {
		u.pixels = append(u.pixels, c.copyColumns(device.CopyColumnsSpec{
			Rows: b.batch * h * w, Width: channels, YC: f * channels, YFrom: k * channels, XC: channels,
		}))
		row := f * w * channels
		u.rows = append(u.rows, c.copyColumns(device.CopyColumnsSpec{Rows: b.batch * h, Width: row, YC: f * row, YFrom: k * row, XC: row}))
	}
	if u.needs {
		u.pool = made(c, func() (device.Pool2D, error) {
			return b.dev.NewPool2D(device.Pool2DSpec{
				Mode: device.AvgPool, N: b.batch, H: out[0], W: out[1], C: channels, KH: f, KW: f, StrideH: f, StrideW: f, DType: b.dtype,
			})
		})
		u.times = c.weightedSum(device.WeightedSumSpec{Len: b.batch * in.Len(), Alpha: float32(f * f)})
		b.InputGradient(in, &u.dx)
	}
	level := b.openBranch()
	b.claim(Shape{h, f * w, channels}, &u.wide)
	b.resumeChain(level)
	b.closeBranch()
	c.output(out, &u.y)
	return u, c.err
}

type upSample struct {
	pixels, rows []device.CopyColumns // one plan per repetition
	pool         device.Pool2D
	times        device.WeightedSum
	wide, y, dx  *device.Tensor
	needs        bool // something before this layer is trained
}

// Forward computes y.
func (u *upSample) Forward(x *device.Tensor, _ Mode) *device.Tensor {
	u.wide.SetRows(x.Rows())
	u.y.SetRows(x.Rows())
	for _, p := range u.pixels {
		p.Run(u.wide, x)
	}
	for _, p := range u.rows {
		p.Run(u.y, u.wide)
	}
	return u.y
}

// Backward computes dx.
func (u *upSample) Backward(dy *device.Tensor) *device.Tensor {
	if !u.needs {
		return nil
	}
	u.dx.SetRows(dy.Rows())
	u.pool.Forward(u.dx, dy)
	u.times.Run(u.dx, u.dx, nil)
	return u.dx
}

// Graph describes the repetition.
func (l UpSample) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	setting.Complete(&l)
	return g.Repeat(x, l.Factor), nil
}

// Explain describes the repetition.
func (l UpSample) Explain(in Shape) explain.Rule {
	setting.Complete(&l)
	f, w, c := l.Factor, in[1], in[2]
	return explain.Linear{
		Formula: explain.Formula{Forward: "y[n,i,j,k] = x[n, floor(i/f), floor(j/f), k]", Backward: "dx[n,i,j,k] = sum_{a,b < f} dy[n, f i + a, f j + b, k]"},
		Products: func(at explain.Product, yield func(explain.Product)) {
			if at.Output != explain.Any {
				i, j, k := at.Output/(f*w*c), at.Output/c%(f*w), at.Output%c
				yield(explain.Product{Output: at.Output, Input: (i/f*w+j/f)*c + k, Weight: explain.Any, Factor: 1})
				return
			}
			i, j, k := at.Input/(w*c), at.Input/c%w, at.Input%c
			for a := range f {
				for b := range f {
					yield(explain.Product{Output: ((f*i+a)*f*w+f*j+b)*c + k, Input: at.Input, Weight: explain.Any, Factor: 1})
				}
			}
		},
	}
}
