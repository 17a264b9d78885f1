package main

import (
	"strings"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/recipe"
)

// updateArgs describe a sequence of updates.
type updateArgs struct {
	Recipe   string `json:"recipe"`
	Steps    int    `json:"steps"`
	Total    int    `json:"total"`
	PerEpoch int    `json:"per_epoch"`
}

// update runs a recipe's update rule, clipping, averages and schedule on the parameter w with the gradients g [steps, ...].
// state:NAME replaces the initial state of that name. The answer has the parameter after every step, w [steps, ...], and
// the last state:NAME.
func update(c *call) error {
	var a updateArgs
	if err := c.decode(&a); err != nil {
		return err
	}
	r, err := recipe.Parse("request", []byte(a.Recipe))
	if err != nil {
		return err
	}
	p := &nn.Param{Name: "w", Role: nn.Weight}
	if p.Value, err = c.tensor("w"); err != nil {
		return err
	}
	if p.Grad, err = c.result(p.Value.Shape()...); err != nil {
		return err
	}
	o, err := optim.New(c.dev, []*nn.Param{p}, nil, r.Optimizer, r.Schedule, a.Total, a.PerEpoch)
	if err != nil {
		return err
	}
	if err := c.setStates(o); err != nil {
		return err
	}
	all := array{Name: "w", Type: "float32", Shape: append([]int{a.Steps}, p.Value.Shape()...)}
	for step := range a.Steps {
		g, err := c.at("g", step)
		if err != nil {
			return err
		}
		c.dev.Copy(p.Grad, g)
		if err := o.Step(step); err != nil {
			return err
		}
		w := make([]byte, p.Value.Len()*device.Float32.Size())
		if err := c.dev.Download(w, p.Value); err != nil {
			return err
		}
		all.bytes = append(all.bytes, w...)
	}
	c.answer.Arrays = append(c.answer.Arrays, all)
	for _, t := range o.Tensors() {
		if err := c.give("state:"+t.Name, t.Tensor); err != nil {
			return err
		}
	}
	return nil
}

// setStates replaces initial states by those of the request.
func (c *call) setStates(o *optim.Optimizer) error {
	for _, t := range o.Tensors() {
		for name, a := range c.arrays {
			if strings.TrimPrefix(name, "state:") == t.Name {
				if err := c.dev.Upload(t.Tensor, a.bytes); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
