package cockpit

import (
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/inspect"
)

// Probe computes a few pictures by a copy of the network that is being trained, as the network answers them.
type Probe struct {
	Open     func() (*inspect.Session, error) // called once, before it is used
	Pictures [][]byte

	session *inspect.Session
}

// activations returns a histogram of the values of each layer, over all pictures.
func (p *Probe) activations(net *nn.Network) ([]Histogram, error) {
	if p.session == nil {
		s, err := p.Open()
		if err != nil {
			return nil, err
		}
		p.session = s
	}
	if err := p.session.CopyWeights(net); err != nil {
		return nil, err
	}
	places := p.session.Places()
	values := make([][]float32, len(places))
	for _, picture := range p.Pictures {
		pass, err := p.session.Forward(picture)
		if err != nil {
			return nil, err
		}
		for k, v := range pass.Values {
			values[k] = append(values[k], v...)
		}
	}
	var all []Histogram
	for k, place := range places {
		if place.Kind != inspect.KindLoss && place.Kind != inspect.KindInput {
			all = append(all, newHistogram(place.Name, "activations", values[k]))
		}
	}
	return all, nil
}

// Close frees the copy of the network.
func (p *Probe) Close() error {
	if p.session == nil {
		return nil
	}
	return p.session.Close()
}

// FirstPictures returns the first n pictures of a set, [h w c] each, without those that can't be read.
func FirstPictures(set data.Set, n int) [][]byte {
	h, w, c := set.ImageShape()
	var all [][]byte
	for i := range min(n, set.Len()) {
		pixels := make([]byte, h*w*c)
		if _, err := set.Read(i, pixels); err == nil {
			all = append(all, pixels)
		}
	}
	return all
}
