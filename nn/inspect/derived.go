package inspect

import (
	"math"

	"trainer/nn/device/reference"
	"trainer/nn/explain"
)

// derivedValue explains a value of a layer that doesn't describe itself by the layer's derivative, which its backward pass of
// a unit vector gives:
//
//	y[m] = sum_k dy[m]/dx[k] x[k] + rest
//
// For a linear layer the rest is the bias.
func (a *account) derivedValue(p *place) error {
	unit := make([]float32, p.Shape.Len())
	unit[a.e.Index] = 1
	derivative, err := p.probe.vjp(unit)
	if err != nil {
		return err
	}
	a.e.Exact = false
	a.e.Formula = "y[m] = sum_k dy[m]/dx[k] x[k] + rest"
	a.e.Note = &Note{Kind: NoteDerivedValue, Layer: p.Name}
	rest := a.e.Engine
	for k, d := range derivative {
		if d == 0 {
			continue
		}
		v := float64(d) * float64(a.input(p, 0)[k])
		rest -= v
		a.add(term{source: at(Value, p.Inputs[0], k), weight: explain.Any, factor: float64(d), value: v})
	}
	a.add(term{weight: explain.Any, factor: 1, value: rest, label: "rest"})
	a.tolerate(0, 0)
	a.e.Tolerance += 0x1p-40 * a.magnitude // of the float64 sums
	return nil
}

// mostOutputs is the largest number of outputs for which derivedGradient asks for one output's share after the other.
const mostOutputs = 1024

// derivedGradient explains what a layer that doesn't describe itself sends back:
//
//	dx[k] = sum_m dy[m] dy[m]/dx[k]
//
// The derivative of output m is the backward pass of a unit vector. Layers with many outputs have a single term.
func (a *account) derivedGradient(u *place, user int) error {
	dy := a.s.gradients.Values[user]
	dx, err := u.probe.vjp(dy)
	if err != nil {
		return err
	}
	a.e.Exact = false
	total := float64(dx[a.e.Index])
	if len(dy) > mostOutputs {
		a.e.Note = &Note{Kind: NoteDerivedTooMany, Layer: u.Name}
		a.add(term{weight: explain.Any, factor: 1, value: total, label: "backward pass of " + u.Name})
		a.tolerate(reference.ElementwiseUlps, math.Abs(total))
		return nil
	}
	a.say("dx[k] = sum_m dy[m] dy[m]/dx[k]")
	a.e.Note = &Note{Kind: NoteDerived, Layer: u.Name}
	for m, g := range dy {
		if g == 0 {
			continue
		}
		unit := make([]float32, len(dy))
		unit[m] = 1
		derivative, err := u.probe.vjp(unit)
		if err != nil {
			return err
		}
		if d := float64(derivative[a.e.Index]); d != 0 {
			a.add(term{source: at(Gradient, user, m), weight: explain.Any, factor: d, value: d * float64(g)})
		}
	}
	a.tolerate(a.sumUlps()+reference.FunctionUlps, a.magnitude)
	return nil
}
