package nn

import "trainer/nn/device"

// standardization gives groups of elements of each example mean 0 and variance 1: the part that LayerNorm and GroupNorm
// share. With m elements in a group,
//
//	mean = 1/m sum x        var = 1/m sum (x - mean)^2        r = 1 / sqrt(var + epsilon)
//	xhat = r (x - mean)
//
// and, with g the gradient of the loss with respect to xhat,
//
//	dx = r (g - 1/m sum g - xhat 1/m sum g xhat)
//
// The two sums are there because mean and var depend on every x of the group: standardizing makes xhat blind to a
// shift and to a scaling of x, so dx is what remains of g without its components along the constant vector and along
// xhat. Means and variances are float32, whatever the type of x.
type standardization struct {
	groups                 groupMean
	subtract, times        device.Map // with a statistic b: y = a - b, y = a*b
	subtractProduct        device.Map // y -= a*b
	root                   device.Map // 1 / sqrt(a + epsilon)
	mean, r, first, second *device.Tensor
	xhat                   *device.Tensor // nil in inference
}

// groupMean computes the mean of each group of elements, of their squares, or of their products with another tensor's.
type groupMean struct {
	sum, squares, products device.Reduce
	axes                   device.Axes // of the result

	// These plans join the columns of a group, if a group has several columns: they add the columns' sums, and copy the
	// result back to each column.
	join           device.Reduce
	give           device.Map
	columns, joint *device.Tensor
}

// of computes the mean with one of the plans.
func (g *groupMean) of(plan device.Reduce, dst, a, b *device.Tensor) {
	if g.join == nil {
		plan.Run(dst, a, b)
		return
	}
	plan.Run(g.columns, a, b)
	g.join.Run(g.joint, g.columns, nil)
	g.give.Run(dst, g.columns, g.joint)
}

// setRows sets the number of rows of the tensors to the batch's.
func (g *groupMean) setRows(n int) {
	if g.join != nil {
		g.columns.SetRows(n)
		g.joint.SetRows(n)
	}
}

// overChannels makes one group of the channels of each pixel, for examples [rows, c].
func overChannels(c *composer, rows, channels int) groupMean {
	g := groupMean{axes: device.AxisBatch | device.AxisRows}
	g.plans(c, rows, channels, channels)
	return g
}

// overPixels makes each group of all pixels of c/groups neighbouring channels.
func overPixels(c *composer, rows, channels, groups int) groupMean {
	g := groupMean{axes: device.AxisBatch | device.AxisC}
	g.plans(c, rows, channels, rows*channels/groups)
	if groups == channels {
		return g
	}
	batch, width := c.b.batch, channels/groups
	g.join = c.reduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: batch * groups, Rows: 1, C: width, Keep: device.AxisBatch, DType: device.Float32})
	g.give = c.mapping(device.MapSpec{
		Kind: device.MapAdd, Batch: batch * groups, Rows: 1, C: width, B: device.AxisBatch, Alpha: 0, Beta: 1, DType: device.Float32,
	})
	g.columns, g.joint = c.tensor(device.Float32, batch, channels), c.tensor(device.Float32, batch, groups)
	return g
}

// plans makes the reductions; each mean is over m elements.
func (g *groupMean) plans(c *composer, rows, channels, m int) {
	s := device.ReduceSpec{Batch: c.b.batch, Rows: rows, C: channels, Keep: g.axes, Alpha: 1 / float32(m)}
	of := func(kind device.ReduceKind) device.Reduce {
		s.Kind = kind
		return c.reduce(s)
	}
	g.sum, g.squares = of(device.ReduceSum), of(device.ReduceSumSquares)
	if c.b.train {
		g.products = of(device.ReduceSumProducts)
	}
}

// newStandardization makes the plans for examples [rows, c] in groups.
func newStandardization(c *composer, groups groupMean, in Shape, epsilon float32) *standardization {
	batch, channels := c.b.batch, in[len(in)-1]
	rows := in.Len() / channels
	u := &standardization{groups: groups}
	s := device.MapSpec{Batch: batch, Rows: rows, C: channels, B: groups.axes}
	of := func(kind device.MapKind, alpha, beta float32, accumulate bool) device.Map {
		s.Kind, s.Alpha, s.Beta, s.Accumulate = kind, alpha, beta, accumulate
		return c.mapping(s)
	}
	u.subtract, u.times = of(device.MapAdd, 1, -1, false), of(device.MapMul, 1, 0, false)
	statistics := groups.axes.Len(1, rows, channels)
	u.root = c.mapping(device.MapSpec{Kind: device.MapRsqrt, Batch: batch, Rows: 1, C: statistics, Alpha: 1, Beta: epsilon, DType: device.Float32})
	for _, t := range []**device.Tensor{&u.mean, &u.r} {
		*t = c.tensor(device.Float32, batch, statistics)
	}
	if !c.b.train {
		return u
	}
	u.subtractProduct = of(device.MapMul, -1, 0, true)
	u.first, u.second = c.tensor(device.Float32, batch, statistics), c.tensor(device.Float32, batch, statistics)
	u.xhat = c.tensor(c.b.dtype, in.batch(batch)...)
	return u
}

// forward computes xhat in y or, in training, in the layer's own tensor, and returns it.
func (u *standardization) forward(y, x *device.Tensor) (xhat *device.Tensor) {
	n := x.Rows()
	u.groups.setRows(n)
	u.mean.SetRows(n)
	u.r.SetRows(n)
	xhat = y
	if u.xhat != nil {
		u.xhat.SetRows(n)
		xhat = u.xhat
	}
	u.groups.of(u.groups.sum, u.mean, x, nil)
	u.subtract.Run(xhat, x, u.mean)
	u.groups.of(u.groups.squares, u.r, xhat, nil)
	u.root.Run(u.r, u.r, nil)
	u.times.Run(xhat, xhat, u.r)
	return xhat
}

// backward turns the gradient with respect to xhat into the gradient with respect to x, in place.
func (u *standardization) backward(g *device.Tensor) {
	u.first.SetRows(g.Rows())
	u.second.SetRows(g.Rows())
	u.groups.of(u.groups.sum, u.first, g, nil)
	u.groups.of(u.groups.products, u.second, g, u.xhat)
	u.subtract.Run(g, g, u.first)
	u.subtractProduct.Run(g, u.xhat, u.second)
	u.times.Run(g, g, u.r)
}

// channelAffine is y = gamma xhat + beta, with one gamma and one beta per channel:
//
//	dbeta = sum dy        dgamma = sum dy xhat        (over all but the channels)
//	dxhat = gamma dy
type channelAffine struct {
	gamma, beta   *Param
	scale, shift  device.Map
	sum, products device.Reduce
}

// newChannelAffine makes gamma ("weight"), beta ("bias") and the plans for examples [rows, c].
func newChannelAffine(c *composer, rows, channels int) *channelAffine {
	a := &channelAffine{}
	a.gamma = c.param(ParamSpec{Name: "weight", Role: Gain, Shape: []int{channels}, Init: Ones(), FanIn: 1, FanOut: 1})
	a.beta = c.param(ParamSpec{Name: "bias", Role: Bias, Shape: []int{channels}, Init: Zeros(), FanIn: 1, FanOut: 1})
	s := device.MapSpec{Kind: device.MapMul, Batch: c.b.batch, Rows: rows, C: channels, B: device.AxisC, Alpha: 1}
	a.scale = c.mapping(s)
	s.Kind, s.Beta = device.MapAdd, 1
	a.shift = c.mapping(s)
	if c.b.train {
		r := device.ReduceSpec{Kind: device.ReduceSum, Batch: c.b.batch, Rows: rows, C: channels, Keep: device.AxisC}
		a.sum = c.reduce(r)
		r.Kind = device.ReduceSumProducts
		a.products = c.reduce(r)
	}
	return a
}

func (a *channelAffine) forward(y, xhat *device.Tensor) {
	a.scale.Run(y, xhat, a.gamma.Value)
	a.shift.Run(y, y, a.beta.Value)
}

// backward computes dgamma and dbeta, and dxhat in place of dy if needed.
func (a *channelAffine) backward(dy, xhat *device.Tensor, needed bool) {
	if a.beta.Grad != nil { // not frozen
		a.sum.Run(a.beta.Grad, dy, nil)
		a.products.Run(a.gamma.Grad, dy, xhat)
	}
	if needed {
		a.scale.Run(dy, dy, a.gamma.Value)
	}
}

// standardizedLayer is a built LayerNorm or GroupNorm.
type standardizedLayer struct {
	*standardization
	affine *channelAffine
	y      *device.Tensor
	needs  bool // something before this layer is trained
}

// buildStandardized builds a layer with the groups that the function make chooses.
func buildStandardized(b *Builder, in Shape, epsilon float32, groups func(c *composer, rows, channels int) groupMean) (BuiltLayer, error) {
	c := &composer{b: b}
	u := &standardizedLayer{needs: b.NeedsInputGradient()}
	channels := in[len(in)-1]
	rows := in.Len() / channels
	u.standardization = newStandardization(c, groups(c, rows, channels), in, epsilon)
	u.affine = newChannelAffine(c, rows, channels)
	c.output(in, &u.y)
	return u, c.err
}

// Forward computes y. Training and inference are the same.
func (u *standardizedLayer) Forward(x *device.Tensor, _ Mode) *device.Tensor {
	u.y.SetRows(x.Rows())
	u.affine.forward(u.y, u.forward(u.y, x))
	return u.y
}

// Backward computes dgamma, dbeta and, in place of dy, dx.
func (u *standardizedLayer) Backward(dy *device.Tensor) *device.Tensor {
	u.affine.backward(dy, u.xhat, u.needs)
	if !u.needs {
		return nil
	}
	u.backward(dy)
	return dy
}
