package graph

import "slices"

// Builder makes a graph. Its methods add one operation each and return its output.
type Builder struct {
	graph Graph
	layer string
}

// NewBuilder returns a builder of a graph whose input is an image of h x w pixels and c channels.
func NewBuilder(h, w, c int) *Builder {
	return &Builder{graph: Graph{Input: Value{Shape: []int{c, h, w}}}}
}

// Input returns the graph's input.
func (b *Builder) Input() Value { return b.graph.Input }

// SetLayer sets the full name of the layer whose operations follow.
func (b *Builder) SetLayer(name string) { b.layer = name }

// Layer returns the full name of the layer.
func (b *Builder) Layer() string { return b.layer }

// Finish returns the graph with its output.
func (b *Builder) Finish(output Value) *Graph {
	b.graph.Output = output
	return &b.graph
}

// add appends a node whose output has the given shape.
func (b *Builder) add(n Node, shape []int, from []int) Value {
	n.Layer = b.layer
	n.Output = Value{ID: len(b.graph.Nodes) + 1, Shape: slices.Clone(shape), From: from}
	b.graph.Nodes = append(b.graph.Nodes, n)
	return n.Output
}

// same adds a node whose output has the shape of its first input.
func (b *Builder) same(n Node) Value { return b.add(n, n.Inputs[0].Shape, n.Inputs[0].From) }

func (b *Builder) unary(op Op, x Value, a Attributes) Value {
	return b.same(Node{Op: op, Inputs: []Value{x}, Attributes: a})
}

// param names a tensor of the layer.
func (b *Builder) param(role, tensor string, shape ...int) Param {
	if b.layer != "" {
		tensor = b.layer + "." + tensor
	}
	return Param{Role: role, Tensor: tensor, Shape: shape}
}

// optional returns a bias unless it is missing.
func (b *Builder) optional(bias bool, size int) []Param {
	if !bias {
		return nil
	}
	return []Param{b.param("bias", "bias", size)}
}

// Conv convolves with the layer's filters "weight" [outC, kH, kW, inC/groups] and its "bias". out is the image that comes
// out, [h w c].
func (b *Builder) Conv(x Value, out []int, bias bool, a Attributes) Value {
	outC := out[2]
	weight := b.param("weight", "weight", outC, x.Shape[0]/max(1, a.Groups), a.Kernel[0], a.Kernel[1])
	weight.Permutation = []int{0, 3, 1, 2}
	return b.add(Node{Op: Conv, Inputs: []Value{x}, Params: append([]Param{weight}, b.optional(bias, outC)...), Attributes: a}, channelsFirst(out), nil)
}

// ConvTranspose is the transposed convolution with the layer's filters "weight" [inC, kH, kW, outC/groups] and its "bias".
func (b *Builder) ConvTranspose(x Value, out []int, bias bool, a Attributes) Value {
	outC := out[2]
	weight := b.param("weight", "weight", x.Shape[0], outC/max(1, a.Groups), a.Kernel[0], a.Kernel[1])
	weight.Permutation = []int{0, 3, 1, 2}
	return b.add(Node{Op: ConvTranspose, Inputs: []Value{x}, Params: append([]Param{weight}, b.optional(bias, outC)...), Attributes: a}, channelsFirst(out), nil)
}

// Linear multiplies a vector by the layer's matrix "weight" [in, out] and adds its "bias".
func (b *Builder) Linear(x Value, out int, bias bool) Value {
	weight := b.param("weight", "weight", out, x.Shape[0])
	weight.Permutation, weight.From = []int{1, 0}, x.From
	return b.add(Node{Op: Linear, Inputs: []Value{x}, Params: append([]Param{weight}, b.optional(bias, out)...)}, []int{out}, nil)
}

// Pool is MaxPool or AveragePool. out is the image that comes out, [h w c].
func (b *Builder) Pool(op Op, x Value, out []int, a Attributes) Value {
	return b.add(Node{Op: op, Inputs: []Value{x}, Attributes: a}, channelsFirst(out), nil)
}

// BatchNorm normalises with the layer's running statistics "running_mean" and "running_var", and scales by its "weight" and
// "bias".
func (b *Builder) BatchNorm(x Value, mean, variance string, epsilon float64) Value {
	c := x.Shape[0]
	return b.normalization(BatchNorm, x, Attributes{Epsilon: epsilon}, b.param("mean", mean, c), b.param("variance", variance, c))
}

// GroupNorm normalises the elements of each group of channels, and scales by the layer's "weight" and "bias".
func (b *Builder) GroupNorm(x Value, groups int, epsilon float64) Value {
	return b.normalization(GroupNorm, x, Attributes{Groups: groups, Epsilon: epsilon})
}

// LayerNorm normalises the channels of each pixel, and scales by the layer's "weight" and "bias".
func (b *Builder) LayerNorm(x Value, epsilon float64) Value {
	return b.normalization(LayerNorm, x, Attributes{Epsilon: epsilon})
}

func (b *Builder) normalization(op Op, x Value, a Attributes, statistics ...Param) Value {
	c := x.Shape[0]
	params := append([]Param{b.param("scale", "weight", c), b.param("bias", "bias", c)}, statistics...)
	for k := range params {
		params[k].From = x.From // of a flattened image every element is a channel
	}
	return b.same(Node{Op: op, Inputs: []Value{x}, Params: params, Attributes: a})
}

// PRelu is x above 0 and the layer's "weight" [slopes] times x below.
func (b *Builder) PRelu(x Value, slopes int) Value {
	slope := b.param("slope", "weight", slopes)
	if slopes > 1 {
		slope.From = x.From
	}
	return b.same(Node{Op: PRelu, Inputs: []Value{x}, Params: []Param{slope}})
}

// Relu is max(x, 0).
func (b *Builder) Relu(x Value) Value { return b.unary(Relu, x, Attributes{}) }

// LeakyRelu is x above 0 and alpha x below.
func (b *Builder) LeakyRelu(x Value, alpha float64) Value {
	return b.unary(LeakyRelu, x, Attributes{Alpha: alpha})
}

// Elu is x above 0 and alpha (exp(x) - 1) below.
func (b *Builder) Elu(x Value, alpha float64) Value {
	return b.unary(Elu, x, Attributes{Alpha: alpha})
}

// Sigmoid is 1 / (1 + exp(-x)).
func (b *Builder) Sigmoid(x Value) Value { return b.unary(Sigmoid, x, Attributes{}) }

// Tanh is the hyperbolic tangent.
func (b *Builder) Tanh(x Value) Value { return b.unary(Tanh, x, Attributes{}) }

// Softplus is log(1 + exp(x)).
func (b *Builder) Softplus(x Value) Value { return b.unary(Softplus, x, Attributes{}) }

// Gelu is x times the normal distribution function of x, x/2 (1 + erf(x/sqrt 2)).
func (b *Builder) Gelu(x Value) Value { return b.unary(Gelu, x, Attributes{}) }

// GeluTanh is x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
func (b *Builder) GeluTanh(x Value) Value { return b.unary(GeluTanh, x, Attributes{}) }

// Silu is x times the sigmoid of x.
func (b *Builder) Silu(x Value) Value { return b.unary(Silu, x, Attributes{}) }

// Clip limits x to [low, high].
func (b *Builder) Clip(x Value, low, high float64) Value {
	return b.unary(Clip, x, Attributes{Low: low, High: high})
}

// Affine is scale x + shift.
func (b *Builder) Affine(x Value, scale, shift float64) Value {
	return b.unary(Affine, x, Attributes{Alpha: scale, Beta: shift})
}

// Add is x + y, of equal shapes.
func (b *Builder) Add(x, y Value) Value { return b.same(Node{Op: Add, Inputs: []Value{x, y}}) }

// Mul is x times y, of equal shapes, or of an image and one factor per channel.
func (b *Builder) Mul(x, y Value) Value { return b.same(Node{Op: Mul, Inputs: []Value{x, y}}) }

// Concat joins the channels of images, or the elements of vectors.
func (b *Builder) Concat(parts []Value) Value {
	shape := slices.Clone(parts[0].Shape)
	for _, p := range parts[1:] {
		shape[0] += p.Shape[0]
	}
	return b.add(Node{Op: Concat, Inputs: parts}, shape, nil)
}

// Mean is the mean of each channel of an image.
func (b *Builder) Mean(x Value) Value {
	return b.add(Node{Op: Mean, Inputs: []Value{x}}, x.Shape[:1], nil)
}

// Flatten makes an image a vector.
func (b *Builder) Flatten(x Value) Value {
	if len(x.Shape) != 3 {
		return x
	}
	c, h, w := x.Shape[0], x.Shape[1], x.Shape[2]
	return b.add(Node{Op: Flatten, Inputs: []Value{x}}, []int{c * h * w}, []int{h, w, c})
}

// Repeat repeats each pixel factor times in both directions.
func (b *Builder) Repeat(x Value, factor int) Value {
	shape := []int{x.Shape[0], x.Shape[1] * factor, x.Shape[2] * factor}
	return b.add(Node{Op: Repeat, Inputs: []Value{x}, Attributes: Attributes{Factor: factor}}, shape, nil)
}

func channelsFirst(hwc []int) []int { return []int{hwc[2], hwc[0], hwc[1]} }
