package data

import (
	"fmt"
	"image"
)

// FromImages returns a set of pictures that a program has in memory, each made into an image of p's size. labels are
// indices of classes.
func FromImages(p Preparation, pictures []image.Image, labels []int, classes []string) (*InMemory, error) {
	if len(labels) != len(pictures) {
		return nil, fmt.Errorf("data: %d labels for %d pictures", len(labels), len(pictures))
	}
	set := &InMemory{H: p.H, W: p.W, C: p.C, Images: make([]byte, len(pictures)*p.Len()), Labels: make([]int32, len(labels)), ClassNames: classes}
	for i, im := range pictures {
		if labels[i] < 0 || labels[i] >= len(classes) {
			return nil, fmt.Errorf("data: picture %d has label %d, want 0 to %d", i, labels[i], len(classes)-1)
		}
		set.Labels[i] = int32(labels[i])
		if err := p.Image(set.Images[i*p.Len():][:p.Len()], im); err != nil {
			return nil, fmt.Errorf("data: picture %d: %w", i, err)
		}
	}
	return set, nil
}
