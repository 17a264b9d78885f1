package inspect

import (
	"math"

	"trainer/nn/device/reference"
	"trainer/nn/explain"
)

// factors returns the factor of each input of a gate, and what its rounding error is in proportion to.
func (a *account) factors(p *place, r explain.Gate) (factors, magnitudes []float64, err error) {
	factors, magnitudes = r.Factors(a.input(p, 0), func(name string) []float32 {
		_, values, failed := a.tensor(p, name)
		if failed != nil {
			err = failed
		}
		return values
	})
	return factors, magnitudes, err
}

// gateValue: y[k] = s[k] x[k].
func (a *account) gateValue(p *place, r explain.Gate) error {
	k := a.e.Index
	s, magnitudes, err := a.factors(p, r)
	if err != nil {
		return err
	}
	x := float64(a.input(p, 0)[k])
	a.fact("s", s[k])
	a.add(term{source: at(Value, p.Inputs[0], k), weight: explain.Any, factor: s[k], value: s[k] * x})
	a.tolerate(a.gateUlps(p), magnitudes[k]*math.Abs(x))
	return nil
}

// gateUlps is the error of a factor: the means are sums, and each of the two dense layers adds.
func (a *account) gateUlps(p *place) float64 {
	return reference.FunctionUlps + 3*reference.SumUlps(a.s.shape(p.Inputs[0]).Len())
}

// gateGradient: dx[k] = s[k] dy[k], and what comes back through the factors, which the layer's backward pass gives.
func (a *account) gateGradient(u *place, user int, r explain.Gate) error {
	k := a.e.Index
	s, _, err := a.factors(u, r)
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
