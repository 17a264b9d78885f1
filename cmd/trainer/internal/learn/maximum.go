package learn

import "trainer/nn/inspect"

// maximumInfo belongs to a picture that makes a channel large.
type maximumInfo struct {
	Pixels []byte  `json:"pixels"` // the picture, as far as bytes can express it, [h w c]
	Before float64 `json:"before"` // mean of the channel for the noise that the search began with
	After  float64 `json:"after"`
}

// maximum answers with a picture that makes a channel large: its normalised values.
func (s *Session) maximum(body []byte) (*Reply, error) {
	var asked struct{ Place, Channel int }
	if err := decode(body, &asked); err != nil {
		return nil, err
	}
	m, err := s.Maximize(asked.Place, asked.Channel, inspect.Maximization{})
	if err != nil {
		return nil, err
	}
	return arrays(maximumInfo{m.Pixels, m.Before, m.After}, m.Picture), nil
}
