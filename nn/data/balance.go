package data

import (
	"context"
	"slices"

	"trainer/nn/device"
)

// balanceStream makes the choice of repeated images independent of the choices of test and validation images.
const balanceStream = 2 << 20

// Balance returns a set in which every class that has images has as many as the largest: the images of the others are
// repeated, all of them equally often but for a rest, which a shuffle of (seed, device.StreamSplit, class) chooses. An
// epoch then shows every class equally often, and takes the more steps. The repeated images follow after all others. A
// set that is balanced is returned as it is. The error is ctx's, or says which image can't be read.
func Balance(ctx context.Context, set Set, seed uint64) (Set, error) {
	labels, err := labelsOf(ctx, set)
	if err != nil {
		return nil, err
	}
	byClass := make([][]int, len(set.Classes()))
	for i, label := range labels {
		byClass[label] = append(byClass[label], i)
	}
	largest := 0
	for _, images := range byClass {
		largest = max(largest, len(images))
	}
	indices := make([]int, len(labels))
	for i := range indices {
		indices[i] = i
	}
	for class, images := range byClass {
		if len(images) == 0 {
			continue
		}
		missing := largest - len(images)
		for range missing / len(images) {
			indices = append(indices, images...)
		}
		order := make([]int32, len(images))
		permute(order, seed, device.StreamSplit, balanceStream+uint32(class))
		rest := make([]int, missing%len(images))
		for k := range rest {
			rest[k] = images[order[k]]
		}
		slices.Sort(rest)
		indices = append(indices, rest...)
	}
	if len(indices) == len(labels) {
		return set, nil
	}
	return Subset(set, indices), nil
}
