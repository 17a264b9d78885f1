package inspect

import (
	"trainer/nn"
	"trainer/nn/device"
)

// seeded is a loss whose gradient can be replaced by another one, so that the network's backward pass gives the derivatives
// of any function of its outputs.
type seeded struct {
	nn.Loss
	seed *seed
}

// seed is the gradient with respect to the outputs that replaces the loss's, if on is set.
type seed struct {
	on     bool
	tensor *device.Tensor // float32 [1, classes]
}

// Build builds the loss.
func (l seeded) Build(b *nn.Builder, in nn.LossInput) (nn.BuiltLoss, error) {
	inner, err := l.Loss.Build(b, in)
	if err != nil {
		return nil, err
	}
	l.seed.tensor, err = b.Tensor(device.Float32, b.Batch(), in.Classes)
	return seededLoss{inner, l.seed, b.Device()}, err
}

// Ignores reports whether examples with the label are left out.
func (l seeded) Ignores(label int32) bool {
	inner, ok := l.Loss.(interface{ Ignores(label int32) bool })
	return ok && inner.Ignores(label)
}

type seededLoss struct {
	nn.BuiltLoss
	seed *seed
	dev  device.Device
}

// Backward computes the loss's gradient, or copies the seed.
func (u seededLoss) Backward(doutputs, outputs, targets, weights *device.Tensor) {
	if u.seed.on {
		u.dev.Copy(doutputs, u.seed.tensor)
		return
	}
	u.BuiltLoss.Backward(doutputs, outputs, targets, weights)
}
