package optim

import (
	"trainer/nn"
	"trainer/nn/device"
)

// sgd is stochastic gradient descent, with g the gradient (plus the coupled weight decay):
//
//	v = momentum*v + g
//	w = w - LR*v                    or, with Nesterov, w - LR*(g + momentum*v)
//
// v, the velocity, begins at zero; without momentum none is kept. Momentum is Polyak 1964,
// Nesterov's form as in Sutskever et al., "On the importance of initialization and momentum
// in deep learning", ICML 2013, written as PyTorch has it: LR is not part of v.
//
// Code: nn/device/reference/optimizer.go (the formula in loops), cpu/optimizer.go, kernels/optimizer.cu. Test: nn/device/devicetest/optimizer.go.
func (o *Optimizer) sgd(p *nn.Param) (device.OptimizerParam, error) {
	slot := device.OptimizerParam{Value: p.Value, Grad: p.Grad}
	if o.cfg.Momentum == 0 {
		return slot, nil
	}
	var err error
	slot.State1, err = o.state("sgd.velocity."+p.Name, p)
	return slot, err
}
