package learn

import (
	"fmt"

	"trainer/nn/inspect"
)

// maxTerms is the number of terms of an explanation.
const maxTerms = 4096

// explain says where a number came from.
func (s *Session) explain(body []byte) (*Reply, error) {
	var q inspect.Question
	if err := decode(body, &q); err != nil {
		return nil, err
	}
	if err := s.checkQuestion(q); err != nil {
		return nil, err
	}
	q.Largest = min(max(q.Largest, 0), maxTerms)
	why, err := s.Explain(q)
	if err != nil {
		return nil, err
	}
	return &Reply{Info: why}, nil
}

// checkQuestion returns an error unless a question is about a number that exists.
func (s *Session) checkQuestion(q inspect.Question) error {
	places := s.Places()
	size := -1
	switch q.Of {
	case inspect.Value, inspect.Gradient:
		if q.Place >= 0 && q.Place < len(places) {
			size = places[q.Place].Shape.Len()
		}
	case inspect.WeightGradient:
		if t, ok := s.tensor(q.Tensor); ok {
			size = 1
			for _, d := range t.Shape {
				size *= d
			}
		}
	}
	if q.Index < 0 || q.Index >= size {
		return invalid("there is no such number in the network")
	}
	return nil
}

// check compares the gradient of a weight with a finite difference.
func (s *Session) check(body []byte) (*Reply, error) {
	var asked struct {
		Tensor string
		Index  int
	}
	if err := decode(body, &asked); err != nil {
		return nil, err
	}
	if err := s.checkQuestion(inspect.Question{Of: inspect.WeightGradient, Tensor: asked.Tensor, Index: asked.Index}); err != nil {
		return nil, err
	}
	result, err := s.CheckGradient(asked.Tensor, asked.Index, 0)
	if err != nil {
		return nil, fmt.Errorf("checking a gradient: %w", err)
	}
	return &Reply{Info: result}, nil
}
