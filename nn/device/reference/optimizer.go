package reference

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// Parameter is one weight with the states of its update rule, and for each state the
// magnitude of the gradient's terms in it.
type Parameter struct {
	W, State1, State2     float64
	Magnitude, Magnitude1 float64
}

// Step updates the parameter with the rule. h is a row of hyperparameters.
func (p *Parameter) Step(s device.OptimizerSpec, h []float64, grad float64) {
	lr, decay, momentum := h[device.HyperLR], h[device.HyperWeightDecay], h[device.HyperMomentum]
	g := h[device.HyperGradScale] * grad
	terms := math.Abs(g)
	if s.Decoupled {
		p.W -= lr * decay * p.W
	} else {
		g += decay * p.W
		terms += math.Abs(decay * p.W)
	}
	var update, size float64
	switch s.Kind {
	case device.SGD:
		update, size = p.sgd(g, terms, momentum, s.Nesterov)
	case device.Adam:
		update, size = p.adam(g, terms, h, float64(s.Epsilon))
	case device.RMSProp:
		update, size = p.rmsProp(g, terms, h, float64(s.Epsilon))
	}
	p.W -= lr * update
	p.Magnitude += math.Abs(lr) * size
}

// sgd: v = momentum*v + g; the update is v, or g + momentum*v with Nesterov.
func (p *Parameter) sgd(g, terms, momentum float64, nesterov bool) (update, size float64) {
	p.State1 = momentum*p.State1 + g
	p.Magnitude1 = momentum*p.Magnitude1 + terms
	if nesterov {
		return g + momentum*p.State1, terms + momentum*p.Magnitude1
	}
	return p.State1, p.Magnitude1
}

// adam: m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; the update is
// m*Correction1 / (sqrt(v*Correction2) + epsilon).
func (p *Parameter) adam(g, terms float64, h []float64, epsilon float64) (update, size float64) {
	b1, b2 := h[device.HyperMomentum], h[device.HyperBeta2]
	new1, new2 := h[device.HyperNewMomentum], h[device.HyperNewBeta2]
	p.State1 = b1*p.State1 + new1*g
	p.State2 = b2*p.State2 + new2*g*g
	p.Magnitude1 = b1*p.Magnitude1 + new1*terms
	scale := h[device.HyperCorrection1] / (math.Sqrt(p.State2*h[device.HyperCorrection2]) + epsilon)
	return p.State1 * scale, p.Magnitude1 * scale
}

// rmsProp: v = b2 v + (1-b2) g^2; u = momentum*u + g/(sqrt(v)+epsilon); the update is
// u, which without momentum is g/(sqrt(v)+epsilon).
func (p *Parameter) rmsProp(g, terms float64, h []float64, epsilon float64) (update, size float64) {
	b2, momentum := h[device.HyperBeta2], h[device.HyperMomentum]
	p.State1 = b2*p.State1 + h[device.HyperNewBeta2]*g*g
	scale := 1 / (math.Sqrt(p.State1) + epsilon)
	p.State2 = momentum*p.State2 + g*scale
	p.Magnitude1 = momentum*p.Magnitude1 + terms*scale
	return p.State2, p.Magnitude1
}

type optimizer struct {
	*Operations
	s device.OptimizerSpec
}

// NewOptimizer makes a plan of an update rule.
func (o *Operations) NewOptimizer(s device.OptimizerSpec) (device.Optimizer, error) {
	for i, p := range s.Slots {
		p.Check(s.Kind, i)
		if p.Copy != nil && !o.mixed {
			return nil, fmt.Errorf("copies of weights in 16 bits: %w", device.ErrNotSupported)
		}
	}
	return made[device.Optimizer](o, "optimizer", optimizer{o, s}, o.scales("optimizer", s.Scaling))
}

func (p optimizer) Step(hyper *device.Tensor) {
	const op = "optimizer"
	device.Check(op, "hyper", hyper, device.Float32, -1, device.HyperLen)
	if !p.begin(op) {
		return
	}
	inverse := 1.0
	if p.s.Scaling != nil {
		if p.loadAt(p.s.Scaling, device.ScalingSkip) != 0 {
			return
		}
		inverse = p.loadAt(p.s.Scaling, device.ScalingInverse)
	}
	for _, slot := range p.s.Slots {
		row := p.load(hyper)[slot.Group*device.HyperLen:]
		row[device.HyperGradScale] *= inverse
		p.update(slot, row)
	}
}

// update updates the weights and states of one parameter with a row of hyperparameters.
func (p optimizer) update(slot device.OptimizerParam, row []float64) {
	const op = "optimizer"
	n := slot.Value.Len()
	w, s1, s2 := p.load(slot.Value), make([]float64, n), make([]float64, n)
	copy(s1, p.load(slot.State1))
	copy(s2, p.load(slot.State2))
	for i, g := range p.load(slot.Grad) {
		one := Parameter{W: w[i], State1: s1[i], State2: s2[i]}
		one.Step(p.s, row, g)
		w[i], s1[i], s2[i] = one.W, one.State1, one.State2
	}
	p.store(op, slot.Value, w)
	p.store(op+" state", slot.State1, s1)
	p.store(op+" state", slot.State2, s2)
	if slot.Copy != nil {
		p.store(op+" copy", slot.Copy, p.load(slot.Value)) // rounded to float32 first
	}
}
