// Package explain describes where the numbers of a layer come from: a rule says for each output which inputs and weights it
// was computed from. Layers describe themselves in their own files by the rules of this package; package inspect puts the
// numbers in.
//
// Most layers are Linear in their input: one list of products, read in three directions, gives the output, the gradient with
// respect to the input, and the gradient with respect to the weights.
package explain

// Rule is how a layer computes: a Linear, Function, Maximum, Normalization or Gate.
type Rule interface {
	// Says returns the formulas, as the layer's documentation has them.
	Says() Formula
}

// Formula is a layer's formulas. Those that a layer doesn't have are "".
type Formula struct {
	Forward  string `json:"forward"`  // the output from the input
	Backward string `json:"backward"` // the gradient with respect to the input
	Weights  string `json:"weights"`  // the gradients with respect to the parameters
}

// Says returns the formulas.
func (f Formula) Says() Formula { return f }

// Any stands for every index.
const Any = -1

// Linear is a layer whose outputs are sums of products, with a bias or without:
//
//	y[m] = bias + sum over the products of m: factor * x[k]
//
// Each factor is a weight or a constant.
type Linear struct {
	Formula
	// Products calls yield for each product that has the given slot, output, input and weight; Any leaves one open. Output,
	// or slot and input, or weight is given.
	Products func(at Product, yield func(Product))
	Weight   string // the tensor whose elements are factors, or "" if all factors are constants
	// Bias is the tensor added to the outputs, or "". Output m gets the element m mod the tensor's length: its channel.
	Bias string
	// Window returns the part of the input that an output's window covers; nil for layers without windows.
	Window func(output int) Window
}

// Product is a factor times an input, a summand of an output.
type Product struct {
	Output int
	Slot   int // which of the layer's inputs, from 0; only layers that join branches have several
	Input  int
	Weight int     // element of the weight tensor; Any if the factor is constant
	Factor float64 // unless a weight is the factor
}

// Window is the part of an image that a window covers; it may reach beyond the image.
type Window struct {
	Top, Left            int
	Rows, Columns        int // elements of the window
	DilationH, DilationW int // distance between them
	Channel, Channels    int // the channels from the first
}

// Function is a layer that computes each output from the input of the same index:
//
//	y = f(x, a)        dx = dy f'(x, a)        da = sum of dy df/da, over the elements that share a
type Function struct {
	Formula
	Value, Slope func(x, a float64) float64
	Alpha        float64 // a, unless it is learnt
	// Weight is the tensor of a learnt a, of which element k gets the element k mod the tensor's length; or "".
	Weight string
	ByA    func(x, a float64) float64 // df/da; nil unless a is learnt
}

// Maximum is a layer whose outputs are the largest of several inputs, the first one if several are equal.
type Maximum struct {
	Formula
	// Candidates calls yield for each pair of an output and an input of its window; Any leaves one of them open.
	Candidates func(output, input int, yield func(output, input int))
	Window     func(output int) Window
}

// Normalization is a layer that subtracts a mean, divides by a standard deviation, and applies a learnt scale gamma
// ("weight") and shift beta ("bias"), one per channel, the last dimension:
//
//	y[i] = gamma (x[i] - mean) / sqrt(var + epsilon) + beta
type Normalization struct {
	Formula
	Epsilon float64
	// Mean and Variance are the tensors of fixed statistics, one per channel; "" if the statistics are those of the elements
	// that Group returns for an element, itself included.
	Mean, Variance string
	Group          func(element int) []int
}

// Gate is a layer that multiplies each pixel of an image, slot 0, by the factor of its channel, slot 1:
//
//	y[i,j,k] = s[k] x[i,j,k]
type Gate struct {
	Formula
}

// Each calls yield for an index, or for all below n if the index is Any.
func Each(index, n int, yield func(int)) {
	if index != Any {
		yield(index)
		return
	}
	for k := range n {
		yield(k)
	}
}
