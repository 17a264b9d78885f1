package inspect

import (
	"fmt"

	"trainer/nn"
	"trainer/nn/explain"
)

// Explain answers a question about the last Forward, and about the last Backward if it is about a gradient.
func (s *Session) Explain(q Question) (*Explanation, error) {
	defer s.lock()()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.pass == nil:
		return nil, ErrNoForward
	case s.gradients == nil && (q.Of != Value || q.Place == len(s.places)-1):
		return nil, ErrNoBackward
	}
	a := &account{s: s, e: &Explanation{Question: q, Exact: true}}
	var err error
	switch q.Of {
	case Value:
		err = a.value()
	case Gradient:
		err = a.gradient()
	case WeightGradient:
		err = a.weightGradient()
	default:
		err = argument("unknown quantity %q (valid: %s, %s, %s)", q.Of, Value, Gradient, WeightGradient)
	}
	if err != nil {
		return nil, err
	}
	return a.finish()
}

// place checks the question's place and element.
func (a *account) place() (*place, error) {
	q := a.e.Question
	if q.Place < 0 || q.Place >= len(a.s.places) {
		return nil, argument("place %d, want 0 to %d", q.Place, len(a.s.places)-1)
	}
	p := a.s.places[q.Place]
	if n := p.Shape.Len(); q.Index < 0 || q.Index >= n {
		return nil, argument("element %d of %s, want 0 to %d", q.Index, p.Name, n-1)
	}
	a.e.Name, a.e.Shape, a.e.Kind = p.Name, p.Shape, p.Kind
	return p, nil
}

// value explains a value by the rule of the layer that computed it.
func (a *account) value() error {
	p, err := a.place()
	if err != nil {
		return err
	}
	a.e.Formula = p.Formula.Forward
	if p.Kind == KindLoss && p.probe == nil {
		return a.lossValue()
	}
	a.e.Engine = float64(a.s.pass.Values[a.e.Place][a.e.Index])
	switch r := p.rule.(type) {
	case explain.Linear:
		return a.linearValue(p, r)
	case explain.Function:
		return a.functionValue(p, r)
	case explain.Maximum:
		return a.maximumValue(p, r)
	case explain.Normalization:
		return a.normalizedValue(p, r)
	case explain.Gate:
		a.gateValue(p)
		return nil
	}
	switch {
	case p.Kind == KindInput && p.layer == nil:
		a.inputValue()
		return nil
	case p.probe == nil:
		a.softmaxValue()
		return nil
	}
	return a.derivedValue(p)
}

// gradient explains a gradient: the sum of what all layers that read the value send back.
func (a *account) gradient() error {
	p, err := a.place()
	if err != nil {
		return err
	}
	values := a.s.gradients.Values[a.e.Place]
	if values == nil {
		return argument("the place %s has no gradient, because the loss computes that of the outputs in one go", p.Name)
	}
	a.e.Engine = float64(values[a.e.Index])
	if p.Kind == KindLoss && p.probe == nil {
		a.e.Formula = "dL/dL = 1"
		a.add(term{weight: explain.Any, factor: 1, value: 1, label: "1"})
		return nil
	}
	for _, user := range p.Users {
		u := a.s.places[user]
		if u.Kind == KindSoftmax && u.probe == nil {
			continue
		}
		a.say(u.Formula.Backward)
		for slot, from := range u.Inputs {
			if from != a.e.Place {
				continue
			}
			if err := a.sentBack(u, user, slot); err != nil {
				return err
			}
		}
	}
	if len(p.Users) > 1 && a.e.Place != a.s.outputPlace() {
		a.e.Note = &Note{Kind: NoteReaders}
	}
	return nil
}

// sentBack adds what a layer sends back to its input in the given slot.
func (a *account) sentBack(u *place, at, slot int) error {
	a.e.Kind = u.Kind
	switch r := u.rule.(type) {
	case explain.Linear:
		return a.linearGradient(u, at, slot, r)
	case explain.Function:
		return a.functionGradient(u, at, r)
	case explain.Maximum:
		return a.maximumGradient(u, at, r)
	case explain.Normalization:
		return a.normalizedGradient(u, at, r)
	case explain.Gate:
		a.gateGradient(u, at, slot)
		return nil
	}
	if u.probe == nil {
		return a.lossGradient()
	}
	return a.derivedGradient(u, at)
}

// weightGradient explains the gradient of an element of a parameter.
func (a *account) weightGradient() error {
	q := a.e.Question
	t := a.s.tensors[q.Tensor]
	if t == nil {
		return a.s.unknownTensor(q.Tensor)
	}
	grad := a.s.gradients.Weights[q.Tensor]
	if grad == nil {
		return argument("%s has no gradient: it is not trained", q.Tensor)
	}
	if q.Index < 0 || q.Index >= len(grad) {
		return argument("element %d of %s, want 0 to %d", q.Index, q.Tensor, len(grad)-1)
	}
	p := a.s.places[t.place]
	a.e.Place, a.e.Name, a.e.Kind, a.e.Shape = t.place, q.Tensor, p.Kind, t.Value.Shape()
	a.e.Engine = float64(grad[q.Index])
	a.say(p.Formula.Weights)
	own := q.Tensor[len(p.Name)+1:]
	switch r := p.rule.(type) {
	case explain.Linear:
		switch own {
		case r.Weight:
			return a.linearWeight(p, r)
		case r.Bias:
			a.shared(p, func(int) float64 { return 1 }, false)
			return nil
		}
	case explain.Function:
		if own == r.Weight {
			return a.functionWeight(p, r)
		}
	case explain.Normalization:
		return a.normalizedWeight(p, r, own)
	}
	a.e.Exact = false
	a.e.Note = &Note{Kind: NoteUnknownWeight, Layer: p.Name}
	a.add(term{weight: explain.Any, factor: 1, value: a.e.Engine, label: "backward pass of " + p.Name})
	return nil
}

// shared adds a term dy * factor for each output whose channel shares the parameter's element. x says that the factor
// belongs to the layer's input.
func (a *account) shared(p *place, factor func(k int) float64, x bool) {
	dy, n := a.s.gradients.Values[a.e.Place], len(a.s.gradients.Weights[a.e.Tensor])
	for k := a.e.Index; k < len(dy); k += n {
		t := term{source: at(Gradient, a.e.Place, k), weight: explain.Any, factor: factor(k)}
		if x {
			t.other = at(Value, p.Inputs[0], k)
		}
		t.value = float64(dy[k]) * t.factor
		a.add(t)
	}
	a.tolerate(a.sumUlps(), a.magnitude)
}

// input returns the values that a layer reads in a slot.
func (a *account) input(p *place, slot int) []float32 { return a.s.pass.Values[p.Inputs[slot]] }

// tensor returns the values of a layer's tensor by its name within the layer, or nil if it has none.
func (a *account) tensor(p *place, name string) (string, []float32, error) {
	if name == "" {
		return "", nil, nil
	}
	full := p.Name + "." + name
	if a.s.tensors[full] == nil {
		return "", nil, fmt.Errorf("inspect: the layer %s has no tensor %s", p.Name, name)
	}
	values, err := a.s.weights(full)
	return full, values, err
}

// shape returns the dimensions of a place.
func (s *Session) shape(place int) nn.Shape { return s.places[place].Shape }
