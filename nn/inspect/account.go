package inspect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"trainer/nn/device/reference"
	"trainer/nn/explain"
)

// account collects the terms of an explanation. Most are left out in the end, so they are kept small until then.
type account struct {
	s         *Session
	e         *Explanation
	terms     []term
	magnitude float64  // sum of the terms' absolute values
	formulas  []string // that have been said
	// result is what the sum becomes; nil if it is the result itself. write writes it with its numbers.
	result func(sum float64) float64
	write  func(sum, result float64) string
}

// term is a summand: factor, or an element of a.weights, times the number at source, and times the one at other.
type term struct {
	source, other number
	tensor        string // of the weight
	weight        int    // its element; explain.Any if the factor is a constant
	factor        float64
	value         float64
	label         string // if it has no source
}

// number says where a number is; of is "" if there is none.
type number struct {
	of           Quantity
	place, index int
}

func at(of Quantity, place, index int) number { return number{of, place, index} }

// add adds a term.
func (a *account) add(t term) {
	a.terms = append(a.terms, t)
	a.magnitude += math.Abs(t.value)
}

// say adds a formula, once.
func (a *account) say(formula string) {
	if formula != "" && !slices.Contains(a.formulas, formula) {
		a.formulas = append(a.formulas, formula)
	}
}

// tolerate adds to the tolerance an error of some units of the last place of a magnitude, and what is lost where a result is
// smaller than the smallest normal float32: see package reference.
func (a *account) tolerate(ulps, magnitude float64) {
	const smallest = 0x1p-126
	a.e.Tolerance += ulps*reference.Ulp*magnitude + smallest
}

// sumUlps is the error of the sum of the terms.
func (a *account) sumUlps() float64 {
	return reference.SumUlps(len(a.terms)) + reference.ElementwiseUlps
}

// fact adds a number with a name.
func (a *account) fact(name string, value float64) {
	a.e.Facts = append(a.e.Facts, Fact{Name: name, Value: value})
}

// most is the number of terms that an explanation has unless the question says otherwise.
const most = 256

// finish completes the explanation.
func (a *account) finish() (*Explanation, error) {
	e := a.e
	e.At, e.Count = coordinates(e.Index, e.Shape), len(a.terms)
	if e.Formula == "" {
		e.Formula = strings.Join(a.formulas, "\n")
	}
	for _, t := range a.terms {
		e.Sum += t.value
	}
	if e.Facts == nil {
		e.Facts = []Fact{}
	}
	e.Terms = []Term{}
	for k, kept := range a.kept() {
		if !kept {
			e.Rest += a.terms[k].value
			continue
		}
		t, err := a.term(a.terms[k])
		if err != nil {
			return nil, err
		}
		e.Terms = append(e.Terms, t)
	}
	e.Result, e.Numbers = e.Sum, a.numbers()
	if a.result != nil {
		e.Result = a.result(e.Sum)
		e.Numbers = a.write(e.Sum, e.Result)
	}
	return e, nil
}

// kept says for each term whether it is among the largest. If some are left out, those that are 0 are, too.
func (a *account) kept() []bool {
	limit := a.e.Largest
	switch {
	case limit == 0:
		limit = most
	case limit < 0:
		limit = len(a.terms)
	}
	order := make([]int, len(a.terms))
	for k := range order {
		order[k] = k
	}
	if len(order) > limit {
		slices.SortStableFunc(order, func(i, j int) int {
			return cmp.Compare(math.Abs(a.terms[j].value), math.Abs(a.terms[i].value))
		})
		order = order[:limit]
	}
	kept := make([]bool, len(a.terms))
	for _, k := range order {
		kept[k] = len(order) == len(a.terms) || a.terms[k].value != 0
	}
	return kept
}

// term completes a term.
func (a *account) term(t term) (Term, error) {
	full := Term{Source: a.source(t.source), Other: a.source(t.other), Factor: t.factor, Value: t.value, Label: t.label}
	if t.weight != explain.Any {
		shape := a.s.tensors[t.tensor].Value.Shape()
		values, err := a.s.weights(t.tensor)
		if err != nil {
			return full, err
		}
		full.Weight = &Element{Tensor: t.tensor, Index: t.weight, At: coordinates(t.weight, shape), Value: float64(values[t.weight])}
	}
	if full.Label == "" {
		full.Label = full.text()
	}
	return full, nil
}

// text names what is multiplied.
func (t Term) text() string {
	var parts []string
	for _, s := range []*Source{t.Source, t.Other} {
		if s == nil {
			continue
		}
		letter := "x"
		if s.Of == Gradient {
			letter = "dy"
		}
		parts = append(parts, letter+list(s.At))
	}
	switch {
	case t.Weight != nil:
		name := t.Weight.Tensor[strings.LastIndexByte(t.Weight.Tensor, '.')+1:]
		if name == "weight" {
			name = "w"
		}
		parts = append(parts, name+list(t.Weight.At))
	case t.Factor != 1 && t.Other == nil:
		parts = append(parts, short(t.Factor))
	}
	return strings.Join(parts, " ")
}

func list(at []int) string { return strings.ReplaceAll(fmt.Sprint(at), " ", ",") }

// source completes a number.
func (a *account) source(n number) *Source {
	if n.of == "" {
		return nil
	}
	values := a.s.pass.Values
	if n.of == Gradient {
		values = a.s.gradients.Values
	}
	return &Source{Of: n.of, Place: n.place, Index: n.index, At: coordinates(n.index, a.s.shape(n.place)), Value: float64(values[n.place][n.index])}
}

// coordinates returns the indices of an element in each dimension.
func coordinates(index int, shape []int) []int {
	at := make([]int, len(shape))
	for d := len(shape) - 1; d >= 0; d-- {
		at[d] = index % shape[d]
		index /= shape[d]
	}
	return at
}

// shown is the number of terms that the line of numbers has.
const shown = 16

// numbers writes the sum with its numbers, as in "0*0.5 + 1*(-0.5) - 0.5 = -1". Of many terms, it has the first that are not 0.
func (a *account) numbers() string {
	var b strings.Builder
	terms := a.e.Terms
	if len(terms) > shown {
		terms = slices.DeleteFunc(slices.Clone(terms), func(t Term) bool { return t.Value == 0 })
	}
	shownNow := min(shown, len(terms))
	for k, t := range terms[:shownNow] {
		text := t.numbers()
		switch {
		case k == 0:
		case text[0] == '-':
			b.WriteString(" - ")
			text = text[1:]
		default:
			b.WriteString(" + ")
		}
		b.WriteString(text)
	}
	if shownNow == 0 {
		b.WriteString("0")
	}
	if more := a.e.Count - shownNow; more > 0 {
		fmt.Fprintf(&b, " + %d more terms", more)
	}
	return b.String() + " = " + short(a.e.Sum)
}

// numbers writes the term's product.
func (t Term) numbers() string {
	switch {
	case t.Source == nil || t.Label != t.text(): // of a loss, whose terms are more than a product
		return short(t.Value)
	case t.Factor == 1 && t.Weight == nil && t.Other == nil:
		return short(t.Source.Value)
	case t.Factor < 0:
		return short(t.Source.Value) + "*(" + short(t.Factor) + ")"
	}
	return short(t.Source.Value) + "*" + short(t.Factor)
}

// short writes a number with five significant digits.
func short(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }
