package inspect

// Maximization says how Maximize looks for a picture.
type Maximization struct {
	Steps int     `json:"steps"` // 0 means 64
	Rate  float64 `json:"rate"`  // of the ascent, as a fraction of the picture's standard deviation per step; 0 means 0.1
	Decay float64 `json:"decay"` // L2 penalty per step; 0 means 0.01, and -1 none
	Seed  uint64  `json:"seed"`  // of the picture at the beginning
}

// Maximum is a picture that makes a channel large.
type Maximum struct {
	Picture []float32 `json:"picture"` // normalised, [h w c]
	Pixels  []byte    `json:"-"`       // the same as bytes, as far as they can express it
	Before  float64   `json:"before"`  // mean of the channel for the picture at the beginning
	After   float64   `json:"after"`
}

// Maximize looks for a picture that makes the mean of a channel of a place large, by gradient ascent from noise (Erhan,
// Bengio, Courville and Vincent, "Visualizing Higher-Layer Features of a Deep Network", 2009). The picture of the last
// Forward is forgotten.
func (s *Session) Maximize(place, channel int, m Maximization) (*Maximum, error) {
	return nil, errUnfinished
}
