package learn

import (
	"slices"

	"trainer/nn/inspect"
	"trainer/nn/optim"
)

// stepInfo belongs to the values and gradients after a step, or after one was undone.
type stepInfo struct {
	passInfo
	gradientInfo
	Step *inspect.Step `json:"step"` // nil after an undo
}

// maxRate is the largest learning rate of a step.
const maxRate = 100

// step updates the weights with the gradients of the last backward pass.
func (s *Session) step(body []byte) (*Reply, error) {
	var asked struct {
		Rule string
		LR   float64
	}
	if err := decode(body, &asked); err != nil {
		return nil, err
	}
	if !slices.Contains(optim.Algorithms(), asked.Rule) || !(asked.LR > 0 && asked.LR <= maxRate) {
		return nil, invalid("want a rule, one of %v, and a learning rate above 0, at most %d", optim.Algorithms(), maxRate)
	}
	done, err := s.Step(optim.Config{Algorithm: asked.Rule, LR: asked.LR})
	if err != nil {
		s.revisions.forget()
		return nil, err
	}
	s.revisions.step()
	bare := *done // the arrays have the passes
	bare.Pass, bare.Gradients = nil, nil
	return s.passes(&bare, done.Pass, done.Gradients), nil
}

// undo takes the last step back.
func (s *Session) undo([]byte) (*Reply, error) {
	pass, back, err := s.Undo()
	if err != nil {
		return nil, err
	}
	s.revisions.undo()
	return s.passes(nil, pass, back), nil
}

// passes returns the values of all places, then the gradients of all places, then those of the weights.
func (s *Session) passes(done *inspect.Step, pass *inspect.Pass, back *inspect.Gradients) *Reply {
	info, gradients := s.gradients(back)
	return arrays(stepInfo{passInfo{pass.Answer}, info, done}, slices.Concat(pass.Values, gradients)...)
}
