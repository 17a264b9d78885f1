package inspect

import (
	"math"

	"trainer/nn/device/reference"
	"trainer/nn/explain"
)

// The slots of a gate.
const (
	gateImage   = 0
	gateFactors = 1
)

// gateValue: y[i,j,k] = s[k] x[i,j,k].
func (a *account) gateValue(p *place) {
	m := a.e.Index
	k := m % a.s.shape(p.Inputs[gateFactors]).Len()
	s, x := float64(a.input(p, gateFactors)[k]), float64(a.input(p, gateImage)[m])
	a.add(term{
		source: at(Value, p.Inputs[gateImage], m), other: at(Value, p.Inputs[gateFactors], k), weight: explain.Any, factor: s, value: s * x,
	})
	a.tolerate(reference.ElementwiseUlps, math.Abs(s*x))
}

// gateGradient: dx[i,j,k] = s[k] dy[i,j,k], and ds[k] = sum_{i,j} dy[i,j,k] x[i,j,k].
func (a *account) gateGradient(u *place, user, slot int) {
	dy, s := a.s.gradients.Values[user], a.input(u, gateFactors)
	add := func(m int, other number, factor float32) {
		f := float64(factor)
		a.add(term{source: at(Gradient, user, m), other: other, weight: explain.Any, factor: f, value: f * float64(dy[m])})
	}
	if slot == gateImage {
		m := a.e.Question.Index
		k := m % len(s)
		add(m, at(Value, u.Inputs[gateFactors], k), s[k])
	} else {
		x := a.input(u, gateImage)
		for m := a.e.Question.Index; m < len(dy); m += len(s) {
			add(m, at(Value, u.Inputs[gateImage], m), x[m])
		}
	}
	a.tolerate(a.sumUlps(), a.magnitude)
}
