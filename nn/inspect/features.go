package inspect

import "context"

// Features returns, for each picture of bytes [h w c], the values that the last layer with weights reads: what the network
// makes of a picture before it decides. The result is [pictures, width]. The picture of the last Forward is forgotten.
func (s *Session) Features(ctx context.Context, pictures [][]byte) (features []float32, width int, err error) {
	return nil, 0, errUnfinished
}

// Projection is a picture of many points in two dimensions.
type Projection struct {
	X []float32 `json:"x"`
	Y []float32 `json:"y"`
	// Explained is the fraction of the variance that each of the two directions has.
	Explained [2]float64 `json:"explained"`
}

// PCA projects n points, [n, width], on the two directions of largest variance (principal component analysis). The sign of
// each direction is such that its largest element is positive.
func PCA(points []float32, width int) (*Projection, error) { return nil, errUnfinished }
