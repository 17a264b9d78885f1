package learn

import (
	"context"
	"fmt"
	"slices"

	"trainer/nn/inspect"
)

// The limits of a map of features.
const (
	maxFeatured     = 1000    // pictures
	maxPart         = 100     // pictures in a question
	minFeatured     = 3       // pictures that a projection needs
	maxFeatureCount = 1 << 22 // features of all pictures
)

// featureMap is what the network makes of the first pictures of the test set.
type featureMap struct {
	revision      int       // of the weights
	values        []float32 // [pictures, width]
	labels        []int32
	answers       []int
	probabilities []float64 // of the answers
}

// featureInfo belongs to the coordinates of a map's points, first all x, then all y.
type featureInfo struct {
	Place         int        `json:"place"`     // whose values are projected
	Width         int        `json:"width"`     // their number
	Total         int        `json:"total"`     // the pictures that the whole map has
	Explained     [2]float64 `json:"explained"` // fractions of the variance
	Labels        []int32    `json:"labels"`
	Answers       []int      `json:"answers"`
	Probabilities []float64  `json:"probabilities"`
}

// features adds pictures of the test set to a map of the features of the last layer: Count of them, beginning with number
// From, which must be the number of those on the map; 0 begins a new map. The answer is the map so far. It is made in parts
// so that other questions are answered in between, and the reader sees it grow.
func (s *Session) features(body []byte) (*Reply, error) {
	var asked struct{ From, Count int }
	if err := decode(body, &asked); err != nil {
		return nil, err
	}
	if asked.Count < minFeatured || asked.Count > maxPart {
		return nil, invalid("count: want a number from %d to %d", minFeatured, maxPart)
	}
	if asked.From == 0 {
		s.drawn = featureMap{revision: s.revisions.present}
		s.drawnBytes.Store(0)
	} else if asked.From != len(s.drawn.labels) || s.drawn.revision != s.revisions.present {
		return nil, &Error{Early, "this map was not begun, or the weights have changed since: begin with the first picture"}
	}
	pictures, labels, total, err := s.pictures(asked.From, asked.Count)
	if err != nil {
		return nil, err
	}
	set, err := s.Features(context.Background(), pictures, nil)
	if err != nil {
		return nil, err
	}
	s.draw(set, labels)
	projected, err := inspect.PCA(s.drawn.values, set.Width)
	if err != nil {
		return nil, err
	}
	m := s.drawn
	return arrays(featureInfo{s.FeaturePlace(), set.Width, total, projected.Explained, m.labels, m.answers, m.probabilities}, projected.X, projected.Y), nil
}

// featureValues answers with the features on the map, [pictures, width], for those who arrange them otherwise.
func (s *Session) featureValues([]byte) (*Reply, error) {
	m := s.drawn
	if len(m.labels) == 0 || m.revision != s.revisions.present {
		return nil, &Error{Early, "no map was begun, or the weights have changed since: draw it first"}
	}
	return arrays(struct {
		Width int `json:"width"`
	}{len(m.values) / len(m.labels)}, m.values), nil
}

// pictures returns pictures of the test set for the map, and how many the whole map has.
func (s *Session) pictures(from, count int) (pictures [][]byte, labels []int32, total int, err error) {
	if s.samples == nil {
		return nil, nil, 0, invalid("this network has no test pictures")
	}
	set, err := s.samples()
	if err != nil {
		return nil, nil, 0, invalid("the test pictures of this network are not on this machine")
	}
	total = min(set.Len(), maxFeatured, maxFeatureCount/s.Places()[s.FeaturePlace()].Shape.Len())
	if from >= total || total < minFeatured {
		return nil, nil, 0, invalid("the map has %d pictures, want %d or more and a part of them", total, minFeatured)
	}
	for i := from; i < min(from+count, total); i++ {
		pixels := make([]byte, s.Input().Len())
		label, err := set.Read(i, pixels)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("test picture %d: %w", i, err)
		}
		pictures, labels = append(pictures, pixels), append(labels, label)
	}
	return pictures, labels, total, nil
}

// draw adds pictures to the map.
func (s *Session) draw(set *inspect.FeatureSet, labels []int32) {
	m := &s.drawn
	m.values = append(m.values, set.Values...)
	m.labels = append(m.labels, labels...)
	for row := range slices.Chunk(set.Answers, s.classes) {
		best := slices.Max(row)
		m.answers, m.probabilities = append(m.answers, slices.Index(row, best)), append(m.probabilities, best)
	}
	s.drawnBytes.Store(4 * int64(cap(m.values)))
}
