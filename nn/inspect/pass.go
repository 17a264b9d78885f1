package inspect

import (
	"fmt"
	"slices"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/model"
)

// Pass is the forward pass of one picture. The caller must not change its slices.
type Pass struct {
	// Pixels is the picture before the normalisation, [h w c]; nil after ForwardValues.
	Pixels []byte `json:"-"`
	// Values holds the values of each place; Values[0] is the normalised picture. The loss, whose value needs a label, has
	// none.
	Values [][]float32 `json:"-"`
	// Answer holds the probability of each class at the model's temperature, as predictions have it.
	Answer []float64 `json:"answer"`
}

// Forward computes all values for a picture of bytes, [h w c].
func (s *Session) Forward(pixels []byte) (*Pass, error) {
	defer s.lock()()
	if s.closed {
		return nil, ErrClosed
	}
	if len(pixels) != s.opt.Input.Len() {
		return nil, argument("a picture of %d bytes, want %d: %v", len(pixels), s.opt.Input.Len(), s.opt.Input)
	}
	pixels = slices.Clone(pixels)
	if err := s.dev.Upload(s.bytes, pixels); err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	s.normalize.Normalize(s.x, s.bytes, nil, 0, 0, false)
	return s.forward(pixels)
}

// ForwardValues is Forward for a picture that is normalised already.
func (s *Session) ForwardValues(x []float32) (*Pass, error) {
	defer s.lock()()
	if s.closed {
		return nil, ErrClosed
	}
	if len(x) != s.opt.Input.Len() {
		return nil, argument("a picture of %d values, want %d: %v", len(x), s.opt.Input.Len(), s.opt.Input)
	}
	if err := s.dev.Upload(s.x, device.Bytes(x)); err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	return s.forward(nil)
}

// forward computes the pass of the picture in s.x.
func (s *Session) forward(pixels []byte) (*Pass, error) {
	s.pass, s.gradients = nil, nil
	pass := &Pass{Pixels: pixels, Values: make([][]float32, len(s.places))}
	s.softmax.Forward(s.answer, s.net.Forward(s.x, nn.Inference))
	for k, p := range s.places {
		t := s.answer
		switch {
		case p.Kind == KindLoss && p.probe == nil:
			continue
		case p.probe != nil:
			t = p.probe.y
		}
		var err error
		if pass.Values[k], err = download(s.dev, t); err != nil {
			return nil, err
		}
	}
	pass.Answer = model.Softmax(s.outputs(pass), s.classes, s.opt.Temperature)
	s.pass = pass
	return pass, nil
}

// outputs returns the values of the last layer.
func (s *Session) outputs(p *Pass) []float32 { return p.Values[s.outputPlace()] }

// outputPlace returns the place of the network's outputs.
func (s *Session) outputPlace() int { return s.places[len(s.places)-1].Inputs[0] }

// Gradients is the backward pass of the last Forward. The caller must not change its slices.
type Gradients struct {
	Label int     `json:"label"`
	Loss  float64 `json:"loss"`
	// Values holds the gradient of the loss with respect to the values of each place. The probabilities have none, because
	// the gradient at the outputs is computed in one go, and that of the loss is 1.
	Values [][]float32 `json:"-"`
	// Weights holds the gradient with respect to each trained parameter, by its name.
	Weights map[string][]float32 `json:"-"`
}

// Backward computes the gradients for a label, a class from 0.
func (s *Session) Backward(label int) (*Gradients, error) {
	defer s.lock()()
	if err := s.ready(label); err != nil {
		return nil, err
	}
	return s.backward(label)
}

// ready returns an error unless there is a forward pass, and the class exists and counts.
func (s *Session) ready(class int) error {
	switch {
	case s.closed:
		return ErrClosed
	case s.pass == nil:
		return ErrNoForward
	case class < 0 || class >= s.classes:
		return argument("class %d, want 0 to %d", class, s.classes-1)
	case s.net.Ignores(int32(class)):
		return argument("the loss ignores the label %d", class)
	}
	return nil
}

func (s *Session) backward(label int) (*Gradients, error) {
	s.gradients = nil
	loss, err := s.lossOf(label)
	if err != nil {
		return nil, err
	}
	s.net.Backward(s.label)
	g := &Gradients{Label: label, Loss: loss, Weights: map[string][]float32{}}
	if g.Values, err = s.gradientsOfValues(); err != nil {
		return nil, err
	}
	g.Values[len(g.Values)-1] = []float32{1}
	for _, name := range s.names {
		if grad := s.tensors[name].Grad; grad != nil {
			if g.Weights[name], err = download(s.dev, grad); err != nil {
				return nil, err
			}
		}
	}
	s.gradients, s.last = g, label
	return g, nil
}

// lossOf uploads the label and returns the loss of the network's present outputs.
func (s *Session) lossOf(label int) (float64, error) {
	if err := s.dev.Upload(s.label, device.Bytes([]int32{int32(label)})); err != nil {
		return 0, fmt.Errorf("inspect: %w", err)
	}
	s.dev.Zero(s.net.Stats())
	s.net.Loss(s.label)
	stats, err := download(s.dev, s.net.Stats())
	if err != nil {
		return 0, err
	}
	loss := float64(stats[device.StatLoss])
	if !s.summed {
		loss /= float64(stats[device.StatWeight])
	}
	return loss, nil
}

// gradientsOfValues returns what the probes kept in the last backward pass.
func (s *Session) gradientsOfValues() ([][]float32, error) {
	all := make([][]float32, len(s.places))
	for k, p := range s.places {
		if p.probe == nil {
			continue
		}
		var err error
		if all[k], err = download(s.dev, p.probe.gradient); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// backwardFrom returns the gradients of sum_k seed[k] z[k] with respect to the values of each place, for the network's
// outputs z.
func (s *Session) backwardFrom(seed []float32) ([][]float32, error) {
	if err := s.dev.Upload(s.seed.tensor, device.Bytes(seed)); err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	s.seed.on = true
	s.net.Backward(s.label)
	s.seed.on = false
	return s.gradientsOfValues()
}

// restore computes the last Forward again, after others have used the network.
func (s *Session) restore() error {
	if s.pass == nil {
		return nil
	}
	if err := s.dev.Upload(s.x, device.Bytes(s.pass.Values[0])); err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	s.net.Forward(s.x, nn.Inference)
	return nil
}
