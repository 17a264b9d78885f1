package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// AvgPool2D takes the mean of each window, channel by channel.
//
// Shapes: x [n, h, w, c], y [n, outH, outW, c] with outH as for MaxPool2D.
//
// Forward, with K the number of elements of the window (by default those inside the padded image, padding counted
// as zeros: kH*kW, and fewer where CeilMode lets a window reach further; with ExcludePadding only those inside the image):
//
//	y[n,i,j,c] = 1/K sum_{a,b} x[n, i*strideH + a*dilationH - padTop, j*strideW + b*dilationW - padLeft, c]
//
// Backward. The derivative of y with respect to every element of its window is 1/K:
//
//	dx[n,p,q,c] = sum of dy[n,i,j,c] / K over the windows (i,j) that contain (p,q)
//
// Code: nn/device/reference/pool2d.go (the formula in loops), cpu/pool2d_avg.go, kernels/pool2d.cu. Test:
// nn/device/devicetest/pool2d.go.
type AvgPool2D struct {
	Kernel               Pair
	Stride               Pair // default: the kernel, so that windows lie side by side
	Padding              Pair // as for MaxPool2D, and so are the next four
	ExtraPadding         Pair
	SameUpper, SameLower bool
	Dilation             Pair
	CeilMode             bool
	ExcludePadding       bool // PyTorch's count_include_pad=False
}

func avgPool2DKind() LayerKind {
	return LayerKind{Name: "avg-pool2d", Doc: "mean of each window", Family: Pooling, New: func() Layer { return AvgPool2D{} }}
}

// Settings declares the keys of recipes.
func (p *AvgPool2D) Settings(s *setting.List) {
	p.fields().declare(s)
	s.Bool(&p.ExcludePadding, "exclude-padding", "divide by the number of elements inside the image, not by that of the window").Show("padding excluded")
}

func (p *AvgPool2D) fields() poolingFields {
	return poolingFields{
		&p.Kernel, &p.Stride, &p.Dilation, &p.CeilMode,
		paddingSettings{&p.Padding, &p.ExtraPadding, nil, &p.SameUpper, &p.SameLower},
	}
}

// Check returns an error if the settings contradict each other.
func (p *AvgPool2D) Check() error { return p.fields().padding.check() }

// Kind returns "avg-pool2d".
func (p AvgPool2D) Kind() string { return "avg-pool2d" }

// Stem returns "pool".
func (p AvgPool2D) Stem() string { return "pool" }

// OutputShape returns [outH outW c].
func (p AvgPool2D) OutputShape(in Shape) (Shape, error) {
	if err := setting.Check(&p); err != nil {
		return nil, err
	}
	return p.pooling().outputShape(in)
}

func (p AvgPool2D) pooling() pooling {
	setting.Complete(&p)
	mode := device.AvgPool
	if p.ExcludePadding {
		mode = device.AvgPoolExcluding
	}
	return pooling{mode, p.fields().window()}
}

// Build allocates the output.
func (p AvgPool2D) Build(b *Builder, in Shape) (BuiltLayer, error) {
	spec := p.pooling().spec(b, in)
	plan, err := b.dev.NewPool2D(spec)
	if err != nil {
		return nil, err
	}
	return newPool2D(b, in, spec, plan)
}

// Graph describes the pooling.
func (p AvgPool2D) Graph(g *graph.Builder, x graph.Value, in Shape) (graph.Value, error) {
	out, err := p.OutputShape(in)
	if err != nil {
		return x, err
	}
	a := p.pooling().attributes(in)
	a.CountPadding = !p.ExcludePadding
	return g.Pool(graph.AveragePool, x, out, a), nil
}

// Explain returns the inputs of each window.
func (p AvgPool2D) Explain(in Shape) explain.Rule {
	w := p.pooling().sliding(in)
	return explain.Linear{
		Formula: explain.Formula{
			Forward:  "y[n,i,j,c] = 1/K sum_{a,b} x[n, i*strideH + a*dilationH - padTop, j*strideW + b*dilationW - padLeft, c]",
			Backward: "dx[n,p,q,c] = sum of dy[n,i,j,c] / K over the windows (i,j) that contain (p,q)",
		},
		Products: w.Means(func(i, j int) int {
			if !p.ExcludePadding {
				return w.Rows.InsidePadded(i) * w.Columns.InsidePadded(j)
			}
			_, rows := w.Rows.Inside(i)
			_, columns := w.Columns.Inside(j)
			return rows * columns
		}),
		Window: w.Window,
	}
}
