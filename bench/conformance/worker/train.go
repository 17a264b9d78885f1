package main

import (
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/recipe"
)

// trainArgs describe a few steps of a training.
type trainArgs struct {
	networkArgs
	Steps    int `json:"steps"`     // to run
	Total    int `json:"total"`     // steps in the whole training, which schedules depend on
	PerEpoch int `json:"per_epoch"` // steps per epoch
}

// train runs steps of a recipe's training on batches x [steps, n, h, w, c] with labels [steps, n], from value:NAME. It
// answers the mean loss of every step before its update, and value:NAME after the last one.
func train(c *call) error {
	var a trainArgs
	if err := c.decode(&a); err != nil {
		return err
	}
	r, err := recipe.Parse("request", []byte(a.Recipe))
	if err != nil {
		return err
	}
	shape := c.arrays["x"].Shape
	n, err := nn.Compile(c.dev, r.Model(a.Classes), nn.Options{Input: shape[2:], Batch: shape[1], Training: true, Seed: a.Seed, Loss: r.Loss})
	if err != nil {
		return err
	}
	if err := c.setValues(n); err != nil {
		return err
	}
	o, err := optim.New(c.dev, n.Params(), n.State(), r.Optimizer, r.Schedule, a.Total, a.PerEpoch)
	if err != nil {
		return err
	}
	losses := make([]float64, a.Steps)
	for step := range losses {
		if losses[step], err = c.step(n, o, step); err != nil {
			return err
		}
	}
	c.answer.Result = map[string]any{"losses": losses}
	return c.giveValues(n)
}

// step runs one step and returns the mean loss.
func (c *call) step(n *nn.Network, o *optim.Optimizer, step int) (float64, error) {
	x, err := c.at("x", step)
	if err != nil {
		return 0, err
	}
	labels, err := c.at("labels", step)
	if err != nil {
		return 0, err
	}
	c.dev.Zero(n.Stats())
	n.Forward(x, nn.Training)
	n.Loss(labels)
	n.Backward(labels)
	if err := o.Step(step); err != nil {
		return 0, err
	}
	var stats [device.StatsLen]float32
	err = c.dev.Download(device.Bytes(stats[:]), n.Stats())
	return float64(stats[device.StatLoss]) / float64(stats[device.StatWeight]), err
}

// at uploads element i of the first dimension of an array.
func (c *call) at(name string, i int) (*device.Tensor, error) {
	a := c.arrays[name]
	dtype, err := a.dtype()
	if err != nil {
		return nil, err
	}
	t, err := c.dev.NewTensor(dtype, a.Shape[1:]...)
	if err != nil {
		return nil, err
	}
	size := len(a.bytes) / a.Shape[0]
	return t, c.dev.Upload(t, a.bytes[i*size:(i+1)*size])
}
