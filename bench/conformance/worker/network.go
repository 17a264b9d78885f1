package main

import (
	"fmt"
	"strings"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

// networkArgs describe a network.
type networkArgs struct {
	Recipe    string `json:"recipe"` // TOML
	Classes   int    `json:"classes"`
	Batch     int    `json:"batch"` // largest batch; 0 means that of x
	Inference bool   `json:"inference"`
	Seed      uint64 `json:"seed"`
}

// runNetwork builds a recipe's network, with the tensors value:NAME in place of its initial ones, and runs it on x.
//
//   - With dy, the gradient of some loss with respect to the outputs, it answers the outputs y, dx, the gradients grad:NAME
//     of the parameters and the tensors value:NAME after the step.
//   - With targets, int32 labels or float32 probabilities, and perhaps the examples' weights, the recipe's loss takes the
//     place of dy, and the answer also has stats.
//   - With neither, it answers y and value:NAME.
func runNetwork(c *call) error {
	var a networkArgs
	if err := c.decode(&a); err != nil {
		return err
	}
	r, err := recipe.Parse("request", []byte(a.Recipe))
	if err != nil {
		return err
	}
	x, err := c.tensor("x")
	if err != nil {
		return err
	}
	source, sink := &source{}, &sink{}
	layers := append([]nn.Layer{nn.Named("conformance-source", source)}, r.Model(max(a.Classes, 1)).Layers...)
	loss := r.Loss
	if !c.has("targets") {
		layers, loss = append(layers, nn.Named("conformance-sink", sink)), nn.MeanSquaredError{}
	}
	n, err := nn.Compile(c.dev, nn.NewSequential(layers...), nn.Options{
		Input: x.Shape()[1:], Batch: max(a.Batch, x.Rows()), Training: !a.Inference, Seed: a.Seed, Loss: loss,
		SoftTargets: c.arrays["targets"].Type == "float32", ExampleWeights: c.has("weights"),
	})
	if err != nil {
		return err
	}
	if err := c.setValues(n); err != nil {
		return err
	}
	mode := nn.Training
	if a.Inference {
		mode = nn.Inference
	}
	y := n.Forward(x, mode)
	if err := c.finish(n, source, sink, y); err != nil {
		return err
	}
	return c.giveValues(n)
}

// finish runs the backward pass that the request asks for, and answers with its results.
func (c *call) finish(n *nn.Network, source *source, sink *sink, y *device.Tensor) error {
	if !c.has("targets") {
		y = sink.x
	}
	if err := c.give("y", y); err != nil {
		return err
	}
	if !c.has("targets") && !c.has("dy") {
		return nil
	}
	targets, weights, err := c.targets(n, sink)
	if err != nil {
		return err
	}
	if c.has("targets") {
		n.LossWeighted(targets, weights)
		if err := c.give("stats", n.Stats()); err != nil {
			return err
		}
	}
	n.BackwardWeighted(targets, weights)
	if err := c.give("dx", source.dy); err != nil {
		return err
	}
	for _, p := range n.Params() {
		if p.Grad != nil && !strings.HasPrefix(p.Name, "conformance-") {
			if err := c.give("grad:"+p.Name, p.Grad); err != nil {
				return err
			}
		}
	}
	return nil
}

// targets returns what the loss compares with. With dy, the loss is only there to start the backward pass.
func (c *call) targets(n *nn.Network, sink *sink) (targets, weights *device.Tensor, err error) {
	if c.has("targets") {
		if targets, err = c.tensor("targets"); err == nil {
			weights, err = c.optional("weights")
		}
		return targets, weights, err
	}
	if sink.dy, err = c.tensor("dy"); err != nil {
		return nil, nil, err
	}
	targets, err = c.dev.NewTensor(device.Int32, sink.x.Rows())
	return targets, nil, err
}

// setValues replaces initial values by those of the request.
func (c *call) setValues(n *nn.Network) error {
	known := map[string]*device.Tensor{}
	for _, p := range n.Tensors() {
		known[p.Name] = p.Value
	}
	for name, a := range c.arrays {
		name, ok := strings.CutPrefix(name, "value:")
		if !ok {
			continue
		}
		t := known[name]
		if t == nil || t.Len()*t.DType().Size() != len(a.bytes) {
			return fmt.Errorf("no tensor %s of the shape %v in the network", name, a.Shape)
		}
		if err := c.dev.Upload(t, a.bytes); err != nil {
			return err
		}
	}
	return nil
}

// giveValues answers with all parameters and state.
func (c *call) giveValues(n *nn.Network) error {
	for _, p := range n.Tensors() {
		if !strings.HasPrefix(p.Name, "conformance-") {
			if err := c.give("value:"+p.Name, p.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// source is a first layer that passes its input on. Its parameter, which nothing uses, makes the layers after it compute
// the gradient with respect to their input, and source keeps that gradient.
type source struct{ dy *device.Tensor }

func (*source) Kind() string                              { return "source" }
func (*source) OutputShape(in nn.Shape) (nn.Shape, error) { return in, nil }

func (s *source) Build(b *nn.Builder, _ nn.Shape) (nn.BuiltLayer, error) {
	_, err := b.Param(nn.ParamSpec{Name: "unused", Role: nn.Gain, Shape: []int{1}, Init: nn.Constant{Value: 1}, FanIn: 1, FanOut: 1})
	return s, err
}

func (s *source) Forward(x *device.Tensor, _ nn.Mode) *device.Tensor { return x }

func (s *source) Backward(dy *device.Tensor) *device.Tensor {
	s.dy = dy
	return nil
}

// sink is a last layer that keeps its input and begins the backward pass with a given gradient. Its output, which a
// network needs one value per class of, means nothing.
type sink struct{ x, dy, output *device.Tensor }

func (*sink) Kind() string                           { return "sink" }
func (*sink) OutputShape(nn.Shape) (nn.Shape, error) { return nn.Shape{1}, nil }

func (s *sink) Build(b *nn.Builder, _ nn.Shape) (nn.BuiltLayer, error) {
	return s, b.Output(nn.Shape{1}, &s.output)
}

func (s *sink) Forward(x *device.Tensor, _ nn.Mode) *device.Tensor {
	s.x = x
	s.output.SetRows(x.Rows())
	return s.output
}

func (s *sink) Backward(*device.Tensor) *device.Tensor { return s.dy }
