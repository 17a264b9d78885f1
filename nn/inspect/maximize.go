package inspect

import (
	"fmt"
	"math"

	"trainer/nn"
	"trainer/nn/device"
)

// Maximization says how Maximize looks for a picture.
type Maximization struct {
	Steps int     `json:"steps"` // 0 means 64, and at most 1024
	Rate  float64 `json:"rate"`  // root mean square of what a step adds to the normalised picture; 0 means 0.1
	Decay float64 `json:"decay"` // fraction of the picture that each step takes away; 0 means 0.01, and -1 none
	Seed  uint64  `json:"seed"`  // of the picture at the beginning
}

// Maximum is a picture that makes a channel large.
type Maximum struct {
	Picture []float32 `json:"picture"` // normalised, [h w c]
	Pixels  []byte    `json:"-"`       // the same as bytes, as far as they can express it
	Before  float64   `json:"before"`  // mean of the channel for the picture at the beginning
	After   float64   `json:"after"`
}

// mostAscents is the largest number of steps.
const mostAscents = 1 << 10

// complete fills defaults in and returns an error if something is invalid.
func (m *Maximization) complete() error {
	if m.Steps == 0 {
		m.Steps = 64
	}
	if m.Rate == 0 {
		m.Rate = 0.1
	}
	switch m.Decay {
	case 0:
		m.Decay = 0.01
	case -1:
		m.Decay = 0
	}
	if m.Steps < 1 || m.Steps > mostAscents || !(m.Rate > 0) || math.IsInf(m.Rate, 0) || !(m.Decay >= 0 && m.Decay < 1) {
		return argument("%d steps, a rate of %v and a decay of %v, want 1 to %d, a positive number, and 0 to below 1", m.Steps, m.Rate, m.Decay, mostAscents)
	}
	return nil
}

// Maximize looks for a picture that makes the mean of a channel of a place large, by gradient ascent from noise (Erhan,
// Bengio, Courville and Vincent, "Visualizing Higher-Layer Features of a Deep Network", 2009). With g the gradient of the
// mean with respect to the picture x, a step is
//
//	x = (1 - decay) x + rate g / sqrt(mean of g^2)
//
// The channel of a vector is an element. Afterwards the pass is that of the last Forward again.
func (s *Session) Maximize(place, channel int, m Maximization) (*Maximum, error) {
	defer s.lock()()
	if s.closed {
		return nil, ErrClosed
	}
	if place < 1 || place >= len(s.places)-2 {
		return nil, argument("place %d, want that of a layer, 1 to %d", place, len(s.places)-3)
	}
	shape := s.shape(place)
	if channels := shape[len(shape)-1]; channel < 0 || channel >= channels {
		return nil, argument("channel %d of %s, want 0 to %d", channel, s.places[place].Name, channels-1)
	}
	if err := m.complete(); err != nil {
		return nil, err
	}
	result, err := s.ascend(place, channel, m)
	if back := s.restore(); err == nil {
		err = back
	}
	return result, err
}

// ascend does the steps.
func (s *Session) ascend(place, channel int, m Maximization) (*Maximum, error) {
	x := noise(s.opt.Input, 1, m.Seed)
	for k := range x {
		x[k] *= 0.1
	}
	result := &Maximum{Picture: x}
	for step := range m.Steps {
		mean, gradient, err := s.towards(place, channel, x)
		if err != nil {
			return nil, err
		}
		if step == 0 {
			result.Before = mean
		}
		size := norm(gradient) / math.Sqrt(float64(len(gradient)))
		if size == 0 {
			break // nothing near x changes the channel
		}
		for k := range x {
			x[k] = float32((1-m.Decay)*float64(x[k]) + m.Rate*float64(gradient[k])/size)
		}
	}
	var err error
	result.After, _, err = s.towards(place, channel, x)
	result.Pixels = s.pixels(x)
	return result, err
}

// towards returns the mean of a channel for a normalised picture, and its gradient with respect to the picture. The backward
// pass has a gradient of 0 at the outputs, and so everywhere, up to the place, where the mean's replaces it.
func (s *Session) towards(place, channel int, x []float32) (mean float64, gradient []float32, err error) {
	if err := s.dev.Upload(s.x, device.Bytes(x)); err != nil {
		return 0, nil, fmt.Errorf("inspect: %w", err)
	}
	s.net.Forward(s.x, nn.Inference)
	probe := s.places[place].probe
	values, err := download(s.dev, probe.y)
	if err != nil {
		return 0, nil, err
	}
	shape := s.shape(place)
	channels := shape[len(shape)-1]
	seed := make([]float32, len(values))
	for k := channel; k < len(values); k += channels {
		seed[k] = float32(channels) / float32(len(values))
		mean += float64(values[k]) * float64(seed[k])
	}
	if err := probe.inject(seed); err != nil {
		return 0, nil, err
	}
	all, err := s.backwardFrom(make([]float32, s.classes))
	probe.injected = nil
	if err != nil {
		return 0, nil, err
	}
	return mean, all[0], nil
}

// pixels undoes the normalisation, as far as bytes can.
func (s *Session) pixels(x []float32) []byte {
	c := s.opt.Input[2]
	p := make([]byte, len(x))
	for k, v := range x {
		p[k] = byte(math.Round(255 * min(1, max(0, float64(v)*float64(s.opt.Std[k%c])+float64(s.opt.Mean[k%c])))))
	}
	return p
}
