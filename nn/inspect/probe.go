package inspect

import (
	"fmt"

	"trainer/nn"
	"trainer/nn/device"
)

// probe is a layer that computes what another layer computes, and keeps its output and the gradient with respect to it. A
// device can't fuse a probe with its neighbours.
type probe struct {
	nn.Layer
	dev      device.Device
	built    nn.BuiltLayer
	y        *device.Tensor // output of the last Forward; in training every layer has its own
	gradient *device.Tensor // of the last Backward
	seed     *device.Tensor // for vjp and inject, from their first use
	injected *device.Tensor // what Backward takes in place of dy, or nil
}

// Build builds the layer and allocates the gradient.
func (p *probe) Build(b *nn.Builder, in nn.Shape) (nn.BuiltLayer, error) {
	out, err := p.OutputShape(in)
	if err != nil {
		return nil, err
	}
	if p.built, err = p.Layer.Build(b, in); err != nil {
		return nil, err
	}
	p.dev = b.Device()
	p.gradient, err = b.Tensor(device.Float32, append([]int{b.Batch()}, out...)...)
	return probed{p}, err
}

// probed is a probe that has been built.
type probed struct{ p *probe }

// Forward computes the layer's output.
func (u probed) Forward(x *device.Tensor, mode nn.Mode) *device.Tensor {
	u.p.y = u.p.built.Forward(x, mode)
	return u.p.y
}

// Backward keeps dy, which the layer may overwrite, and computes the layer's backward pass.
func (u probed) Backward(dy *device.Tensor) *device.Tensor {
	if u.p.injected != nil {
		u.p.dev.Copy(dy, u.p.injected)
	}
	u.p.dev.Copy(u.p.gradient, dy)
	return u.p.built.Backward(dy)
}

// vjp returns the layer's backward pass of a gradient dy, dx = J^T dy with the layer's derivative J at the last Forward. It
// overwrites the gradients of the layer's parameters on the device.
func (p *probe) vjp(dy []float32) ([]float32, error) {
	if err := p.upload(dy); err != nil {
		return nil, err
	}
	return download(p.dev, p.built.Backward(p.seed))
}

// inject makes the backward passes that follow go on with dy at this layer, until injected is nil again.
func (p *probe) inject(dy []float32) error {
	if err := p.upload(dy); err != nil {
		return err
	}
	p.injected = p.seed
	return nil
}

// upload sets seed.
func (p *probe) upload(dy []float32) (err error) {
	if p.seed == nil {
		if p.seed, err = p.dev.NewTensor(device.Float32, p.gradient.Shape()...); err != nil {
			return fmt.Errorf("derivative of a layer: %w", err)
		}
	}
	if err := p.dev.Upload(p.seed, device.Bytes(dy)); err != nil {
		return fmt.Errorf("derivative of a layer: %w", err)
	}
	return nil
}

// download returns the values of a float32 tensor.
func download(dev device.Device, t *device.Tensor) ([]float32, error) {
	values := make([]float32, t.Len())
	if err := dev.Download(device.Bytes(values), t); err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	return values, nil
}
