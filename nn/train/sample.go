package train

import (
	"fmt"

	"trainer/nn"
	"trainer/nn/data"
)

// sampler returns the function Sample of nn.Options: up to n normalised images, spread
// evenly over the set, so that a set sorted by class yields some of each class.
func sampler(set data.Set, mean, std []float32) func(n int) ([]float32, nn.Shape, error) {
	return func(n int) ([]float32, nn.Shape, error) {
		h, w, c := set.ImageShape()
		n = min(n, set.Len())
		size := h * w * c
		images := make([]float32, n*size)
		pixels := make([]byte, size)
		for i := range n {
			id := i * set.Len() / n
			if _, err := set.Read(id, pixels); err != nil {
				return nil, nil, fmt.Errorf("sampling image %d: %w", id, err)
			}
			for k, p := range pixels {
				images[i*size+k] = (float32(p)/255 - mean[k%c]) / std[k%c]
			}
		}
		return images, nn.Shape{h, w, c}, nil
	}
}
