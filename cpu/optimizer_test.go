package cpu

import (
	"math"
	"testing"

	"trainer/nn/device"
)

// Each rule for one step on one weight, by hand: w = 2, grad = 6 scaled by 1/2, so g = 3.
func TestOptimizerStep(t *testing.T) {
	const (
		lr, scale = 0.1, 0.5
		none      = -1 // no such state
	)
	root := func(x float64) float64 { return math.Sqrt(x) }
	for _, c := range []struct {
		name                   string
		spec                   device.OptimizerSpec
		decay, momentum, beta2 float32
		corrections            [2]float32
		state1, state2         float32 // before the step
		w, want1, want2        float64 // after
	}{
		{"sgd", device.OptimizerSpec{Kind: device.SGD}, 0, 0, 0, [2]float32{}, none, none, 2 - lr*3, 0, 0},
		// g = 3 + 0.25*2 = 3.5
		{"sgd decay", device.OptimizerSpec{Kind: device.SGD}, 0.25, 0, 0, [2]float32{}, none, none, 2 - lr*3.5, 0, 0},
		{"sgd decoupled", device.OptimizerSpec{Kind: device.SGD, Decoupled: true}, 0.25, 0, 0, [2]float32{}, none, none, 2 - lr*0.25*2 - lr*3, 0, 0},
		{"sgd momentum", device.OptimizerSpec{Kind: device.SGD}, 0, 0.5, 0, [2]float32{}, 4, none, 2 - lr*5, 5, 0},
		{"sgd nesterov", device.OptimizerSpec{Kind: device.SGD, Nesterov: true}, 0, 0.5, 0, [2]float32{}, 4, none, 2 - lr*(3+0.5*5), 5, 0},
		// m = 0.5*4 + 0.5*3 = 3.5; v = 0.75*4 + 0.25*9 = 5.25
		{"adam", device.OptimizerSpec{Kind: device.Adam, Epsilon: 0.5}, 0, 0.5, 0.75, [2]float32{2, 4}, 4, 4, 2 - lr*7/(root(21)+0.5), 3.5, 5.25},
		{"adamw", device.OptimizerSpec{Kind: device.Adam, Epsilon: 0.5, Decoupled: true}, 0.25, 0.5, 0.75, [2]float32{2, 4}, 4, 4, 2 - lr*0.5 - lr*7/(root(21)+0.5), 3.5, 5.25},
		{"rmsprop", device.OptimizerSpec{Kind: device.RMSProp, Epsilon: 0.5}, 0, 0, 0.75, [2]float32{}, 4, none, 2 - lr*3/(root(5.25)+0.5), 5.25, 0},
		{"rmsprop momentum", device.OptimizerSpec{Kind: device.RMSProp, Epsilon: 0.5}, 0, 0.5, 0.75, [2]float32{}, 4, 2, 2 - lr*(1+3/(root(5.25)+0.5)), 5.25, 1 + 3/(root(5.25)+0.5)},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOperands(t)
			slot := device.OptimizerParam{Value: o.floats([]float32{2}), Grad: o.floats([]float32{6}), Group: 1}
			if c.state1 != none {
				slot.State1 = o.floats([]float32{c.state1})
			}
			if c.state2 != none {
				slot.State2 = o.floats([]float32{c.state2})
			}
			c.spec.Slots = []device.OptimizerParam{slot}
			hyper := o.zeros(2, device.HyperLen)
			row := floats(hyper)[device.HyperLen:]
			row[device.HyperLR], row[device.HyperGradScale], row[device.HyperWeightDecay] = lr, scale, c.decay
			device.SetBetas(row, float64(c.momentum), float64(c.beta2))
			row[device.HyperCorrection1], row[device.HyperCorrection2] = c.corrections[0], c.corrections[1]
			must(o.d.NewOptimizer(c.spec)).Step(hyper)
			wantFloats(t, "value", slot.Value, 1e-6, float32(c.w))
			wantFloats(t, "grad", slot.Grad, 0, 6)
			if slot.State1 != nil {
				wantFloats(t, "state1", slot.State1, 1e-6, float32(c.want1))
			}
			if slot.State2 != nil {
				wantFloats(t, "state2", slot.State2, 1e-6, float32(c.want2))
			}
		})
	}
}
