package inspect

import (
	"context"
	"errors"
	"fmt"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/model"
)

// FeaturePlace returns the place of the values that the last layer with a weight reads: what the network makes of a picture
// before it decides.
func (s *Session) FeaturePlace() int {
	for k := len(s.places) - 1; k > 0; k-- {
		if p := s.places[k]; p.layer != nil && hasWeight(p) && len(p.Inputs) == 1 {
			return p.Inputs[0]
		}
	}
	return s.outputPlace()
}

// hasWeight reports whether a layer has weights that are multiplied with its input.
func hasWeight(p *place) bool {
	for _, t := range p.Tensors {
		if len(t.Shape) > 1 {
			return true
		}
	}
	return false
}

// FeatureSet is what a network makes of pictures: before it decides, and what it decides.
type FeatureSet struct {
	Values []float32 // of FeaturePlace, [pictures, Width]
	Width  int
	// Answers holds the probabilities of the classes, [pictures, classes], as Pass.Answer has them.
	Answers []float64
}

// Features returns the features of pictures of bytes [h w c]. progress, unless nil, is called after each picture with the
// number of those that are done; it must not use the session. Afterwards the pass is that of the last Forward again.
func (s *Session) Features(ctx context.Context, pictures [][]byte, progress func(done int)) (set *FeatureSet, err error) {
	place := s.FeaturePlace()
	defer s.lock()()
	if s.closed {
		return nil, ErrClosed
	}
	for k, p := range pictures {
		if len(p) != s.opt.Input.Len() {
			return nil, argument("picture %d has %d bytes, want %d: %v", k, len(p), s.opt.Input.Len(), s.opt.Input)
		}
	}
	width := s.shape(place).Len()
	set = &FeatureSet{Values: make([]float32, len(pictures)*width), Width: width}
	defer func() { err = errors.Join(err, s.restore()) }()
	for k, p := range pictures {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		answer, err := s.features(place, set.Values[k*width:][:width], p)
		if err != nil {
			return nil, err
		}
		set.Answers = append(set.Answers, answer...)
		if progress != nil {
			progress(k + 1)
		}
	}
	return set, nil
}

// features writes a place's values for a picture, and returns the answer. The pass must be restored afterwards.
func (s *Session) features(place int, values []float32, picture []byte) (answer []float64, err error) {
	if err := s.dev.Upload(s.bytes, picture); err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	s.normalize.Normalize(s.x, s.bytes, nil, 0, 0, false)
	outputs, err := download(s.dev, s.net.Forward(s.x, nn.Inference))
	if err != nil {
		return nil, err
	}
	if err := s.dev.Download(device.Bytes(values), s.places[place].probe.y); err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	return model.Softmax(outputs, s.classes, s.opt.Temperature), nil
}
