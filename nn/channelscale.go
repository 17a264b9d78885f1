package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// ChannelScale lets each image weight its own channels: from the means of all channels a small network computes one
// factor between 0 and 1 per channel, by which all pixels of the channel are multiplied (Hu, Shen and Sun,
// "Squeeze-and-Excitation Networks", 2018).
//
// Shapes: x, y [n, h, w, c]; s, the factors, [n, c]; the weights w1 [c, c/reduction] and w2 [c/reduction, c], with biases.
//
// Forward:
//
//	m[n,k] = 1/(h w) sum_{i,j} x[n,i,j,k]
//	s = sigmoid(relu(m w1 + b1) w2 + b2)
//	y[n,i,j,k] = s[n,k] x[n,i,j,k]
//
// Backward. x enters y directly and through the factor of its channel, and a factor enters y at every pixel:
//
//	ds[n,k] = sum_{i,j} dy[n,i,j,k] x[n,i,j,k]
//	dx[n,i,j,k] = s[n,k] dy[n,i,j,k] + dm[n,k] / (h w)
//
// where dm is the gradient with respect to m that the small network's backward pass computes from ds.
//
// The small network's layers are named channel-scale1.factors.dense1 and dense2.
//
// Code: composed of nn/globalavgpool.go, nn/dense.go, nn/relu.go, nn/sigmoid.go, nn/device/reference/map.go and
// nn/device/reference/reduce.go.
type ChannelScale struct {
	Reduction int // channels per output of the first dense layer, which has at least one output
	// Factors is what computes s [c] from x; nil means the small network above. Package inspect puts probes in it.
	Factors Layer
}

func channelScaleKind() LayerKind {
	return LayerKind{
		Name: "channel-scale", Doc: "each channel of an image times a factor computed from all channels' means (squeeze and excitation)",
		Family: Scaling, New: func() Layer { return ChannelScale{} },
	}
}

// Settings declares the keys of recipes.
func (l *ChannelScale) Settings(s *setting.List) {
	s.Int(&l.Reduction, "reduction", 16, setting.AtLeast(1), "channels divided by the outputs of the first dense layer")
}

// Kind returns "channel-scale".
func (l ChannelScale) Kind() string { return "channel-scale" }

// OutputShape returns the input's shape.
func (l ChannelScale) OutputShape(in Shape) (Shape, error) {
	if _, _, _, err := in.image(); err != nil {
		return nil, err
	}
	return in, setting.Check(&l)
}

// Network returns what computes the factors of so many channels.
func (l ChannelScale) Network(channels int) Layer {
	if l.Factors != nil {
		return l.Factors
	}
	setting.Complete(&l)
	return NewSequential(GlobalAvgPool{}, Dense{Out: max(channels/l.Reduction, 1)}, ReLU{}, Dense{Out: channels}, Sigmoid{})
}

// Build builds the small network in its own buffers, because x and dy are still needed after it has run.
func (l ChannelScale) Build(b *Builder, in Shape) (BuiltLayer, error) {
	c, rows, channels := &composer{b: b}, in[0]*in[1], in[2]
	u := &channelScale{needs: b.NeedsInputGradient()}
	level := b.openBranch()
	defer b.closeBranch()
	var err error
	if u.factors, err = buildBranch(b, "factors", l.Network(channels), in); err != nil {
		return nil, err
	}
	s := device.MapSpec{Kind: device.MapMul, Batch: b.batch, Rows: rows, C: channels, B: device.AxisBatch | device.AxisC, Alpha: 1, BDType: b.dtype}
	u.scale = c.mapping(s)
	if b.train {
		u.products = c.reduce(device.ReduceSpec{Kind: device.ReduceSumProducts, Batch: b.batch, Rows: rows, C: channels, Keep: device.AxisBatch | device.AxisC})
		u.add = c.weightedSum(device.WeightedSumSpec{Len: b.batch * in.Len(), Alpha: 1, Beta: 1})
		u.sums = c.tensor(device.Float32, b.batch, channels)
		b.claim(Shape{channels}, &u.ds)
		u.round = c.cast(b.batch * channels)
	}
	b.resumeChain(level)
	c.output(in, &u.y)
	return u, c.err
}

type channelScale struct {
	factors  BuiltLayer
	scale    device.Map
	products device.Reduce
	add      device.WeightedSum
	round    device.Cast
	x, s, y  *device.Tensor
	sums, ds *device.Tensor // the gradient with respect to s, in float32 and in the network's type
	needs    bool           // something before this layer is trained
}

// Forward computes the factors and y = s x.
func (u *channelScale) Forward(x *device.Tensor, mode Mode) *device.Tensor {
	u.x, u.s = x, u.factors.Forward(x, mode)
	u.y.SetRows(x.Rows())
	u.scale.Run(u.y, x, u.s)
	return u.y
}

// Backward computes the small network's gradients and, in place of dy, dx.
func (u *channelScale) Backward(dy *device.Tensor) *device.Tensor {
	u.sums.SetRows(dy.Rows())
	u.ds.SetRows(dy.Rows())
	u.products.Run(u.sums, dy, u.x)
	u.round.Run(u.ds, u.sums)
	dx := u.factors.Backward(u.ds)
	if !u.needs {
		return nil
	}
	u.scale.Run(dy, dy, u.s)
	u.add.Run(dy, dy, dx)
	return dy
}

// Graph describes the small network and the product.
func (l ChannelScale) Graph(g *graph.Builder, x graph.Value, in Shape) (graph.Value, error) {
	factors, err := graphBranch(g, "factors", l.Network(in[2]), x, in)
	if err != nil {
		return x, err
	}
	return g.Mul(x, factors), nil
}

// Explain describes the product of x, slot 0, and the factors, slot 1.
func (ChannelScale) Explain(Shape) explain.Rule {
	return explain.Gate{Formula: explain.Formula{
		Forward:  "y[n,i,j,k] = s[n,k] x[n,i,j,k]",
		Backward: "ds[n,k] = sum_{i,j} dy[n,i,j,k] x[n,i,j,k]\ndx[n,i,j,k] = s[n,k] dy[n,i,j,k]",
	}}
}
