package inspect

import (
	"fmt"
	"math"
	"slices"

	"trainer/nn/device/reference"
	"trainer/nn/explain"
)

// inputValue: x = (p/255 - mean) / std.
func (a *account) inputValue() {
	k, o := a.e.Index, a.s.opt
	c := k % o.Input[2]
	mean, std := float64(o.Mean[c]), float64(o.Std[c])
	if a.s.pass.Pixels == nil {
		a.e.Formula = ""
		a.e.Note = &Note{Kind: NoteNormalized}
		a.add(term{weight: explain.Any, factor: 1, value: a.e.Engine, label: "x" + list(coordinates(k, o.Input))})
		a.tolerate(0, 0)
		return
	}
	p := float64(a.s.pass.Pixels[k])
	a.fact("p", p)
	a.fact(fmt.Sprintf("mean[%d]", c), mean)
	a.fact(fmt.Sprintf("std[%d]", c), std)
	a.add(term{weight: explain.Any, factor: 1 / (255 * std), value: p / 255 / std, label: "p/255 / std"})
	a.add(term{weight: explain.Any, factor: 1, value: -mean / std, label: "-mean / std"})
	a.result = func(sum float64) float64 { return sum }
	a.write = func(_, x float64) string {
		return fmt.Sprintf("(%s/255 - %s) / %s = %s", short(p), short(mean), short(std), short(x))
	}
	a.tolerate(reference.ElementwiseUlps, a.magnitude)
}

// softmaxValue: p[k] = exp(z[k]) / sum_j exp(z[j]). The terms are the exponentials, of z less the largest z, so that none
// overflows.
func (a *account) softmaxValue() {
	z := a.s.outputs(a.s.pass)
	top := float64(slices.Max(z))
	for j, v := range z {
		a.add(term{weight: explain.Any, factor: 1, value: math.Exp(float64(v) - top), label: fmt.Sprintf("exp(z[%d] - max z)", j)})
		a.terms[j].source = at(Value, a.s.outputPlace(), j)
	}
	own := float64(z[a.e.Index]) - top
	a.fact("max z", top)
	a.fact(fmt.Sprintf("exp(z[%d] - max z)", a.e.Index), math.Exp(own))
	a.result = func(sum float64) float64 { return math.Exp(own) / sum }
	a.write = func(sum, p float64) string {
		return fmt.Sprintf("exp(%s) / sum_j exp(z[j]) = %s / %s = %s", short(own+top), short(math.Exp(own)), short(sum), short(p))
	}
	p := math.Exp(own) / a.magnitude
	a.tolerate(reference.FunctionUlps+reference.SumUlps(len(z)), p*(1+math.Abs(own-math.Log(a.magnitude))))
}

// float64s converts numbers.
func float64s(x []float32) []float64 {
	y := make([]float64, len(x))
	for k, v := range x {
		y[k] = float64(v)
	}
	return y
}

// lossValue explains the loss by its rule.
func (a *account) lossValue() error {
	a.e.Engine = a.s.gradients.Loss
	if a.s.loss == nil {
		a.e.Exact = false
		a.e.Note = &Note{Kind: NoteUnknownLoss}
		a.add(term{weight: explain.Any, factor: 1, value: a.e.Engine, label: "L"})
		return nil
	}
	z := float64s(a.s.outputs(a.s.pass))
	a.summands(a.s.loss.Terms(z, a.s.gradients.Label))
	size := a.magnitude
	if a.s.loss.Softmax {
		size++ // of the logarithm
	}
	a.tolerate(reference.FunctionUlps+2*reference.SumUlps(len(z)), size)
	return nil
}

// lossGradient explains the gradient at the network's outputs by the loss's rule.
func (a *account) lossGradient() error {
	if a.s.loss == nil {
		a.e.Exact = false
		a.e.Note = &Note{Kind: NoteUnknownLoss}
		a.add(term{weight: explain.Any, factor: 1, value: a.e.Engine, label: "gradient of the loss"})
		return nil
	}
	z := float64s(a.s.outputs(a.s.pass))
	a.summands(a.s.loss.Gradient(z, a.s.gradients.Label, a.e.Index))
	size := a.magnitude
	if a.s.loss.Softmax { // an error of an exponent is a relative error of its power, which is part of the first term
		size += math.Abs(a.terms[0].value) * (slices.Max(z) + math.Log(float64(len(z))) - z[a.e.Index])
	}
	a.tolerate(reference.FunctionUlps+2*reference.SumUlps(len(z)), size)
	return nil
}

// summands adds the terms of a loss.
func (a *account) summands(all []explain.Summand) {
	for _, v := range all {
		t := term{weight: explain.Any, factor: 1, value: v.Value, label: v.Label}
		if v.Output != explain.Any {
			t.source = at(Value, a.s.outputPlace(), v.Output)
		}
		a.add(t)
	}
}
