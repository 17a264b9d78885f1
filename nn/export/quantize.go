package export

import (
	"math"
	"slices"

	"trainer/nn/graph"
)

// Quantisation to 8 bits (Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
// Inference", CVPR 2018). A value x is kept as a whole number q of 0 to 255, with a scale and a zero point that belong to
// the whole tensor:
//
//	q = round(x/scale) + zero      x' = scale (q - zero)
//
// Weights are whole numbers of -127 to 127 with a scale for each output channel, and without a zero point. Then a sum of products of whole numbers, which is
// exact in 32 bits, is a convolution or a product of matrices:
//
//	sum_k x'[k] w'[k] + b' = scale_x scale_w (sum_k (q_x[k] - zero_x) q_w[k] + q_b)
//
// with the bias as a whole number of 32 bits in units of scale_x scale_w.

// grid is the scale and the zero point of a value: the 256 numbers that it can have.
type grid struct {
	scale float32
	zero  uint8
}

// gridOf returns the grid from low to high. It always has the number 0, which padding and ReLU depend on.
func gridOf(low, high float64) grid {
	low, high = min(low, 0), max(high, 0)
	scale := float32((high - low) / 255)
	if scale < minScale {
		scale = minScale
	}
	return grid{scale, uint8(math.RoundToEven(min(-low/float64(scale), 255)))}
}

// minScale keeps scales in the normal numbers, also after a division by another scale.
const minScale = 1e-20

// round returns the value that stands for x.
func (g grid) round(x float32) float32 {
	q := math.RoundToEven(float64(x/g.scale)) + float64(g.zero)
	return g.scale * float32(max(0, min(q, 255))-float64(g.zero))
}

// roundAll rounds all elements of x.
func (g grid) roundAll(x []float32) {
	for i, v := range x {
		x[i] = g.round(v)
	}
}

// quantized are weights in 8 bits, or a bias in 32 bits.
type quantized struct {
	values []int32
	scales []float32 // one per output channel, or only one
}

// dequantized returns the numbers that are meant; channel returns the index of an element's scale.
func (q quantized) dequantized(channel func(i int) int) []float32 {
	x := make([]float32, len(q.values))
	for i, v := range q.values {
		x[i] = float32(v) * q.scales[channel(i)]
	}
	return x
}

// quantization says how a network is quantised.
type quantization struct {
	values map[int]grid         // of activations, by the number of the value
	params map[string]quantized // weights and biases of weighted nodes, by their tensors
}

// quantizedValues returns the values that are quantised, each with the value whose scale and zero point it has: its own, or
// that of the input of an operation that only moves or chooses numbers.
//
// Convolutions, products, sums, concatenations and poolings take quantised inputs. The output of a convolution is quantised
// too, after the ReLU or limit that directly follows, because runtimes have convolutions of whole numbers only with a
// quantised output. Everything else (other activations, normalisations, factors) is computed in float32 between the
// quantised values, and so is the network's output.
//
// ReLU commutes with max pooling. Between a quantised value and a ReLU that alone reads it, perhaps after such operations,
// the grid is therefore that of the ReLU's output: it has no negative numbers, and the ReLU changes nothing any more. source
// is the value whose range counts for the grid of an owner.
func quantizedValues(n *network) (owner, source map[int]int) {
	uses := n.uses()
	wanted := map[int]bool{}
	for _, node := range slices.Backward(n.Nodes) {
		switch node.Op {
		case graph.Conv, graph.ConvTranspose:
			out := node.Output.ID
			if next := uses[out]; len(next) == 1 && next[0] != nil && (next[0].Op == graph.Relu || next[0].Op == graph.Clip) {
				out = next[0].Output.ID
			}
			wanted[out] = true
		}
		switch node.Op {
		case graph.Conv, graph.ConvTranspose, graph.Linear, graph.Add, graph.Concat, graph.MaxPool, graph.AveragePool, graph.Mean:
			for _, v := range node.Inputs {
				wanted[v.ID] = true
			}
		case graph.Flatten, graph.Repeat:
			if wanted[node.Output.ID] {
				wanted[node.Inputs[0].ID] = true
			}
		}
	}
	owner, source = map[int]int{}, map[int]int{}
	add := func(id int) { owner[id], source[id] = id, id }
	if wanted[0] {
		add(0)
	}
	alone := map[int]bool{} // owners that nothing reads but the operations that share their grid
	for _, node := range n.Nodes {
		in, out := node.Inputs[0].ID, node.Output.ID
		from, ok := owner[in]
		single := ok && len(uses[in]) == 1 && (in == from || alone[from])
		switch {
		case out == n.Output.ID:
		case ok && (node.Op == graph.MaxPool || node.Op == graph.Flatten || node.Op == graph.Repeat):
			owner[out], alone[from] = from, single
		case single && node.Op == graph.Relu:
			owner[out], source[from] = from, out
		case wanted[out]:
			add(out)
		}
	}
	return owner, source
}

// quantizeParams quantises the weights and biases of a weighted node, whose input has the given scale.
func (q *quantization) quantizeParams(n *network, node graph.Node, input float32) {
	weight := n.values[node.Params[0].Tensor]
	channel, channels := scaleIndex(node)
	var bias []float32
	if len(node.Params) > 1 {
		bias = n.values[node.Params[1].Tensor]
	}
	largest := make([]float64, channels)
	for i, v := range weight {
		c := channel(i)
		largest[c] = max(largest[c], math.Abs(float64(v)))
	}
	scales := make([]float32, channels)
	for c := range scales {
		scales[c] = max(float32(largest[c]/127), minScale)
	}
	const most = 1 << 30 // bias in units of the scales; the sum of products is far smaller
	for o, b := range bias {
		c := min(o, channels-1)
		scales[c] = max(scales[c], float32(math.Abs(float64(b))/most/float64(input)))
	}
	w := quantized{make([]int32, len(weight)), scales}
	for i, v := range weight {
		w.values[i] = int32(max(-127, min(math.RoundToEven(float64(v/scales[channel(i)])), 127)))
	}
	q.params[node.Params[0].Tensor] = w
	if bias == nil {
		return
	}
	b := quantized{make([]int32, len(bias)), make([]float32, channels)}
	for c, s := range scales {
		b.scales[c] = input * s
	}
	for o, v := range bias {
		b.values[o] = int32(math.RoundToEven(float64(v) / float64(b.scales[min(o, channels-1)])))
	}
	q.params[node.Params[1].Tensor] = b
}

// scaleIndex returns the function that gives the index of the scale of an element of a weighted node's weights, and the
// number of scales: one for each output channel. The filters of a transposed convolution have one in all, because runtimes
// disagree about the channels of groups.
func scaleIndex(node graph.Node) (func(i int) int, int) {
	if node.Op == graph.ConvTranspose {
		return func(int) int { return 0 }, 1
	}
	return outputChannel(node), node.Params[0].Shape[0]
}

// rounded returns the network with the parameters that the quantised ones stand for.
func (q *quantization) rounded(n *network) *network {
	n = n.clone()
	for _, node := range n.Nodes {
		if !weighted(node.Op) {
			continue
		}
		channel, channels := scaleIndex(node)
		if w, ok := q.params[node.Params[0].Tensor]; ok {
			n.values[node.Params[0].Tensor] = w.dequantized(channel)
		}
		if len(node.Params) == 1 {
			continue
		}
		if b, ok := q.params[node.Params[1].Tensor]; ok {
			n.values[node.Params[1].Tensor] = b.dequantized(func(i int) int { return min(i, channels-1) })
		}
	}
	return n
}
