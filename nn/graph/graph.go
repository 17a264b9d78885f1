// Package graph describes what a network computes in inference as a list of standard operations on images [n, c, h, w],
// the layout of ONNX and PyTorch, to which networks are exported. Layers describe themselves in their own files, by the
// operations that a Builder has; each exporter translates the operations.
package graph

import "slices"

// Op is an operation.
type Op string

// The operations. In images, channels come first.
const (
	Conv          Op = "Conv"          // weight [outC, inC/groups, kH, kW], and bias [outC] unless it is missing
	ConvTranspose Op = "ConvTranspose" // weight [inC, outC/groups, kH, kW], and bias [outC] unless it is missing
	Linear        Op = "Linear"        // x [in] to [out]: weight [out, in], and bias [out] unless it is missing
	MaxPool       Op = "MaxPool"
	AveragePool   Op = "AveragePool"
	BatchNorm     Op = "BatchNorm" // scale, bias, mean, variance [c]
	GroupNorm     Op = "GroupNorm" // scale, bias [c]; Groups, Epsilon
	LayerNorm     Op = "LayerNorm" // over the channels of each pixel: scale, bias [c]; Epsilon
	PRelu         Op = "PRelu"     // slope [c] or [1]
	Relu          Op = "Relu"
	LeakyRelu     Op = "LeakyRelu" // Alpha
	Elu           Op = "Elu"       // Alpha
	Sigmoid       Op = "Sigmoid"
	Tanh          Op = "Tanh"
	Softplus      Op = "Softplus"
	Gelu          Op = "Gelu"     // x times the normal distribution function of x
	GeluTanh      Op = "GeluTanh" // its approximation by tanh
	Silu          Op = "Silu"     // x times its sigmoid
	Clip          Op = "Clip"     // to Low and High
	Add           Op = "Add"
	Mul           Op = "Mul"     // of equal shapes, or [c, h, w] and [c]
	Affine        Op = "Affine"  // Alpha x + Beta
	Concat        Op = "Concat"  // of channels
	Mean          Op = "Mean"    // of each channel: [c, h, w] to [c]
	Flatten       Op = "Flatten" // [c, h, w] to [c h w]
	Repeat        Op = "Repeat"  // each pixel Factor times in both directions
)

// Graph is a network.
type Graph struct {
	Input  Value
	Nodes  []Node
	Output Value
}

// Value is the output of a node, or the input of the graph.
type Value struct {
	ID    int   // number of the node, from 1; 0 is the input
	Shape []int // of one example: [c h w], or [features]
	// From is the shape [h w c] of the image whose values a vector has, in this order in our layout, or nil.
	From []int
}

// Node is an operation of a layer.
type Node struct {
	Op     Op
	Layer  string // full name of the layer, such as "block1.conv2"
	Inputs []Value
	Params []Param
	Output Value
	Attributes
}

// UsesOf returns how many of the inputs are the value of the given number.
func (n Node) UsesOf(id int) int {
	uses := 0
	for _, v := range n.Inputs {
		if v.ID == id {
			uses++
		}
	}
	return uses
}

// Attributes are the constants of operations. Those that an operation doesn't have are zero.
type Attributes struct {
	Kernel, Stride, Dilation [2]int // height, width
	Pads                     [4]int // top, left, bottom, right
	OutputPadding            [2]int // of ConvTranspose
	Groups                   int
	CountPadding             bool // AveragePool divides by the whole window
	CeilMode                 bool // poolings round the size of the output up
	Alpha, Beta, Epsilon     float64
	Low, High                float64
	Factor                   int
}

// Param is a parameter of an operation.
type Param struct {
	Role   string // "weight", "bias", "scale", "mean", "variance" or "slope"
	Tensor string // its name in a model
	Shape  []int  // in the operation's layout
	// Permutation says which dimension of the model's tensor each dimension of Shape is; nil means the same.
	Permutation []int
	// From is the shape [h w c] of the image whose values the last dimension of Shape stands for, in this order in the
	// model's tensor, and as [c h w] in the operation's; nil means the same order.
	From []int
}

// Source returns, for each element in the operation's layout, the index of its element in the model's tensor.
func (p Param) Source() []int {
	own := slices.Clone(p.Shape)
	for k, from := range p.Permutation {
		own[from] = p.Shape[k]
	}
	strides := make([]int, len(own))
	step := 1
	for k := len(own) - 1; k >= 0; k-- {
		strides[k] = step
		step *= own[k]
	}
	source := make([]int, step)
	index := make([]int, len(p.Shape))
	for i := range source {
		at := 0
		for k, v := range index {
			dimension := k
			if p.Permutation != nil {
				dimension = p.Permutation[k]
			}
			if k == len(index)-1 && p.From != nil {
				v = imageOrder(v, p.From)
			}
			at += v * strides[dimension]
		}
		source[i] = at
		for k := len(index) - 1; k >= 0; k-- {
			if index[k]++; index[k] < p.Shape[k] {
				break
			}
			index[k] = 0
		}
	}
	return source
}

// imageOrder returns the place in [h w c] of the element that is at place v in [c h w].
func imageOrder(v int, from []int) int {
	h, w, c := from[0], from[1], from[2]
	channel, pixel := v/(h*w), v%(h*w)
	return pixel*c + channel
}

// Convert returns the values of the model's tensor in the operation's layout.
func (p Param) Convert(values []float32) []float32 {
	out := make([]float32, len(values))
	for i, from := range p.Source() {
		out[i] = values[from]
	}
	return out
}

// Restore undoes Convert.
func (p Param) Restore(values []float32) []float32 {
	out := make([]float32, len(values))
	for i, to := range p.Source() {
		out[to] = values[i]
	}
	return out
}
