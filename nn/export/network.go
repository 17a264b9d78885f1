package export

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"trainer/nn/graph"
	"trainer/nn/model"
)

// network is a description of a network together with its parameters.
type network struct {
	*graph.Graph
	values map[string][]float32 // the parameters by their tensors' names, in the layout of the operations
}

// readNetwork returns the network of a model.
func readNetwork(m *model.Model) (*network, error) {
	g, err := m.Graph()
	if err != nil {
		return nil, err
	}
	n := &network{Graph: g, values: map[string][]float32{}}
	for _, node := range g.Nodes {
		for _, p := range node.Params {
			values, err := m.Tensor(p.Tensor)
			if err != nil {
				return nil, err
			}
			n.values[p.Tensor] = p.Convert(values)
		}
	}
	return n, nil
}

// clone returns a network whose nodes and parameters can be replaced.
func (n *network) clone() *network {
	g := *n.Graph
	g.Nodes = slices.Clone(g.Nodes)
	return &network{Graph: &g, values: maps.Clone(n.values)}
}

// uses returns, for each value, the nodes that read it; the network's output counts as one more reader, nil.
func (n *network) uses() map[int][]*graph.Node {
	uses := map[int][]*graph.Node{}
	for k := range n.Nodes {
		node := &n.Nodes[k]
		for _, v := range node.Inputs {
			uses[v.ID] = append(uses[v.ID], node)
		}
	}
	uses[n.Output.ID] = append(uses[n.Output.ID], nil)
	return uses
}

// weighted reports whether an operation multiplies by a matrix of weights.
func weighted(op graph.Op) bool {
	return op == graph.Conv || op == graph.ConvTranspose || op == graph.Linear
}

// outputChannel returns the function that gives the output channel which an element of a weighted node's weights belongs
// to.
func outputChannel(n graph.Node) func(i int) int {
	shape := n.Params[0].Shape
	size := 1
	for _, d := range shape[1:] {
		size *= d
	}
	if n.Op != graph.ConvTranspose { // [out, ...]
		return func(i int) int { return i / size }
	}
	// [in, out/groups, kH, kW]: the inputs of a group are side by side, and so are its outputs.
	groups := max(1, n.Groups)
	inputs, outputs, taps := shape[0]/groups, shape[1], size/shape[1]
	return func(i int) int { return i/size/inputs*outputs + i/taps%outputs }
}

// folded returns the network with each batch normalisation that directly follows a convolution or a dense layer as a part
// of it. In inference
//
//	gamma (conv(x, w) + b - mean) / sqrt(variance + epsilon) + beta = conv(x, a w) + a (b - mean) + beta
//
// with a = gamma / sqrt(variance + epsilon), one for each output channel. Quantised or rounded weights then already are
// those that count, and the normalisation takes no time.
func (n *network) folded() *network {
	n = n.clone()
	uses := n.uses()
	at := map[int]int{} // index of the weighted node that computes a value
	var nodes []graph.Node
	for _, node := range n.Nodes {
		if node.Op == graph.BatchNorm {
			if k, ok := at[node.Inputs[0].ID]; ok && len(uses[node.Inputs[0].ID]) == 1 {
				nodes[k] = n.fold(nodes[k], node)
				continue
			}
		}
		if weighted(node.Op) {
			at[node.Output.ID] = len(nodes)
		}
		nodes = append(nodes, node)
	}
	n.Nodes = nodes
	return n
}

// fold returns a weighted node that also does what the normalisation after it does.
func (n *network) fold(node, norm graph.Node) graph.Node {
	var gamma, beta, mean, variance = n.values[norm.Params[0].Tensor], n.values[norm.Params[1].Tensor], n.values[norm.Params[2].Tensor], n.values[norm.Params[3].Tensor]
	factor, bias := make([]float64, len(gamma)), make([]float32, len(gamma))
	for c := range factor {
		factor[c] = float64(gamma[c]) / math.Sqrt(float64(variance[c])+norm.Epsilon)
		b := 0.
		if len(node.Params) > 1 {
			b = float64(n.values[node.Params[1].Tensor][c])
		}
		bias[c] = float32(factor[c]*(b-float64(mean[c])) + float64(beta[c]))
	}
	weight := slices.Clone(n.values[node.Params[0].Tensor])
	channel := outputChannel(node)
	for i := range weight {
		weight[i] = float32(float64(weight[i]) * factor[channel(i)])
	}
	n.values[node.Params[0].Tensor] = weight
	if len(node.Params) == 1 {
		node.Params = []graph.Param{node.Params[0], {Role: "bias", Tensor: within(node.Layer, "bias"), Shape: []int{len(bias)}}}
	}
	n.values[node.Params[1].Tensor] = bias
	node.Output = norm.Output
	return node
}

// within returns the full name of a layer's tensor.
func within(layer, name string) string {
	if layer == "" {
		return name
	}
	return layer + "." + name
}

// checkFinite returns an error if a parameter is NaN or infinite.
func (n *network) checkFinite() error {
	for _, name := range slices.Sorted(maps.Keys(n.values)) {
		for _, v := range n.values[name] {
			if v-v != 0 {
				return fmt.Errorf("the tensor %s has the value %v", name, v)
			}
		}
	}
	return nil
}
