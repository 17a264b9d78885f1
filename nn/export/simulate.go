package export

import (
	"fmt"

	"trainer/nn/device"
	"trainer/nn/graph"
)

// simulator computes a described network operation by operation, so that every value can be looked at or changed before it
// is used: to find the ranges of values, and to compute what a file of lower precision computes. Convolutions, products,
// poolings and activations run on a device, the rest on the host.
type simulator struct {
	dev     device.Device
	network *network
	batch   int
	steps   []simulatorStep
	// look is called with each value that has been computed, [n, ...] in this project's layout (images NHWC), and may
	// change it. nil does nothing.
	look func(v graph.Value, x []float32) error
}

// simulatorStep is an operation. compute writes y for n examples of its inputs.
type simulatorStep struct {
	node    graph.Node
	compute func(y []float32, in [][]float32, n int) error
	last    []int // values that no later step reads
}

// simulatedElements bounds the elements of the largest value of a batch: 64 MB.
const simulatedElements = 16 << 20

// newSimulator prepares all operations of a network for a device.
func newSimulator(dev device.Device, n *network) (*simulator, error) {
	s := &simulator{dev: dev, network: n, batch: 64}
	lastUse := map[int]int{}
	for k, node := range n.Nodes {
		s.batch = max(1, min(s.batch, simulatedElements/length(node.Output)))
		for _, v := range node.Inputs {
			lastUse[v.ID] = k
		}
	}
	for k, node := range n.Nodes {
		compute, err := s.prepare(node)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", node.Layer, err)
		}
		step := simulatorStep{node: node, compute: compute}
		for _, v := range node.Inputs {
			if lastUse[v.ID] == k && v.ID != n.Output.ID {
				step.last = append(step.last, v.ID)
			}
		}
		s.steps = append(s.steps, step)
	}
	return s, nil
}

// run returns the network's output [n, classes] for normalised images x [n, h, w, c], which it may change.
func (s *simulator) run(x []float32, n int) ([]float32, error) {
	values := map[int][]float32{0: x}
	if err := s.see(s.network.Input, x); err != nil {
		return nil, err
	}
	for _, step := range s.steps {
		in := make([][]float32, len(step.node.Inputs))
		for k, v := range step.node.Inputs {
			in[k] = values[v.ID]
		}
		y := make([]float32, n*length(step.node.Output))
		if err := step.compute(y, in, n); err != nil {
			return nil, fmt.Errorf("layer %s: %w", step.node.Layer, err)
		}
		if err := s.see(step.node.Output, y); err != nil {
			return nil, err
		}
		values[step.node.Output.ID] = y
		for _, id := range step.last {
			delete(values, id)
		}
	}
	return values[s.network.Output.ID], nil
}

func (s *simulator) see(v graph.Value, x []float32) error {
	if s.look == nil {
		return nil
	}
	return s.look(v, x)
}

// length returns the number of elements of a value.
func length(v graph.Value) int {
	n := 1
	for _, d := range v.Shape {
		n *= d
	}
	return n
}
