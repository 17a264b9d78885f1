package optim

import (
	"trainer/nn"
	"trainer/nn/device"
)

// rmsprop divides the gradient by a running root mean square of it (Hinton, "Neural Networks
// for Machine Learning", lecture 6e, 2012):
//
//	v = beta2*v + (1-beta2)*g^2
//	w = w - LR * g/(sqrt(v) + epsilon)
//
// and with momentum
//
//	u = momentum*u + g/(sqrt(v) + epsilon)
//	w = w - LR*u
//
// Code: nn/device/reference/optimizer.go (the formula in loops), cpu/optimizer.go, kernels/optimizer.cu. Test: nn/device/devicetest/optimizer.go.
func (o *Optimizer) rmsprop(p *nn.Param) (device.OptimizerParam, error) {
	slot := device.OptimizerParam{Value: p.Value, Grad: p.Grad}
	var err error
	if slot.State1, err = o.state("rmsprop.v."+p.Name, p); err != nil {
		return slot, err
	}
	if o.cfg.Momentum == 0 {
		return slot, nil
	}
	slot.State2, err = o.state("rmsprop.u."+p.Name, p)
	return slot, err
}
