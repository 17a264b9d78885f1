package data

// Weighted is a Set whose images have different weights in training: the loss of image i and its gradient are
// multiplied by Weight(i), and the mean over a batch divides by the sum of the weights. In evaluation all images count
// equally.
type Weighted interface {
	Set
	// Weight returns image i's weight, at least 0, for 0 <= i < Len.
	Weight(i int) float32
}

// Weights returns the weights of a set's images, also if it is a Subset, or nil if the set has no weights.
func Weights(set Set) func(i int) float32 {
	switch s := set.(type) {
	case *subset:
		if whole := Weights(s.Set); whole != nil {
			return func(i int) float32 { return whole(int(s.indices[i])) }
		}
	case Weighted:
		return s.Weight
	}
	return nil
}
