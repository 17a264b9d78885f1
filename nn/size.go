package nn

import (
	"fmt"
	"math"
)

// Sizes of a network multiply: an image's height, width and channels, a filter's, and the batch. Every product that
// becomes memory is checked here before anything is allocated.
const (
	maxElements      = math.MaxInt32 // of a parameter, and of one example of a layer's input or output
	maxBatchElements = 1 << 40       // of a whole batch
)

// elements returns the product of positive sizes, or limit+1 if it is above limit.
func elements(limit int64, sizes ...int) int64 {
	n := int64(1)
	for _, s := range sizes {
		if int64(s) > limit/n {
			return limit + 1
		}
		n *= int64(s)
	}
	return n
}

// checkElements returns an error if the product of the sizes is more than a tensor can hold. what names the tensor.
func checkElements(what string, sizes ...int) error {
	if elements(maxElements, sizes...) <= maxElements {
		return nil
	}
	return fmt.Errorf("%s would be %v, needs at most %d values", what, Shape(sizes), maxElements)
}

// checkBatch returns an error if a batch of examples of this shape is more than a device can hold. what names the examples.
func (s Shape) checkBatch(what string, batch int) error {
	if err := checkElements(what, s...); err != nil {
		return err
	}
	if n := int64(s.Len()); int64(batch) > maxBatchElements/n {
		return fmt.Errorf("%s would be %v for each of %d examples, needs a batch of at most %d", what, s, batch, maxBatchElements/n)
	}
	return nil
}
