package inspect

import (
	"math"

	"trainer/nn/explain"
)

// linearValue: y[m] = bias + sum of factor x[k].
func (a *account) linearValue(p *place, r explain.Linear) error {
	name, w, err := a.tensor(p, r.Weight)
	if err != nil {
		return err
	}
	biasName, bias, err := a.tensor(p, r.Bias)
	if err != nil {
		return err
	}
	r.Products(explain.Product{Output: a.e.Index, Slot: explain.Any, Input: explain.Any, Weight: explain.Any}, func(v explain.Product) {
		f := factor(v, w)
		a.add(term{
			source: at(Value, p.Inputs[v.Slot], v.Input), tensor: name, weight: v.Weight, factor: f,
			value: f * float64(a.input(p, v.Slot)[v.Input]),
		})
	})
	if bias != nil {
		k := a.e.Index % len(bias)
		a.add(term{tensor: biasName, weight: k, factor: 1, value: float64(bias[k])})
	}
	if r.Window != nil {
		a.e.Window = window(r.Window(a.e.Index), p.Inputs[0])
	}
	largest := a.overTile(a.e.Place, a.e.Index, r, func(output int) (magnitude float64) {
		r.Products(explain.Product{Output: output, Slot: explain.Any, Input: explain.Any, Weight: explain.Any}, func(v explain.Product) {
			magnitude += math.Abs(factor(v, w) * float64(a.input(p, v.Slot)[v.Input]))
		})
		if bias != nil {
			magnitude += math.Abs(float64(bias[output%len(bias)]))
		}
		return magnitude
	})
	a.tolerate(a.sumUlps(), largest)
	return nil
}

// linearGradient: dx[k] = sum of dy[m] factor, over the products of x[k].
func (a *account) linearGradient(u *place, user, slot int, r explain.Linear) error {
	name, w, err := a.tensor(u, r.Weight)
	if err != nil {
		return err
	}
	dy := a.s.gradients.Values[user]
	before := len(a.terms)
	r.Products(explain.Product{Output: explain.Any, Slot: slot, Input: a.e.Index, Weight: explain.Any}, func(v explain.Product) {
		f := factor(v, w)
		a.add(term{source: at(Gradient, user, v.Output), tensor: name, weight: v.Weight, factor: f, value: f * float64(dy[v.Output])})
	})
	largest := a.overTile(a.e.Question.Place, a.e.Index, r, func(input int) (magnitude float64) {
		r.Products(explain.Product{Output: explain.Any, Slot: slot, Input: input, Weight: explain.Any}, func(v explain.Product) {
			magnitude += math.Abs(factor(v, w) * float64(dy[v.Output]))
		})
		return magnitude
	})
	if len(a.terms) == before {
		a.e.Note = &Note{Kind: NoteUnused}
	}
	a.tolerate(a.sumUlps(), max(largest, a.magnitude))
	return nil
}

// linearWeight: dw = sum of dy[m] x[k], over the products of w.
func (a *account) linearWeight(p *place, r explain.Linear) error {
	dy := a.s.gradients.Values[a.e.Place]
	r.Products(explain.Product{Output: explain.Any, Slot: explain.Any, Input: explain.Any, Weight: a.e.Index}, func(v explain.Product) {
		x := float64(a.input(p, v.Slot)[v.Input])
		a.add(term{
			source: at(Gradient, a.e.Place, v.Output), other: at(Value, p.Inputs[v.Slot], v.Input), weight: explain.Any, factor: x,
			value: x * float64(dy[v.Output]),
		})
	})
	a.tolerate(a.sumUlps(), a.magnitude)
	return nil
}

// factor returns the factor of a product.
func factor(p explain.Product, weights []float32) float64 {
	if p.Weight != explain.Any {
		return float64(weights[p.Weight])
	}
	return p.Factor
}

// tile is the side of the largest tile of pixels that a device's convolution computes at once by Winograd's method. Each of
// them is then a sum over all of the tile's products, in which those of other pixels cancel up to rounding.
const tile = 4

// overTile returns the largest magnitude of the elements that may share a tile with an element of a place, for layers that
// convolve images, and otherwise the magnitude of the terms.
func (a *account) overTile(place, index int, r explain.Linear, magnitude func(index int) float64) float64 {
	shape := a.s.shape(place)
	if r.Weight == "" || len(shape) != 3 {
		return a.magnitude
	}
	h, w, c := shape[0], shape[1], shape[2]
	i, j, channel := index/(w*c), index/c%w, index%c
	largest := a.magnitude
	for p := max(0, i-tile+1); p < min(h, i+tile); p++ {
		for q := max(0, j-tile+1); q < min(w, j+tile); q++ {
			largest = max(largest, magnitude((p*w+q)*c+channel))
		}
	}
	return largest
}

// window places a window on its input.
func window(w explain.Window, place int) *Window {
	return &Window{
		Place: place, Top: w.Top, Left: w.Left, Rows: w.Rows, Columns: w.Columns,
		DilationH: w.DilationH, DilationW: w.DilationW, Channel: w.Channel, Channels: w.Channels,
	}
}
