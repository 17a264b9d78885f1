package recipe

import (
	"errors"

	"trainer/nn/setting"
)

// A batch can be chosen by the data, with batch = "auto": few images, at most one in sixteen of the training set, so that
// an epoch has enough steps to learn from; but at least 8, because batch normalisation needs some, and at most 64.
const (
	minAutoBatch     = 8
	maxAutoBatch     = 64
	imagesPerExample = 16 // training images per image of a batch
)

var errBatch = errors.New(`want a whole number from 1, or "auto"`)

// setBatch reads the key batch.
func (r *Recipe) setBatch(v any) (err error) {
	if v == "auto" {
		r.Batch, r.AutoBatch = maxAutoBatch, true
		return nil
	}
	if r.Batch, err = setting.Whole(v, setting.AtLeast(1)); err != nil {
		return errBatch
	}
	return nil
}

// BatchFor returns the batch for a number of training images: the recipe's, unless the recipe leaves it to the data or
// there are fewer images than that. Then it is the largest power of two that is at most one in sixteen of the images, but
// at least 8, and in any case at most the recipe's batch and the number of images.
func (r *Recipe) BatchFor(images int) int {
	if !r.AutoBatch && r.Batch <= images {
		return r.Batch
	}
	batch := minAutoBatch
	for 2*batch <= min(maxAutoBatch, images/imagesPerExample) {
		batch *= 2
	}
	return min(batch, r.Batch, max(1, images))
}
