package learn

import (
	"slices"

	"trainer/nn/inspect"
)

// passInfo belongs to the values of a forward pass.
type passInfo struct {
	Answer []float64 `json:"answer"`
}

// forward computes all values for a picture, whose pixels [h w c] are the body.
func (s *Session) forward(pixels []byte) (*Reply, error) {
	if want := s.Input().Len(); len(pixels) != want {
		return nil, invalid("got %d bytes, want %d, the pixels of a picture", len(pixels), want)
	}
	pass, err := s.Forward(pixels)
	if err != nil {
		return nil, err
	}
	return arrays(passInfo{Answer: pass.Answer}, pass.Values...), nil
}

// gradientInfo belongs to the gradients of a backward pass: those of the places, then those of the weights.
type gradientInfo struct {
	Label   int      `json:"label"`
	Loss    float64  `json:"loss"`
	Weights []string `json:"weights"`
}

// backward computes the gradients for a label.
func (s *Session) backward(body []byte) (*Reply, error) {
	var asked struct{ Label int }
	if err := decode(body, &asked); err != nil {
		return nil, err
	}
	if err := s.checkClass("label", asked.Label); err != nil {
		return nil, err
	}
	back, err := s.Backward(asked.Label)
	if err != nil {
		return nil, err
	}
	info, all := s.gradients(back)
	return arrays(info, all...), nil
}

// gradients lists the gradients of the places, then those of the weights in the network's order.
func (s *Session) gradients(back *inspect.Gradients) (gradientInfo, [][]float32) {
	info, all := gradientInfo{Label: back.Label, Loss: back.Loss, Weights: []string{}}, slices.Clone(back.Values)
	for _, p := range s.Places() {
		for _, t := range p.Tensors {
			if values, ok := back.Weights[t.Name]; ok {
				info.Weights, all = append(info.Weights, t.Name), append(all, values)
			}
		}
	}
	return info, all
}

// weights answers with the values of a tensor.
func (s *Session) weights(body []byte) (*Reply, error) {
	var asked struct{ Tensor string }
	if err := decode(body, &asked); err != nil {
		return nil, err
	}
	values, err := s.Weights(asked.Tensor)
	if err != nil {
		return nil, err
	}
	return arrays(struct{}{}, values), nil
}
