package optim

import (
	"math"

	"trainer/nn"
	"trainer/nn/device"
)

// adam is Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015,
// algorithm 1, with t counting steps from 1:
//
//	m = beta1*m + (1-beta1)*g
//	v = beta2*v + (1-beta2)*g^2
//	w = w - LR * m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + epsilon)
//
// m and v begin at zero; the divisions take out the pull to zero that this causes. With
// decoupled weight decay it is AdamW.
//
// Code: nn/device/reference/optimizer.go (the formula in loops), cpu/optimizer.go, kernels/optimizer.cu. Test: nn/device/devicetest/optimizer.go.
func (o *Optimizer) adam(p *nn.Param) (device.OptimizerParam, error) {
	slot := device.OptimizerParam{Value: p.Value, Grad: p.Grad}
	var err error
	if slot.State1, err = o.state("adam.m."+p.Name, p); err != nil {
		return slot, err
	}
	slot.State2, err = o.state("adam.v."+p.Name, p)
	return slot, err
}

// correction is 1/(1-beta^t) for the step, which counts from 0.
func correction(beta float64, step int) float64 {
	return 1 / (1 - math.Pow(beta, float64(step+1)))
}
