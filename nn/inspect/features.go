package inspect

import (
	"context"
	"errors"
	"fmt"

	"trainer/nn"
	"trainer/nn/device"
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

// Features returns the values of FeaturePlace for each picture of bytes [h w c]: [pictures, width]. progress, unless nil, is
// called after each picture with the number of those that are done; it must not use the session. Afterwards the pass is that of the last Forward again.
func (s *Session) Features(ctx context.Context, pictures [][]byte, progress func(done int)) (features []float32, width int, err error) {
	place := s.FeaturePlace()
	defer s.lock()()
	if s.closed {
		return nil, 0, ErrClosed
	}
	for k, p := range pictures {
		if len(p) != s.opt.Input.Len() {
			return nil, 0, argument("picture %d has %d bytes, want %d: %v", k, len(p), s.opt.Input.Len(), s.opt.Input)
		}
	}
	width = s.shape(place).Len()
	features = make([]float32, len(pictures)*width)
	defer func() { err = errors.Join(err, s.restore()) }()
	for k, p := range pictures {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		if err := s.dev.Upload(s.bytes, p); err != nil {
			return nil, 0, fmt.Errorf("inspect: %w", err)
		}
		s.normalize.Normalize(s.x, s.bytes, nil, 0, 0, false)
		s.net.Forward(s.x, nn.Inference)
		if err := s.dev.Download(device.Bytes(features[k*width:][:width]), s.places[place].probe.y); err != nil {
			return nil, 0, fmt.Errorf("inspect: %w", err)
		}
		if progress != nil {
			progress(k + 1)
		}
	}
	return features, width, nil
}
