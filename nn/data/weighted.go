package data

// Weighted is a Set whose images don't count alike in training: the loss of image i and its gradient are
// multiplied by Weight(i), and the batch's mean is divided by the sum of the weights. Evaluation counts all images alike.
type Weighted interface {
	Set
	// Weight returns image i's weight, from 0, 0 <= i < Len.
	Weight(i int) float32
}

// Weights returns a set's weights, also those of a Subset's images, or nil where it has none.
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
