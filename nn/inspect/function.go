package inspect

import (
	"fmt"
	"math"

	"trainer/nn/device"
	"trainer/nn/device/reference"
	"trainer/nn/explain"
)

// alpha returns the constant of a function for element k, with the name and the index of the tensor that it is learnt in.
func (a *account) alpha(p *place, r explain.Function, k int) (value float64, name string, index int, err error) {
	name, values, err := a.tensor(p, r.Weight)
	if err != nil || values == nil {
		return r.Alpha, "", explain.Any, err
	}
	return float64(values[k%len(values)]), name, k % len(values), nil
}

// functionValue: y = f(x).
func (a *account) functionValue(p *place, r explain.Function) error {
	k := a.e.Index
	x := float64(a.input(p, 0)[k])
	alpha, name, index, err := a.alpha(p, r, k)
	if err != nil {
		return err
	}
	a.add(term{source: at(Value, p.Inputs[0], k), weight: explain.Any, factor: 1, value: x})
	a.result = func(x float64) float64 { return r.Value(x, alpha) }
	a.write = func(x, y float64) string { return fmt.Sprintf("f(%s) = %s", short(x), short(y)) }
	a.fact("x", x)
	a.fact("f(x)", r.Value(x, alpha))
	a.fact("f'(x)", r.Slope(x, alpha))
	if name != "" {
		a.fact(fmt.Sprintf("a = %s[%d]", name, index), alpha)
	}
	a.tolerate(reference.FunctionUlps, reference.ValueMagnitude(spec(r, alpha), x))
	return nil
}

// functionGradient: dx = dy f'(x).
func (a *account) functionGradient(u *place, user int, r explain.Function) error {
	k := a.e.Index
	x, dy := float64(a.input(u, 0)[k]), float64(a.s.gradients.Values[user][k])
	alpha, _, _, err := a.alpha(u, r, k)
	if err != nil {
		return err
	}
	slope := r.Slope(x, alpha)
	a.fact("x", x)
	a.fact("f'(x)", slope)
	a.add(term{source: at(Gradient, user, k), weight: explain.Any, factor: slope, value: dy * slope})
	a.tolerate(reference.FunctionUlps, math.Abs(dy)*reference.SlopeMagnitude(spec(r, alpha), x))
	return nil
}

// functionWeight: da = sum of dy df/da.
func (a *account) functionWeight(p *place, r explain.Function) error {
	x := a.input(p, 0)
	alpha, _, _, err := a.alpha(p, r, a.e.Index)
	if err != nil {
		return err
	}
	a.shared(p, func(k int) float64 { return r.ByA(float64(x[k]), alpha) }, true)
	return nil
}

// spec returns the function as the references take it.
func spec(r explain.Function, alpha float64) device.ActivationSpec {
	return device.ActivationSpec{Function: &device.Function{Value: r.Value, Slope: r.Slope}, Alpha: float32(alpha)}
}
