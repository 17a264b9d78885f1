package devicetest

import (
	"math"

	"trainer/nn/device"
)

// parameter is one weight with the states of its update rule, and with them the
// magnitudes: of the gradient's terms as they enter each state.
type parameter struct {
	w, state1, state2     float64
	magnitude, magnitude1 float64
}

// step updates the parameter by the rule. h is a row of hyperparameters.
func (p *parameter) step(s device.OptimizerSpec, h []float64, grad float64) {
	lr, decay, momentum := h[device.HyperLR], h[device.HyperWeightDecay], h[device.HyperMomentum]
	g := h[device.HyperGradScale] * grad
	terms := math.Abs(g)
	if s.Decoupled {
		p.w -= lr * decay * p.w
	} else {
		g += decay * p.w
		terms += math.Abs(decay * p.w)
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
	p.w -= lr * update
	p.magnitude += math.Abs(lr) * size
}

// sgd: v = momentum*v + g; the update is v, or g + momentum*v with Nesterov.
func (p *parameter) sgd(g, terms, momentum float64, nesterov bool) (update, size float64) {
	p.state1 = momentum*p.state1 + g
	p.magnitude1 = momentum*p.magnitude1 + terms
	if nesterov {
		return g + momentum*p.state1, terms + momentum*p.magnitude1
	}
	return p.state1, p.magnitude1
}

// adam: m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; the update is
// m*Correction1 / (sqrt(v*Correction2) + epsilon).
func (p *parameter) adam(g, terms float64, h []float64, epsilon float64) (update, size float64) {
	b1, b2 := h[device.HyperMomentum], h[device.HyperBeta2]
	p.state1 = b1*p.state1 + (1-b1)*g
	p.state2 = b2*p.state2 + (1-b2)*g*g
	p.magnitude1 = b1*p.magnitude1 + (1-b1)*terms
	scale := h[device.HyperCorrection1] / (math.Sqrt(p.state2*h[device.HyperCorrection2]) + epsilon)
	return p.state1 * scale, p.magnitude1 * scale
}

// rmsProp: v = b2 v + (1-b2) g^2; u = momentum*u + g/(sqrt(v)+epsilon); the update is
// u, which without momentum is g/(sqrt(v)+epsilon).
func (p *parameter) rmsProp(g, terms float64, h []float64, epsilon float64) (update, size float64) {
	b2, momentum := h[device.HyperBeta2], h[device.HyperMomentum]
	p.state1 = b2*p.state1 + (1-b2)*g*g
	scale := 1 / (math.Sqrt(p.state1) + epsilon)
	p.state2 = momentum*p.state2 + g*scale
	p.magnitude1 = momentum*p.magnitude1 + terms*scale
	return p.state2, p.magnitude1
}
