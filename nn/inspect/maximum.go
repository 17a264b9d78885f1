package inspect

import (
	"fmt"

	"trainer/nn/explain"
)

// winner returns the input that an output of a maximum is: the first of the largest.
func winner(r explain.Maximum, x []float32, output int) int {
	best := explain.Any
	r.Candidates(output, explain.Any, func(_, input int) {
		if best == explain.Any || x[input] > x[best] {
			best = input
		}
	})
	return best
}

// maximumValue: y = the largest x of the window.
func (a *account) maximumValue(p *place, r explain.Maximum) error {
	x := a.input(p, 0)
	best := winner(r, x, a.e.Index)
	a.e.Window = window(r.Window(a.e.Index), p.Inputs[0])
	a.e.Winner = a.source(at(Value, p.Inputs[0], best))
	r.Candidates(a.e.Index, explain.Any, func(_, input int) {
		a.e.Candidates = append(a.e.Candidates, *a.source(at(Value, p.Inputs[0], input)))
	})
	a.add(term{source: at(Value, p.Inputs[0], best), weight: explain.Any, factor: 1, value: float64(x[best])})
	a.result = func(sum float64) float64 { return sum }
	a.write = func(_, result float64) string {
		text := "max("
		for k, c := range a.e.Candidates {
			switch {
			case k == shown:
				return text + fmt.Sprintf(", %d more) = %s", len(a.e.Candidates)-shown, short(result))
			case k > 0:
				text += ", "
			}
			text += short(c.Value)
		}
		return text + ") = " + short(result)
	}
	a.tolerate(0, 0)
	return nil
}

// maximumGradient: dx[k] = sum of dy[m] over the windows m whose maximum is at k.
func (a *account) maximumGradient(u *place, user int, r explain.Maximum) error {
	x, dy := a.input(u, 0), a.s.gradients.Values[user]
	windows, won := 0, 0
	r.Candidates(explain.Any, a.e.Index, func(output, input int) {
		t := term{source: at(Gradient, user, output), weight: explain.Any}
		windows++
		if winner(r, x, output) == input {
			t.factor, t.value = 1, float64(dy[output])
			won++
		}
		a.add(t)
	})
	a.e.Note = &Note{Kind: NoteMaximum, Won: won, Windows: windows}
	a.tolerate(a.sumUlps(), a.magnitude)
	return nil
}
