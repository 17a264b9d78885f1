package inspect

import (
	"math"

	"trainer/nn/device/reference"
	"trainer/nn/explain"
)

// factors returns the factor of each input of a gate.
func (a *account) factors(p *place, r explain.Gate) ([]float64, error) {
	var failed error
	s := r.Factors(a.input(p, 0), func(name string) []float32 {
		_, values, err := a.tensor(p, name)
		if err != nil {
			failed = err
		}
		return values
	})
	return s, failed
}

// gateValue: y[k] = s[k] x[k].
func (a *account) gateValue(p *place, r explain.Gate) error {
	k := a.e.Index
	s, err := a.factors(p, r)
	if err != nil {
		return err
	}
	x := float64(a.input(p, 0)[k])
	a.fact("s", s[k])
	a.add(term{source: at(Value, p.Inputs[0], k), weight: explain.Any, factor: s[k], value: s[k] * x})
	a.tolerate(a.gateUlps(p), math.Abs(x))
	return nil
}

// gateUlps bounds the error of a factor in units of the last place of 1. The factor is a sigmoid, whose slope is at most 1/4,
// of a sum of products with the means of the channels: the bound assumes that the products' absolute values add up to at most
// 64.
func (a *account) gateUlps(p *place) float64 {
	return reference.FunctionUlps + 16*reference.SumUlps(a.s.shape(p.Inputs[0]).Len())
}

// gateGradient: dx[k] = s[k] dy[k], and what comes back through the factors, which the layer's backward pass gives.
func (a *account) gateGradient(u *place, user int, r explain.Gate) error {
	k := a.e.Index
	s, err := a.factors(u, r)
	if err != nil {
		return err
	}
	dy := a.s.gradients.Values[user]
	dx, err := u.probe.vjp(dy)
	if err != nil {
		return err
	}
	direct := s[k] * float64(dy[k])
	a.fact("s", s[k])
	a.add(term{source: at(Gradient, user, k), weight: explain.Any, factor: s[k], value: direct})
	a.add(term{weight: explain.Any, factor: 1, value: float64(dx[k]) - direct, label: "through the factors"})
	a.tolerate(reference.ElementwiseUlps, math.Abs(direct)+math.Abs(float64(dx[k])))
	return nil
}
